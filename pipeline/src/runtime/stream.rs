//! One stream on one partition: its order, its chain of stages, and ([`durable`]) what outlives the process.

use super::account::{Account, Tally};
use super::blueprint::Blueprint;
use super::chain::{Chain, ChainOutput, ChainRestart};
use super::lineage::{Place, Timing};
use crate::convert;
use crate::error::StreamFault;
use crate::flow::reorder::{Arrival, Reorder};
use crate::ports::InRecord;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use treble_core::{AnyPayload, Fact, Measures};
use treble_schemas::{AbortReason, AudioChunk, AudioFormat, ChunkBody, Source, StreamId, Totals};

mod durable;
mod loss;
mod report;
mod trace;

/// A chunk on its way into the chain, with the record it came in.
#[derive(Debug, Clone)]
pub struct Inbound {
    /// What it says.
    pub body: ChunkBody,
    /// When its first frame was captured, Unix time in microseconds.
    pub capture_time_us: i64,
    /// The record, kept for a dead letter; shared by the pieces of a raw clip.
    pub record: Arc<InRecord>,
    /// When the record was polled.
    pub polled_at: Duration,
}

/// What became of a stream after a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// It goes on.
    Open,
    /// Its END has been emitted: state can go.
    Ended,
    /// Its producer gave it up, and ABORT has been emitted: state can go.
    Aborted,
}

/// What a step made a stream emit.
#[derive(Debug, Default)]
pub struct StreamOutput {
    /// Chunks for the output topic, in order; replayed ones left out.
    pub chunks: Vec<AudioChunk>,
    /// What the stages noticed.
    pub facts: Vec<(&'static str, Fact)>,
}

/// See the module.
#[derive(Debug)]
pub struct Stream {
    id: StreamId,
    order: Reorder<Inbound>,
    chain: Option<Chain>,
    restart: ChainRestart,
    formats: VecDeque<(u64, AudioFormat)>,
    offsets: VecDeque<(u64, i64)>,
    resume_offset: i64,
    /// Whether inputs may be missing at `resume_offset`, because retention deleted them.
    lossy: bool,
    /// Inputs that are missing and not yet stood in for.
    missing: u64,
    /// Whether the next chunk emitted does not follow seamlessly.
    broken: bool,
    replay_until: u64,
    first_offset: i64,
    started_at_us: i64,
    last_capture_us: i64,
    in_bytes: Option<u64>,
    next_out_seq: u64,
    out_format: Option<AudioFormat>,
    totals: Totals,
    source: Option<Source>,
    traceparent: String,
    /// Where it stands in its trace, where traces are kept.
    place: Option<Place>,
    /// When its stages worked, once there are none any more.
    timings: Vec<(&'static str, Timing)>,
    aborted: Option<AbortReason>,
    last_activity: Duration,
    tally: Tally,
    account: Account,
    measures: Option<Measures>,
    /// How long what is fed now has waited.
    waited: Duration,
    /// When it was first seen, in this process.
    opened: Duration,
    /// Time that the segment worked on it, in this process.
    busy: Duration,
    /// Why the producer gave the stream up, if it did.
    upstream: Option<AbortReason>,
    /// The offset of the last record that was fed.
    last_offset: i64,
    /// Whether what is fed now is fed for the first time.
    fresh: bool,
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub fn new(id: StreamId, first_offset: i64, traceparent: String, now: Duration) -> Self {
        Self {
            id,
            order: Reorder::new(0),
            chain: None,
            restart: ChainRestart::default(),
            formats: VecDeque::new(),
            offsets: VecDeque::new(),
            resume_offset: first_offset,
            lossy: false,
            missing: 0,
            broken: false,
            replay_until: 0,
            first_offset,
            started_at_us: 0,
            last_capture_us: 0,
            in_bytes: Some(0),
            next_out_seq: 0,
            out_format: None,
            totals: Totals { samples: 0, bytes: 0, crc32c: Some(0) },
            source: None,
            traceparent,
            place: None,
            timings: Vec::new(),
            aborted: None,
            last_activity: now,
            tally: Tally::default(),
            account: Account::default(),
            measures: None,
            waited: Duration::ZERO,
            opened: now,
            busy: Duration::ZERO,
            upstream: None,
            last_offset: first_offset,
            fresh: true,
        }
    }

    /// The stream's id.
    #[must_use]
    pub fn id(&self) -> &StreamId {
        &self.id
    }

    /// W3C trace context that the stream came with; empty where it has none.
    #[must_use]
    pub fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// When the stream's first chunk was captured, Unix time in microseconds.
    #[must_use]
    pub fn started_at_us(&self) -> i64 {
        self.started_at_us
    }

    /// The offset of the stream's first record.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.first_offset
    }

    /// Why the stream was given up, if it was.
    #[must_use]
    pub fn aborted(&self) -> Option<&AbortReason> {
        self.aborted.as_ref()
    }

    /// Whether a record at `offset` belongs to what this stream must be fed: an earlier one belongs to a
    /// stream of the same id that has ended, or lies before the restart point.
    #[must_use]
    pub fn wants(&self, offset: i64) -> bool {
        offset >= self.resume_offset
    }

