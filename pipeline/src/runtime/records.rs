//! Chunks, states and dead letters as records: which topic, which key, which frame, which headers.

use super::account::{self, Account, Reporter};
use super::lineage::Lineage;
use crate::kafka::headers;
use crate::ports::{Clock, Header, InRecord, OutRecord};
use crate::topology::Segment;
use bytes::Bytes;
use std::sync::Arc;
use treble_schemas::dead_letter::{self, DeadLetter};
use treble_schemas::event::Event;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, Contract, StreamId, StreamState};

/// Writes what one segment emits.
#[derive(Debug, Clone)]
pub struct RecordWriter {
    segment: Segment,
    dlq_topic: String,
    chunk_schema: u32,
    state_schema: u32,
    clock: Arc<dyn Clock>,
    events: Option<EventWriter>,
    lineage: Option<Lineage>,
}

/// How events are written.
#[derive(Debug, Clone)]
pub struct EventWriter {
    /// The topic.
    pub topic: String,
    /// The id of StageEvent there.
    pub stage_event_schema: u32,
    /// The id of StreamReport there.
    pub stream_report_schema: u32,
    /// Who reports.
    pub reporter: Reporter,
    /// Whether the segment ends the pipeline, and so accounts for whole streams.
    pub ends_pipeline: bool,
}

impl RecordWriter {
    /// A writer for `segment`, framing with the ids that the registry gave.
    #[must_use]
    pub fn new(
        segment: Segment,
        dlq_topic: String,
        chunk_schema: u32,
        state_schema: u32,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { segment, dlq_topic, chunk_schema, state_schema, clock, events: None, lineage: None }
    }

    /// The same, which writes events too.
    #[must_use]
    pub fn with_events(self, events: EventWriter) -> Self {
        Self { events: Some(events), ..self }
    }

    /// The same, which gives streams their place in traces.
    #[must_use]
    pub fn with_lineage(self, lineage: Lineage) -> Self {
        Self { lineage: Some(lineage), ..self }
    }

    /// How streams get their place in traces, where traces are kept.
    #[must_use]
    pub fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// How events are written, if they are.
    #[must_use]
    pub fn events(&self) -> Option<&EventWriter> {
        self.events.as_ref()
    }

    /// The clock by which records are stamped.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// An event about stream `id`, in its partition of the events topic.
    #[must_use]
    pub fn event<E: Event>(
        &self,
        partition: i32,
        id: &StreamId,
        traceparent: &str,
        event: &E,
    ) -> Option<OutRecord> {
        let events = self.events.as_ref()?;
        let schema = match E::CONTRACT {
            Contract::StreamReport => events.stream_report_schema,
            Contract::StageEvent | Contract::AudioChunk | Contract::StreamState => events.stage_event_schema,
        };
        let mut value = Vec::new();
        frame::write_header(&mut value, schema, Format::Avro);
        match event.encode() {
            Ok(body) => value.extend(body),
            Err(error) => {
                tracing::error!(%error, "an event that cannot be written; this is a defect, please report it");
                return None;
            }
        }
        let trace = (!traceparent.is_empty()).then(|| Header::text(headers::TRACEPARENT, traceparent));
        Some(OutRecord {
            topic: events.topic.clone(),
            partition: Some(partition),
            key: key(id),
            value: Some(value.into()),
            headers: trace.into_iter().collect(),
        })
    }

    /// The name of the segment's first stage, which stands for the segment where no stage is at fault.
    #[must_use]
    pub fn stage_name(&self) -> &'static str {
        self.segment.stages.first().map_or("", |stage| stage.name)
    }

    /// The topic that the segment reads.
    #[must_use]
    pub fn input_topic(&self) -> &str {
        &self.segment.input_topic
    }

    /// A chunk for the output topic.
    #[must_use]
    pub fn output(
        &self,
        partition: i32,
        chunk: &AudioChunk,
        traceparent: &str,
        account: &Account,
    ) -> OutRecord {
        let mut value = framed(self.chunk_schema);
        chunk.encode(&mut value);
        let trace = (!traceparent.is_empty()).then(|| Header::text(headers::TRACEPARENT, traceparent));
        let is_last = matches!(chunk.body, ChunkBody::End(_) | ChunkBody::Abort(_));
        let hands_on = is_last && self.events.as_ref().is_some_and(|events| !events.ends_pipeline);
        let account = hands_on
            .then(|| Header { name: account::HEADER.to_owned(), value: Some(account.write().into()) });
        OutRecord {
            topic: self.segment.output_topic.clone(),
            partition: Some(partition),
            key: key(&chunk.stream_id),
            value: Some(value.into()),
            headers: trace.into_iter().chain(account).collect(),
        }
    }

    /// The state of a stream.
    ///
    /// # Panics
    /// Never: the runtime builds states that hold what their reader checks.
    #[must_use]
    pub fn state(&self, partition: i32, id: &StreamId, state: &StreamState) -> OutRecord {
        let mut value = framed(self.state_schema);
        value.extend(state.to_wire().expect("the runtime's states are consistent"));
        self.state_record(partition, id, Some(value.into()))
    }

    /// The tombstone of a stream that is over.
    #[must_use]
    pub fn tombstone(&self, partition: i32, id: &StreamId) -> OutRecord {
        self.state_record(partition, id, None)
    }

    fn state_record(&self, partition: i32, id: &StreamId, value: Option<Bytes>) -> OutRecord {
        OutRecord {
            topic: self.segment.state_topic.clone(),
            partition: Some(partition),
            key: key(id),
            value,
            headers: Vec::new(),
        }
    }

    /// A dead letter about `record`: its key, value and headers, and what went wrong.
    #[must_use]
    pub fn dead_letter(
        &self,
        record: &InRecord,
        stage: &str,
        code: &str,
        message: &str,
        stream_first_offset: Option<i64>,
    ) -> OutRecord {
        let letter = DeadLetter {
            code: code.to_owned(),
            message: message.to_owned(),
            stage: stage.to_owned(),
            topic: record.topic.to_string(),
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: (record.timestamp_ms >= 0).then_some(record.timestamp_ms),
            stream_first_offset,
            attempt: dead_letter::attempts(&record.headers) + 1,
            failed_at_ms: self.clock.unix_us() / 1000,
            treble_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        OutRecord {
            topic: self.dlq_topic.clone(),
            partition: None,
            key: record.key.clone().unwrap_or_default(),
            value: record.value.clone(),
            headers: letter.headers(&record.headers),
        }
    }
}

fn key(id: &StreamId) -> Bytes {
    Bytes::copy_from_slice(id.as_str().as_bytes())
}

fn framed(schema: u32) -> Vec<u8> {
    let mut value = Vec::with_capacity(frame::PROTOBUF_HEADER_BYTES);
    frame::write_header(&mut value, schema, Format::Protobuf);
    value
}
