//! Chunks, states and dead letters as records: which topic, which key, which frame, which headers.

use crate::kafka::headers;
use crate::ports::{Clock, Header, InRecord, OutRecord};
use crate::topology::Segment;
use bytes::Bytes;
use std::sync::Arc;
use treble_schemas::dead_letter::{self, DeadLetter};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, StreamId, StreamState};

/// Writes what one segment emits.
#[derive(Debug, Clone)]
pub struct RecordWriter {
    segment: Segment,
    dlq_topic: String,
    chunk_schema: u32,
    state_schema: u32,
    clock: Arc<dyn Clock>,
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
        Self { segment, dlq_topic, chunk_schema, state_schema, clock }
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
    pub fn output(&self, partition: i32, chunk: &AudioChunk, traceparent: &str) -> OutRecord {
        let mut value = framed(self.chunk_schema);
        chunk.encode(&mut value);
        let trace = (!traceparent.is_empty()).then(|| Header::text(headers::TRACEPARENT, traceparent));
        OutRecord {
            topic: self.segment.output_topic.clone(),
            partition: Some(partition),
            key: key(&chunk.stream_id),
            value: Some(value.into()),
            headers: trace.into_iter().collect(),
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