    /// Whether inputs are being fed again whose effects are already committed.
    #[must_use]
    pub fn replays(&self) -> bool {
        self.order.next_seq() < self.replay_until
    }

    /// Whether END was fed, and the model still has windows.
    #[must_use]
    pub fn finishing(&self) -> bool {
        self.chain.as_ref().is_some_and(Chain::is_finishing)
    }

    /// Whether a START captured at `capture_time_us` begins another stream of the same id, rather than being
    /// a repeat of this one's.
    #[must_use]
    pub fn is_superseded_by(&self, capture_time_us: i64) -> bool {
        let begun = self.order.next_seq() > 0 || self.replay_until > 0;
        begun && self.started_at_us != capture_time_us
    }

    /// Takes a chunk.
    pub fn accept(&mut self, seq: u64, inbound: Inbound, now: Duration) -> Arrival {
        let offset = inbound.record.offset;
        self.skip_lost(seq);
        let arrival = self.order.accept(seq, inbound, now);
        if matches!(arrival, Arrival::Ready | Arrival::Held) {
            self.last_activity = now;
            let at = self.offsets.partition_point(|(other, _)| *other < seq);
            self.offsets.insert(at, (seq, offset));
        }
        arrival
    }

    /// The next chunk in order, if it is here.
    pub fn next_inbound(&mut self, now: Duration) -> Option<(u64, Inbound)> {
        self.order.next(now)
    }

    /// Feeds one chunk, taken by [`next_inbound`](Self::next_inbound).
    pub fn feed(
        &mut self,
        seq: u64,
        inbound: Inbound,
        blueprint: &Blueprint,
        out: &mut StreamOutput,
    ) -> Result<Progress, StreamFault> {
        if self.aborted.is_some() {
            self.missing = 0;
            return Ok(match inbound.body {
                ChunkBody::End(_) | ChunkBody::Abort(_) => Progress::Aborted,
                ChunkBody::Start { .. } | ChunkBody::Data { .. } => Progress::Open,
            });
        }
        self.count_input(seq, &inbound);
        self.stand_in(blueprint, out)?;
        self.last_capture_us = inbound.capture_time_us;
        self.source = Some(source_of(&inbound, seq));
        if seq == 0 {
            // A START, or the ABORT of a stream that its first stage gave up at once.
            self.started_at_us = inbound.capture_time_us;
        }
        match inbound.body {
            ChunkBody::Start { format, segment } => {
                if seq > 0 {
                    return Err(StreamFault::UnexpectedStart { seq });
                }
                self.feed_segment(seq, Some(format), segment, blueprint, out)?;
            }
            ChunkBody::Data { format, segment } => {
                self.feed_segment(seq, format, segment, blueprint, out)?;
            }
            ChunkBody::End(totals) => return self.feed_end(totals, blueprint, out),
            ChunkBody::Abort(reason) => {
                self.upstream = Some(reason.clone());
                self.emit_abort(reason, out);
                return Ok(Progress::Aborted);
            }
        }
        Ok(Progress::Open)
    }

    fn feed_segment(
        &mut self,
        seq: u64,
        format: Option<AudioFormat>,
        segment: treble_schemas::Segment,
        blueprint: &Blueprint,
        out: &mut StreamOutput,
    ) -> Result<(), StreamFault> {
        if let Some(format) = format {
            self.formats.push_back((seq, format));
        }
        let (_, format) = self.formats.back().ok_or(StreamFault::MissingStart)?;
        if let Some(bytes) = &mut self.in_bytes {
            *bytes += segment.data.len() as u64;
        }
        let payload = convert::to_payload(format, segment)?;
        let output = self.chain(blueprint)?.push(payload)?;
        self.collect(output, out);
        Ok(())
    }

    fn feed_end(
        &mut self,
        claimed: Totals,
        blueprint: &Blueprint,
        out: &mut StreamOutput,
    ) -> Result<Progress, StreamFault> {
        if let (Some(received), true) = (self.in_bytes, claimed.bytes > 0)
            && received != claimed.bytes
        {
            return Err(StreamFault::Totals { claimed: claimed.bytes, received });
        }
        if self.formats.is_empty() {
            return Err(StreamFault::MissingStart);
        }
        // A successor may have nothing to be fed again but END.
        let output = self.chain(blueprint)?.finish()?;
        self.collect(output, out);
        Ok(self.conclude(out))
    }

    /// The windows that became ready, with the operator that wants each group.
    pub fn windows(&mut self) -> Vec<(usize, Vec<treble_core::Window>)> {
        self.chain.as_mut().map(Chain::windows).unwrap_or_default()
    }

    /// How many windows wait to be taken to the model.
    #[must_use]
    pub fn ready_windows(&self) -> usize {
        self.chain.as_ref().map_or(0, Chain::ready_windows)
    }

