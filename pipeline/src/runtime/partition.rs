//! One partition: its streams, what they emitted since the last commit, and how far it was read.
//!
//! Synchronous and free of I/O: records and `now` go in, the parts of a transaction come out. The same code runs on
//! Kafka's compute threads, in the simulation and in tests. [`epoch`] holds what it contributes to a transaction,
//! [`notice`] what the runner counts, [`model`] how windows of many streams share a batch, [`loss`] what happens where retention was faster.

use super::blueprint::Blueprint;
use super::ingest::{self, Ingested};
use super::lineage::Told;
use super::records::RecordWriter;
use super::stream::{Inbound, Progress, Stream, StreamOutput};
use crate::error::{PartitionHalt, StreamFault};
use crate::flow::caught_up::CaughtUp;
use crate::flow::disposition::{self, Disposition};
use crate::flow::recent::RecentStreams;
use crate::flow::reorder::Arrival;
use crate::flow::watermark::Watermark;
use crate::ports::{InRecord, OutRecord, PortError, Schemas};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use treble_schemas::event::Status;
use treble_schemas::{AbortReason, AudioChunk, StreamId, StreamState, dead_letter};

mod epoch;
mod loss;
mod model;
mod notice;
#[cfg(test)]
mod tests;

pub use epoch::EpochPart;
pub use notice::{Ending, Load, Notice, Settled};

/// Chunks or records in one slice of work. Between slices the thread hears commands: a cut or a drain must not wait for
/// all of a backlog.
const SLICE_STEPS: usize = 16;

/// What bounds the work of a partition.
#[derive(Debug, Clone, Copy)]
pub struct PartitionLimits {
    /// Output bytes buffered before a commit is waited for.
    pub max_epoch_bytes: u64,
    /// Windows gathered before the model is run.
    pub max_windows: usize,
    /// How long a gap may stay open.
    pub gap_timeout: Duration,
    /// How long a stream may stay silent.
    pub idle_timeout: Duration,
}

/// One time that a partition is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    /// The partition.
    pub partition: i32,
    /// Numbers the worker's tenures, of whatever partition.
    pub number: u64,
    /// The first offset whose effects are not committed.
    pub live_from: i64,
    /// The first offset that is read: behind what restarting streams need where retention deleted it.
    pub from: i64,
}

/// See the module.
#[derive(Debug)]
pub struct Partition {
    id: i32,
    tenure: u64,
    blueprint: Rc<Blueprint>,
    writer: Rc<RecordWriter>,
    limits: PartitionLimits,
    streams: HashMap<StreamId, Stream>,
    /// Records to look at, each with when it was polled.
    inbox: VecDeque<(InRecord, Duration)>,
    inbox_bytes: u64,
    caught_up: CaughtUp,
    ready: VecDeque<StreamId>,
    touched: BTreeSet<StreamId>,
    gone: BTreeSet<StreamId>,
    recent: RecentStreams,
    waiting_windows: usize,
    watermark: Watermark,
    /// One past the last record looked at: behind the watermark while earlier records are read again.
    read_to: i64,
    records: Vec<OutRecord>,
    record_bytes: u64,
    notices: Vec<Notice>,
    /// What is told once the epoch is committed.
    told: Told,
}

