//! Facts as spans. Pure.
//!
//! Names and attributes are those of OpenTelemetry's semantic conventions 1.37.0 (messaging, Kafka); what they have no
//! name for begins with `treble.`. No key, no value and no header of a record is among them, and no stream's name, which is
//! a record's key.

use crate::kafka::headers::TraceContext;
use crate::runtime::lineage::{Batch, Links, Passage, StagePassage, Told};
use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use treble_schemas::event::Mode;

/// The version of the conventions, as spans name it.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

/// Every attribute that a span may have.
pub const ATTRIBUTES: [&str; 19] = [
    "error.type",
    "messaging.batch.message_count",
    "messaging.consumer.group.name",
    "messaging.destination.name",
    "messaging.destination.partition.id",
    "messaging.kafka.offset",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "treble.audio_seconds",
    "treble.batch.streams",
    "treble.batch.windows",
    "treble.busy_seconds",
    "treble.last_offset",
    "treble.latency_seconds",
    "treble.mode",
    "treble.resumed",
    "treble.segment",
    "treble.stage",
];

/// The segment whose spans they are.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its stages, joined by `-`.
    pub name: String,
    /// Its consumer group.
    pub group: String,
    /// The topic that it reads.
    pub topic: String,
}

/// A transaction that is committed.
#[derive(Debug, Clone, Copy)]
pub struct Commit {
    /// Its begin and end, Unix time in microseconds.
    pub window_us: (i64, i64),
    /// Records written in it.
    pub records: usize,
}

/// What a client did with one stream.
#[derive(Debug, Clone, Copy)]
pub struct ClientCall<'a> {
    /// `send` or `process`.
    pub operation: &'static str,
    /// The topic.
    pub topic: &'a str,
    /// The partition, and the offset of the stream's first record where it is known.
    pub place: (i32, Option<i64>),
    /// The span that it continues; `None` where the trace begins here.
    pub parent: Option<TraceContext>,
    /// Its span.
    pub context: TraceContext,
    /// Begin and end, Unix time in microseconds.
    pub window_us: (i64, i64),
    /// Records sent or read.
    pub records: u64,
    /// Why it failed, if it did: the error's code.
    pub error: Option<&'a str>,
}

/// The spans of an epoch: of each stream that left, what its stages did; the model's runs; the commit that made it durable.
/// Streams that failed, or took longer than `slow` from their last chunk to their end here, are told of whether or
/// not they are sampled.
#[must_use]
pub fn of_epoch(segment: &Segment, commit: &Commit, told: &Told, slow: Duration) -> Vec<SpanData> {
    let kept: Vec<&Passage> = told.passages.iter().filter(|passage| is_kept(passage, slow)).collect();
    let commit =
        kept.first().and_then(|first| commit_context(first.context)).map(|context| (context, commit));
    let mut spans = Vec::new();
    for passage in &kept {
        spans.push(of_passage(segment, passage, commit.map(|(context, _)| context)));
        spans.extend(passage.stages.iter().map(|stage| of_stage(segment, passage, stage)));
    }
    spans.extend(told.batches.iter().map(|batch| of_batch(segment, batch)));
    spans.extend(commit.map(|(context, commit)| of_commit(segment, commit, context, &kept)));
    spans
}

/// Whether a stream is told of: sampled, failed, or slow.
fn is_kept(passage: &Passage, slow: Duration) -> bool {
    let is_slow =
        latency_us(passage).is_some_and(|us| us > i64::try_from(slow.as_micros()).unwrap_or(i64::MAX));
    passage.context.sampled() || passage.code.is_some() || is_slow
}

/// From the capture of the stream's last chunk to its end here.
fn latency_us(passage: &Passage) -> Option<i64> {
    let captured = passage.ending.last_capture_us;
    (captured > 0).then(|| passage.window_us.1.saturating_sub(captured).max(0))
}

/// The commit's own trace, named after the first stream that left with it: one stream leaves once.
fn commit_context(first: TraceContext) -> Option<TraceContext> {
    TraceContext::new(first.trace_id().rotate_left(64) ^ u128::from(first.parent_id()), first.parent_id(), 1)
}

fn of_passage(segment: &Segment, passage: &Passage, commit: Option<TraceContext>) -> SpanData {
    let mut attributes = messaging(segment, "process", "process");
    attributes.extend([
        KeyValue::new("messaging.destination.partition.id", passage.partition.to_string()),
        KeyValue::new("messaging.kafka.offset", passage.offsets.0),
        KeyValue::new("treble.last_offset", passage.offsets.1),
        KeyValue::new("treble.segment", segment.name.clone()),
        KeyValue::new("treble.audio_seconds", passage.ending.audio_seconds),
        KeyValue::new("treble.busy_seconds", passage.ending.busy.as_secs_f64()),
        KeyValue::new("treble.mode", mode(passage.ending.mode)),
        KeyValue::new("treble.resumed", passage.resumed),
    ]);
    attributes.extend(latency_us(passage).map(|us| KeyValue::new("treble.latency_seconds", seconds(us))));
    attributes.extend(passage.code.map(|code| KeyValue::new("error.type", code)));
    let mut links = Links::default();
    commit.into_iter().for_each(|commit| links.add(commit));
    SpanData {
        parent_span_is_remote: true,
        span_kind: SpanKind::Consumer,
        attributes,
        links: linked(&links),
        status: passage.code.map_or(Status::Unset, Status::error),
        ..span(
            format!("process {}", segment.topic).into(),
            passage.parent,
            passage.context,
            passage.window_us,
        )
    }
}

