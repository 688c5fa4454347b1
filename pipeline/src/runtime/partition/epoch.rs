//! What a partition contributes to a transaction: buffered as it is emitted, cut by [`Partition::freeze`].

use super::{Notice, Partition};
use crate::error::PartitionHalt;
use crate::kafka::headers;
use crate::ports::{InRecord, OutRecord};
use crate::runtime::lineage::Told;
use crate::runtime::stream::{Stream, StreamOutput};
use std::rc::Rc;
use treble_schemas::ChunkBody;
use treble_schemas::event::Status;

/// What one partition contributes to a transaction.
#[derive(Debug, Default)]
pub struct EpochPart {
    /// The tenure under which it was cut.
    pub tenure: u64,
    /// Records to write, in order.
    pub records: Vec<OutRecord>,
    /// The position to commit: always where there are records, so that no transaction goes without the proof of
    /// membership that is sent with it.
    pub position: Option<i64>,
    /// What is told once it is committed.
    pub told: Told,
}

impl Partition {
    pub(super) fn write(&mut self, stream: &mut Stream, out: StreamOutput) {
        if let Some(events) = self.writer.events() {
            stream.note_mode(&events.reporter);
        }
        self.notices.extend(out.facts.into_iter().map(|(stage, fact)| Notice::Fact(stage, fact)));
        for chunk in &out.chunks {
            if let ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } = &chunk.body {
                self.notices.push(Notice::Emitted { bytes: segment.data.len() as u64 });
            }
            let record = self.writer.output(self.id, chunk, stream.onward(), stream.account());
            self.push_record(record);
        }
    }

    /// Tells what this epoch did to a stream, and, where the stream is over and the pipeline ends here, of the whole.
    pub(super) fn tell(&mut self, stream: &mut Stream, status: Status) {
        let writer = Rc::clone(&self.writer);
        let Some(events) = writer.events() else { return stream.forget_tally() };
        let at = (self.id, writer.clock().unix_us());
        let id = stream.id().clone();
        let event = stream.stage_event(&events.reporter, at, status);
        let event = event.and_then(|event| writer.event(self.id, &id, stream.onward(), &event));
        let is_over = status != Status::Running && events.ends_pipeline;
        let report = is_over.then(|| stream.report(at, status));
        let report = report.and_then(|report| writer.event(self.id, &id, stream.onward(), &report));
        event.into_iter().chain(report).for_each(|record| self.push_record(record));
    }

    pub(super) fn dead_letter(
        &mut self,
        record: &InRecord,
        stage: &str,
        code: &'static str,
        message: &str,
        stream_first_offset: Option<i64>,
    ) {
        let trace = headers::trace_context(&record.headers);
        self.notices.push(Notice::DeadLetter { code, offset: record.offset, trace });
        let letter = self.writer.dead_letter(record, stage, code, message, stream_first_offset);
        self.push_record(letter);
    }

    fn push_record(&mut self, record: OutRecord) {
        self.record_bytes += record.size_bytes();
        self.records.push(record);
    }

    /// Whether a commit would write anything or move the position.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.records.is_empty() || !self.touched.is_empty() || self.watermark.has_moved()
    }

    /// Cuts the epoch: everything emitted so far, the state of every stream touched, and the position.
    pub fn freeze(&mut self) -> Result<EpochPart, PartitionHalt> {
        self.settle()?;
        for id in std::mem::take(&mut self.touched) {
            if let Some(mut stream) = self.streams.remove(&id) {
                self.tell(&mut stream, Status::Running);
                let mut state = stream.state(self.read_to, &self.blueprint.stages);
                if self.writer.events().is_none() {
                    state.account.clear();
                }
                let record = self.writer.state(self.id, &id, &state);
                self.records.push(record);
                self.gone.remove(&id);
                self.streams.insert(id, stream);
            }
        }
        for id in std::mem::take(&mut self.gone) {
            if !self.streams.contains_key(&id) {
                self.records.push(self.writer.tombstone(self.id, &id));
            }
        }
        self.record_bytes = 0;
        let records = std::mem::take(&mut self.records);
        let moved = self.watermark.freeze();
        let position = if records.is_empty() { moved } else { Some(self.watermark.position()) };
        Ok(EpochPart { tenure: self.tenure, records, position, told: std::mem::take(&mut self.told) })
    }
}