impl Partition {
    /// A partition whose effects below `tenure.live_from` are committed, with the streams its state topic knows.
    #[must_use]
    pub fn new(
        tenure: Tenure,
        blueprint: Rc<Blueprint>,
        writer: Rc<RecordWriter>,
        limits: PartitionLimits,
        streams: Vec<(StreamId, StreamState)>,
        now: Duration,
    ) -> Self {
        // A state that another topology left, of other stages than ours, cannot be gone on from.
        let names: Vec<&str> = blueprint.stages.iter().map(|stage| stage.name).collect();
        let ours = |(_, state): &(StreamId, StreamState)| {
            state.operators.is_empty()
                || state.operators.iter().map(|operator| &*operator.stage).eq(names.iter().copied())
        };
        let streams: Vec<_> = streams.into_iter().filter(ours).collect();
        let restarts = streams.iter().map(|(_, state)| state.restart_offset);
        let read_to = restarts.min().unwrap_or(tenure.live_from).min(tenure.live_from).max(tenure.from);
        let restore = |(id, state): (StreamId, StreamState)| {
            let mut stream = Stream::restore(id.clone(), state, tenure.from, now);
            if let Some(lineage) = writer.lineage() {
                stream.enter(lineage, tenure.partition, true);
            }
            (id, stream)
        };
        let streams = streams.into_iter().map(restore).collect();
        Self {
            id: tenure.partition,
            tenure: tenure.number,
            blueprint,
            writer,
            limits,
            streams,
            inbox: VecDeque::new(),
            inbox_bytes: 0,
            caught_up: CaughtUp::default(),
            ready: VecDeque::new(),
            touched: BTreeSet::new(),
            gone: BTreeSet::new(),
            recent: RecentStreams::default(),
            waiting_windows: 0,
            watermark: Watermark::new(tenure.live_from),
            read_to,
            records: Vec::new(),
            record_bytes: 0,
            notices: Vec::new(),
            told: Told::default(),
        }
    }

    /// Takes a record; [`work`](Self::work) looks at it.
    pub fn receive(&mut self, record: InRecord, polled_at: Duration) {
        self.inbox_bytes += record.size_bytes();
        self.inbox.push_back((record, polled_at));
        self.caught_up.receive();
    }

    /// The log holds no more than what was received.
    pub fn reach_end(&mut self, now: Duration) {
        self.caught_up.reach_end(now);
    }