fn of_stage(segment: &Segment, passage: &Passage, stage: &StagePassage) -> SpanData {
    SpanData {
        attributes: vec![
            KeyValue::new("treble.segment", segment.name.clone()),
            KeyValue::new("treble.stage", stage.stage),
            KeyValue::new("treble.busy_seconds", stage.busy.as_secs_f64()),
        ],
        links: linked(&stage.batches),
        ..span(stage.stage.into(), Some(passage.context), stage.context, stage.window_us)
    }
}

fn of_batch(segment: &Segment, batch: &Batch) -> SpanData {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    SpanData {
        attributes: vec![
            KeyValue::new("treble.segment", segment.name.clone()),
            KeyValue::new("treble.batch.windows", whole(batch.windows)),
            KeyValue::new("treble.batch.streams", whole(batch.streams)),
        ],
        links: linked(&batch.links),
        ..span("infer".into(), None, batch.context, batch.window_us)
    }
}

fn of_commit(segment: &Segment, commit: &Commit, context: TraceContext, left: &[&Passage]) -> SpanData {
    let mut attributes = messaging(segment, "commit", "settle");
    attributes.push(KeyValue::new("treble.segment", segment.name.clone()));
    attributes.push(count(commit.records as u64));
    let mut links = Links::default();
    left.iter().for_each(|passage| links.add(passage.context));
    SpanData {
        span_kind: SpanKind::Client,
        attributes,
        links: linked(&links),
        ..span(format!("commit {}", segment.topic).into(), None, context, commit.window_us)
    }
}

/// The span of a client's call.
#[must_use]
pub fn of_client(call: &ClientCall<'_>) -> SpanData {
    let (partition, offset) = call.place;
    let mut attributes = vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", call.operation),
        KeyValue::new("messaging.operation.type", call.operation),
        KeyValue::new("messaging.destination.name", call.topic.to_owned()),
        KeyValue::new("messaging.destination.partition.id", partition.to_string()),
        count(call.records),
    ];
    attributes.extend(offset.map(|offset| KeyValue::new("messaging.kafka.offset", offset)));
    attributes.extend(call.error.map(|code| KeyValue::new("error.type", code.to_owned())));
    SpanData {
        parent_span_is_remote: call.parent.is_some(),
        span_kind: if call.operation == "send" { SpanKind::Producer } else { SpanKind::Consumer },
        attributes,
        status: call.error.map_or(Status::Unset, |code| Status::error(code.to_owned())),
        ..span(format!("{} {}", call.operation, call.topic).into(), call.parent, call.context, call.window_us)
    }
}

fn messaging(segment: &Segment, name: &'static str, kind: &'static str) -> Vec<KeyValue> {
    vec![
        KeyValue::new("messaging.system", "kafka"),
        KeyValue::new("messaging.operation.name", name),
        KeyValue::new("messaging.operation.type", kind),
        KeyValue::new("messaging.destination.name", segment.topic.clone()),
        KeyValue::new("messaging.consumer.group.name", segment.group.clone()),
    ]
}

fn count(records: u64) -> KeyValue {
    KeyValue::new("messaging.batch.message_count", i64::try_from(records).unwrap_or(i64::MAX))
}

fn mode(mode: Mode) -> Value {
    Value::from(match mode {
        Mode::None => "none",
        Mode::Baseline => "baseline",
        Mode::Ai => "ai",
    })
}

fn span(
    name: Cow<'static, str>,
    parent: Option<TraceContext>,
    context: TraceContext,
    (began_us, ended_us): (i64, i64),
) -> SpanData {
    SpanData {
        span_context: remote(context),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.parent_id())),
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name,
        start_time: at(began_us),
        end_time: at(ended_us.max(began_us)),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("treble")
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(SCHEMA_URL)
            .build(),
    }
}

fn linked(links: &Links) -> SpanLinks {
    let mut linked = SpanLinks::default();
    linked.links = links.kept.iter().map(|context| Link::new(remote(*context), Vec::new(), 0)).collect();
    linked.dropped_count = links.left_out;
    linked
}

fn remote(context: TraceContext) -> SpanContext {
    SpanContext::new(
        TraceId::from(context.trace_id()),
        SpanId::from(context.parent_id()),
        if context.sampled() { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED },
        false,
        TraceState::NONE,
    )
}

fn at(unix_us: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(unix_us).unwrap_or(0))
}

#[expect(clippy::cast_precision_loss, reason = "a latency need not be exact to the microsecond")]
fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests;