    /// Brings an operator its results.
    pub fn supply(
        &mut self,
        operator: usize,
        results: Vec<treble_core::Window>,
        out: &mut StreamOutput,
    ) -> Result<Progress, StreamFault> {
        let Some(chain) = self.chain.as_mut() else { return Ok(Progress::Open) };
        let output = chain.supply(operator, results)?;
        self.collect(output, out);
        Ok(self.conclude(out))
    }

    fn conclude(&mut self, out: &mut StreamOutput) -> Progress {
        if !self.chain.as_ref().is_some_and(Chain::is_finished) {
            return Progress::Open;
        }
        self.tally.emit(0, 0, 0);
        let end = self.chunk(self.next_out_seq, ChunkBody::End(self.totals));
        self.next_out_seq += 1;
        out.chunks.push(end);
        Progress::Ended
    }

    /// Gives the stream up: ABORT follows what was emitted, and its remaining input is skipped.
    pub fn abort(&mut self, reason: AbortReason, out: &mut StreamOutput) {
        self.aborted = Some(reason.clone());
        self.emit_abort(reason, out);
    }

    fn emit_abort(&mut self, reason: AbortReason, out: &mut StreamOutput) {
        self.timings = self.chain.take().map(|chain| chain.timings()).unwrap_or_default();
        self.tally.emit(0, 0, 0);
        let abort = self.chunk(self.next_out_seq, ChunkBody::Abort(reason));
        self.next_out_seq += 1;
        out.chunks.push(abort);
    }

    /// The fault of a stream that waited too long at time `now`.
    #[must_use]
    pub fn overdue(&self, now: Duration, gap_limit: Duration, idle_limit: Duration) -> Option<StreamFault> {
        if let Some(gap) = self.order.expired_gap(now, gap_limit) {
            return Some(StreamFault::Gap { from: gap.from, to: gap.to });
        }
        let idle = now.saturating_sub(self.last_activity) >= idle_limit;
        idle.then_some(StreamFault::Idle)
    }

    /// The missing range, where chunks wait behind one.
    #[must_use]
    pub fn gap_fault(&self) -> StreamFault {
        match self.order.gap() {
            Some(gap) => StreamFault::Gap { from: gap.from, to: gap.to },
            None => StreamFault::MissingStart,
        }
    }

    /// A record that the stream is made of, for a dead letter about its absence.
    #[must_use]
    pub fn held_record(&self) -> Option<Arc<InRecord>> {
        self.order.held().next().map(|inbound| Arc::clone(&inbound.record))
    }

    /// Whether a chunk is ready to be fed.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.order.has_next()
    }

    fn chain(&mut self, blueprint: &Blueprint) -> Result<&mut Chain, StreamFault> {
        if self.chain.is_none() {
            self.chain = Some(Chain::resume(blueprint, &self.restart)?);
        }
        Ok(self.chain.as_mut().expect("built just above"))
    }

    fn collect(&mut self, output: ChainOutput, out: &mut StreamOutput) {
        if self.fresh {
            output.facts.iter().for_each(|(_, fact)| self.tally.fact(fact, &mut self.account));
            out.facts.extend(output.facts);
        }
        let emitted = self.chain.as_ref().map_or(0, Chain::emitted);
        let first = emitted - output.items.len() as u64;
        for (seq, payload) in (first..).zip(output.items) {
            let format = convert::format_of(&payload);
            let changed = self.out_format.as_ref() != Some(&format);
            if changed {
                self.account.output = Some((format.codec.clone(), format.sample_rate_hz, format.channels));
                self.out_format = Some(format.clone());
            }
            if seq >= self.next_out_seq {
                self.emit(seq, payload, format, changed, out);
            }
        }
    }

    fn emit(
        &mut self,
        seq: u64,
        payload: AnyPayload,
        format: AudioFormat,
        changed: bool,
        out: &mut StreamOutput,
    ) {
        let mut segment = convert::to_segment(payload);
        segment.discontinuity |= std::mem::take(&mut self.broken);
        self.tally.emit(segment.n_samples, format.sample_rate_hz, segment.data.len() as u64);
        self.account.gaps += u64::from(segment.discontinuity);
        self.totals.samples += segment.n_samples;
        self.totals.bytes += segment.data.len() as u64;
        self.totals.crc32c = self.totals.crc32c.map(|crc| convert::crc32c_append(crc, &segment.data));
        let body = match seq {
            0 => ChunkBody::Start { format, segment },
            _ => ChunkBody::Data { format: changed.then_some(format), segment },
        };
        out.chunks.push(self.chunk(seq, body));
        self.next_out_seq = seq + 1;
    }

    fn chunk(&self, seq: u64, body: ChunkBody) -> AudioChunk {
        AudioChunk {
            stream_id: self.id.clone(),
            seq,
            capture_time_us: if seq == 0 { self.started_at_us } else { self.last_capture_us },
            source: self.source.clone(),
            body,
        }
    }
}

fn source_of(inbound: &Inbound, seq: u64) -> Source {
    let record = &inbound.record;
    Source { topic: record.topic.to_string(), partition: record.partition, offset: record.offset, seq }
}
