//! What a record says, as far as it is of a kind that Treble writes or reads.

use crate::kafka::headers;
use crate::ports::InRecord;
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt;
use treble_schemas::dead_letter::DeadLetter;
use treble_schemas::event::{Event, StageEvent, StreamReport};
use treble_schemas::frame::{self, Format};
use treble_schemas::state::StreamState;
use treble_schemas::{AudioChunk, ChunkBody, Segment};

/// See the module.
#[derive(Debug)]
pub(super) enum Said {
    /// Nothing: the key is deleted from a compacted topic.
    Tombstone,
    /// What was given up, and why.
    DeadLetter(DeadLetter),
    /// A whole clip: its media type and bytes.
    Clip(String, usize),
    /// A part of a stream.
    Chunk(AudioChunk),
    /// Where a stage can take a stream up again.
    State(StreamState),
    /// What a stage did to a stream in one commit.
    Event(Box<StageEvent>),
    /// The account of a stream that is over.
    Report(Box<StreamReport>),
    /// Something else, by its size and, where it is framed, its schema.
    Bytes { count: usize, schema_id: Option<u32> },
}

impl Said {
    /// What `record` says. Dead letters are known by their headers, the rest by its value: each reader refuses what
    /// is not its own.
    pub(super) fn of(record: &InRecord) -> Self {
        let Some(value) = &record.value else { return Self::Tombstone };
        if let Ok(letter) = DeadLetter::from_headers(&record.headers) {
            return Self::DeadLetter(letter);
        }
        if let Some(content_type) = headers::clip_content_type(&record.headers) {
            return Self::Clip(content_type, value.len());
        }
        let key = record.key.as_deref().unwrap_or_default();
        message(value, key).or_else(|| datum(value)).unwrap_or_else(|| Self::Bytes {
            count: value.len(),
            schema_id: frame::split(value, Format::Avro).ok().map(|framed| framed.schema_id),
        })
    }

    /// The kind, for programs.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::DeadLetter(_) => "dead_letter",
            Self::Clip(..) => "clip",
            Self::Chunk(_) => "chunk",
            Self::State(_) => "state",
            Self::Event(_) => "event",
            Self::Report(_) => "report",
            Self::Bytes { .. } => "bytes",
        }
    }

    /// What it says, for programs. Audio itself is told by its length only.
    pub(super) fn document(&self) -> Value {
        match self {
            Self::Tombstone => Value::Null,
            Self::DeadLetter(letter) => json!({
                "code": letter.code, "message": letter.message, "stage": letter.stage, "topic": letter.topic,
                "partition": letter.partition, "offset": letter.offset, "attempt": letter.attempt,
            }),
            Self::Clip(content_type, bytes) => json!({ "content_type": content_type, "bytes": bytes }),
            Self::Chunk(chunk) => chunk_document(chunk),
            Self::State(state) => json!({
                "next_in_seq": state.next_in_seq, "next_out_seq": state.next_out_seq, "out_samples": state.out_samples,
                "restart_offset": state.restart_offset, "aborted": state.aborted.is_some(),
            }),
            Self::Event(event) => json!(event),
            Self::Report(report) => json!(report),
            Self::Bytes { count, schema_id } => json!({ "bytes": count, "schema_id": schema_id }),
        }
    }
}

/// A Protobuf message of ours: a chunk, whose stream is the record's key, or a state.
fn message(value: &Bytes, key: &[u8]) -> Option<Said> {
    let body = frame::split(value, Format::Protobuf).ok()?.body;
    let chunk = AudioChunk::decode(body.clone()).ok().filter(|chunk| chunk.check_key(key).is_ok());
    chunk.map(Said::Chunk).or_else(|| StreamState::from_wire(body).ok().map(Said::State))
}

/// An event, as this version writes it: the lengths of the two kinds tell them apart, since neither leaves a rest.
fn datum(value: &Bytes) -> Option<Said> {
    let body = frame::split(value, Format::Avro).ok()?.body;
    let event = StageEvent::decode(&body).ok().map(|event| Said::Event(Box::new(event)));
    event.or_else(|| StreamReport::decode(&body).ok().map(|report| Said::Report(Box::new(report))))
}

fn chunk_document(chunk: &AudioChunk) -> Value {
    let mut document = json!({
        "stream_id": chunk.stream_id.as_str(), "seq": chunk.seq, "capture_time_us": chunk.capture_time_us,
        "kind": chunk.body.kind().as_str_name(),
    });
    match &chunk.body {
        ChunkBody::Start { format, segment } => {
            document["codec"] = json!(format.codec);
            document["sample_rate_hz"] = json!(format.sample_rate_hz);
            document["channels"] = json!(format.channels);
            document["bytes"] = json!(segment.data.len());
        }
        ChunkBody::Data { segment, .. } => {
            document["bytes"] = json!(segment.data.len());
            document["samples"] = json!(segment.n_samples);
            document["discontinuity"] = json!(segment.discontinuity);
        }
        ChunkBody::End(totals) => document["samples"] = json!(totals.samples),
        ChunkBody::Abort(reason) => {
            document["code"] = json!(reason.code);
            document["message"] = json!(reason.message);
        }
    }
    document
}

fn run(segment: &Segment) -> String {
    let missing = if segment.discontinuity { ", something is missing before it" } else { "" };
    format!(
        "{} samples from {}, {} bytes{missing}",
        segment.n_samples,
        segment.pts_samples,
        segment.data.len()
    )
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tombstone => write!(f, "deleted"),
            Self::DeadLetter(letter) => write!(
                f,
                "dead letter of {}: {}: {} (from {} [{}] {})",
                letter.stage, letter.code, letter.message, letter.topic, letter.partition, letter.offset
            ),
            Self::Clip(content_type, bytes) => write!(f, "clip {content_type}, {bytes} bytes"),
            Self::Chunk(chunk) => {
                write!(f, "#{} ", chunk.seq)?;
                match &chunk.body {
                    ChunkBody::Start { format, segment } => write!(
                        f,
                        "START {} {} Hz, {} channels, {} bytes",
                        format.codec,
                        format.sample_rate_hz,
                        format.channels,
                        segment.data.len()
                    ),
                    ChunkBody::Data { segment, .. } => write!(f, "DATA {}", run(segment)),
                    ChunkBody::End(totals) => write!(f, "END after {} samples", totals.samples),
                    ChunkBody::Abort(reason) => {
                        write!(f, "ABORT by {}: {}: {}", reason.stage, reason.code, reason.message)
                    }
                }
            }
            Self::State(state) => write!(
                f,
                "state: {} chunks in, {} out, {} samples; restarts at offset {}",
                state.next_in_seq, state.next_out_seq, state.out_samples, state.restart_offset
            ),
            Self::Event(event) => write!(
                f,
                "event: {} of {}, {:?}, {:.2} s of audio",
                event.stage, event.stream_id, event.status, event.audio_seconds
            ),
            Self::Report(report) => write!(
                f,
                "report: {} {:?}, {:.2} s of audio, {:.2} s end to end",
                report.stream_id, report.status, report.duration_seconds, report.end_to_end_latency_seconds
            ),
            Self::Bytes { count, schema_id: Some(id) } => write!(f, "{count} bytes with schema {id}"),
            Self::Bytes { count, schema_id: None } => write!(f, "{count} bytes"),
        }
    }
}