    /// Whether there is work that does not wait for a commit.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.record_bytes < self.limits.max_epoch_bytes && !(self.inbox.is_empty() && self.ready.is_empty())
    }

    /// Whether nothing is left to do, not even once an epoch that is full has been cut.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inbox.is_empty() && self.ready.is_empty()
    }

    /// Whether records wait to be looked at.
    #[must_use]
    pub fn has_inbox(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Bytes of the records that wait to be looked at.
    #[must_use]
    pub fn inbox_bytes(&self) -> u64 {
        self.inbox_bytes
    }

    /// Whether enough windows wait for the model.
    #[must_use]
    pub fn windows_are_full(&self) -> bool {
        self.waiting_windows >= self.limits.max_windows
    }

    /// Works for a slice, or until nothing is left to do, the epoch is full, or enough windows wait for the model. `Err`
    /// from the registry means: try again later, nothing was lost.
    pub fn work(
        &mut self,
        schemas: &dyn Schemas,
        now: Duration,
    ) -> Result<Result<(), PortError>, PartitionHalt> {
        for _ in 0..SLICE_STEPS {
            if !self.has_work() || self.windows_are_full() {
                break;
            }
            if let Some(id) = self.ready.pop_front() {
                self.step(&id, now)?;
            } else if let Some((record, polled_at)) = self.inbox.pop_front() {
                let clips = self.blueprint.stages.first().is_some_and(|stage| stage.name == "decode");
                match ingest::ingest(&record, schemas, clips) {
                    Ok(ingested) => {
                        self.inbox_bytes -= record.size_bytes();
                        self.caught_up.take(now);
                        self.admit((record, polled_at), ingested, now)?;
                    }
                    Err(outage) => {
                        self.inbox.push_front((record, polled_at));
                        return Ok(Err(outage));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn admit(
        &mut self,
        (record, polled_at): (InRecord, Duration),
        ingested: Ingested,
        now: Duration,
    ) -> Result<(), PartitionHalt> {
        let offset = record.offset;
        let replay = self.watermark.is_replay(offset);
        let noticed = self.notices.len();
        if !replay {
            let (timestamp_ms, bytes) = (record.timestamp_ms, record.size_bytes());
            self.notices.push(Notice::RecordRead { offset, timestamp_ms, bytes });
        }
        let record = Arc::new(record);
        match ingested {
            Ingested::Bad(_) if replay => {}
            Ingested::Bad(fault) => {
                let stage = self.writer.stage_name();
                self.dead_letter(&record, stage, fault.code(), &fault.to_string(), None);
            }
            Ingested::Chunks(chunks) => {
                for chunk in chunks {
                    self.admit_chunk(chunk, (&record, polled_at), replay, now)?;
                }
            }
        }
        if !replay {
            self.settled(noticed);
        }
        self.watermark.settle(offset);
        self.read_to = self.read_to.max(offset + 1);
        Ok(())
    }

    fn admit_chunk(
        &mut self,
        chunk: AudioChunk,
        (record, polled_at): (&Arc<InRecord>, Duration),
        replay: bool,
        now: Duration,
    ) -> Result<(), PartitionHalt> {
        let id = chunk.stream_id.clone();
        // First of all: a START of an earlier stream of the same id, read again for another stream's sake, must not
        // supersede the one in flight.
        if self.streams.get(&id).is_some_and(|stream| !stream.wants(record.offset)) {
            return Ok(());
        }
        self.make_way(&chunk, record, now)?;
        let stream = match self.streams.get_mut(&id) {
            Some(stream) => stream,
            None if replay => return Ok(()),
            None if self.recent.repeats(&id, chunk.seq, chunk.capture_time_us) => {
                self.notices.push(Notice::Skipped);
                return Ok(());
            }
            None => {
                let traceparent = crate::kafka::headers::traceparent(&record.headers).unwrap_or_default();
                self.notices.push(Notice::StreamStarted);
                let mut fresh = Stream::new(id.clone(), record.offset, traceparent, now);
                if let Some(lineage) = self.writer.lineage() {
                    fresh.enter(lineage, self.id, false);
                }
                self.streams.entry(id.clone()).or_insert(fresh)
            }
        };
        let inbound = Inbound {
            body: chunk.body,
            capture_time_us: chunk.capture_time_us,
            record: Arc::clone(record),
            polled_at,
        };
        match stream.accept(chunk.seq, inbound, now) {
            Arrival::Ready => {
                self.ready.push_back(id.clone());
                self.touched.insert(id);
            }
            Arrival::Held => {
                self.touched.insert(id);
            }
            Arrival::Repeat => self.notices.push(Notice::Repeat),
            Arrival::Overflow => {
                let fault = stream.gap_fault();
                self.give_up(&id, &fault, Some(Arc::clone(record)))?;
            }
        }
        Ok(())
    }

    /// Brings the stream that a chunk belongs to up to date, where the chunk may begin another of the same id.
    fn make_way(
        &mut self,
        chunk: &AudioChunk,
        record: &InRecord,
        now: Duration,
    ) -> Result<(), PartitionHalt> {
        if chunk.seq != 0 {
            return Ok(());
        }
        while self.streams.get(&chunk.stream_id).is_some_and(|stream| stream.is_ready() || stream.finishing())
        {
            if self.ready.is_empty() {
                self.settle()?;
            } else {
                let id = self.ready.pop_front().unwrap_or_else(|| chunk.stream_id.clone());
                self.step(&id, now)?;
            }
        }
        let replayed = dead_letter::attempts(&record.headers) > 0;
        let superseded = self.streams.get(&chunk.stream_id).is_some_and(|stream| {
            stream.is_superseded_by(chunk.capture_time_us) || (replayed && stream.aborted().is_some())
        });
        if superseded {
            self.settle()?;
            self.supersede(&chunk.stream_id);
        }
        Ok(())
    }

    fn supersede(&mut self, id: &StreamId) {
        let Some(mut stream) = self.streams.remove(id) else { return };
        if stream.aborted().is_none() {
            let reason = AbortReason {
                code: "superseded".to_owned(),
                message: "a new stream with the same id began before END".to_owned(),
                stage: self.writer.stage_name().to_owned(),
            };
            let mut out = StreamOutput::default();
            stream.abort(reason, &mut out);
            self.over(&stream, Some("superseded"));
            self.write(&mut stream, out);
            self.tell(&mut stream, Status::Aborted);
        }
        self.gone.insert(id.clone());
    }

    fn step(&mut self, id: &StreamId, now: Duration) -> Result<(), PartitionHalt> {
        let Some(mut stream) = self.streams.remove(id) else { return Ok(()) };
        let Some((seq, inbound)) = stream.next_inbound(now) else {
            self.streams.insert(id.clone(), stream);
            return Ok(());
        };
        if stream.aborted().is_some() {
            self.notices.push(Notice::Skipped);
        }
        // What is fed may have been accepted in an earlier epoch: its effects need a state record of this one.
        self.touched.insert(id.clone());
        let record = Arc::clone(&inbound.record);
        let mut out = StreamOutput::default();
        let waiting = stream.ready_windows();
        let began = self.writer.clock().now();
        let waited = began.saturating_sub(inbound.polled_at);
        self.notices.push(Notice::Fed { waited });
        stream.note_wait(waited);
        let outcome = stream.feed(seq, inbound, &self.blueprint, &mut out);
        stream.note_processing(self.writer.clock().now().saturating_sub(began));
        self.waiting_windows += stream.ready_windows().saturating_sub(waiting);
        self.write(&mut stream, out);
        if stream.is_ready() {
            self.ready.push_back(id.clone());
        }
        self.conclude(stream, outcome, Some(record))
    }

    fn conclude(
        &mut self,
        mut stream: Stream,
        outcome: Result<Progress, StreamFault>,
        record: Option<Arc<InRecord>>,
    ) -> Result<(), PartitionHalt> {
        let id = stream.id().clone();
        match outcome {
            Ok(Progress::Open) => {
                self.streams.insert(id, stream);
            }
            Ok(Progress::Ended) => {
                self.over(&stream, None);
                self.tell(&mut stream, Status::Finished);
                self.recent.remember(id.clone(), stream.started_at_us());
                self.gone.insert(id);
            }
            Ok(Progress::Aborted) => {
                if stream.aborted().is_none() {
                    self.over(&stream, Some("aborted_upstream"));
                    self.tell(&mut stream, Status::Aborted);
                }
                self.recent.remember(id.clone(), 0);
                self.gone.insert(id);
            }
            Err(fault) => {
                self.streams.insert(id.clone(), stream);
                self.give_up(&id, &fault, record)?;
            }
        }
        Ok(())
    }

    fn give_up(
        &mut self,
        id: &StreamId,
        fault: &StreamFault,
        record: Option<Arc<InRecord>>,
    ) -> Result<(), PartitionHalt> {
        if let Disposition::Halt = disposition::of_stream(fault) {
            return Err(PartitionHalt::Configuration(fault.to_string()));
        }
        let Some(mut stream) = self.streams.remove(id) else { return Ok(()) };
        if stream.aborted().is_some() {
            self.streams.insert(id.clone(), stream);
            return Ok(());
        }
        let reason = AbortReason {
            code: fault.code().to_owned(),
            message: fault.to_string(),
            stage: fault.stage().unwrap_or(self.writer.stage_name()).to_owned(),
        };
        let record = record.or_else(|| stream.held_record());
        let mut out = StreamOutput::default();
        stream.abort(reason, &mut out);
        self.over(&stream, Some(fault.code()));
        self.write(&mut stream, out);
        self.tell(&mut stream, Status::Aborted);
        if let Some(record) = record {
            let stage = fault.stage().unwrap_or(self.writer.stage_name());
            self.dead_letter(&record, stage, fault.code(), &fault.to_string(), Some(stream.first_offset()));
        }
        self.touched.insert(id.clone());
        self.streams.insert(id.clone(), stream);
        Ok(())
    }

    /// Gives up the streams that waited too long, as far as the log has been read. Call at least once a second.
    pub fn tick(&mut self, now: Duration) -> Result<(), PartitionHalt> {
        let Some(now) = self.caught_up.at(now) else { return Ok(()) };
        let (gap, idle) = (self.limits.gap_timeout, self.limits.idle_timeout);
        let overdue =
            |(id, stream): (&StreamId, &Stream)| Some((id.clone(), stream.overdue(now, gap, idle)?));
        let mut all: Vec<_> = self.streams.iter().filter_map(overdue).collect();
        all.sort_by(|(left, _), (right, _)| left.cmp(right));
        for (id, fault) in all {
            self.settle()?;
            let given_up = self.streams.get(&id).is_some_and(|stream| stream.aborted().is_some());
            if given_up {
                self.streams.remove(&id);
                self.recent.remember(id.clone(), 0);
                self.gone.insert(id);
            } else {
                self.give_up(&id, &fault, None)?;
            }
        }
        Ok(())
    }
}
