//! A line of the log: what collectors publish on the topic of lines, one JSON object a record, without a frame.
//!
//! The fields are stated once. The JSON Schema, Azure's table and rule, the lake's columns and the page of the
//! documentation are written from this list.

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A point in time: RFC 3339 in UTC with microseconds.
    Time,
    /// Text.
    Text,
    /// One of a closed set, which the writer knows.
    Closed,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Names and texts that are no field of their own.
    Attributes,
}

/// A field of a line, and so a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in a line and in the lake.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every line has it.
    pub required: bool,
    /// What it says.
    pub meaning: &'static str,
}

macro_rules! fields {
    ($($name:ident: $kind:ident $required:literal $meaning:literal;)+) => {
        /// All fields, in the order in which a line has them.
        pub const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            kind: Kind::$kind,
            required: $required,
            meaning: $meaning,
        },)+];
    };
}

fields! {
    time: Time true "When it happened, in UTC.";
    level: Closed true "How grave it is.";
    target: Text true "The module that tells of it.";
    message: Text true "What happened, for people; the same words for the same thing.";
    component: Text true "What the process is: a stage, pipeline (several stages), sql, lag or canary.";
    instance: Text true "Which process: instance_id.";
    pipeline: Text true "Which pipeline: the prefix of its topics.";
    stage: Text false "The stage, or the stages of a fused segment joined by -.";
    event: Closed false "What it tells of, for programs.";
    error: Text false "What went wrong, with its causes.";
    error_code: Text false "The exact code, as in the dead letter.";
    error_type: Closed false "The kind of error, as in metrics.";
    error_category: Closed false "What is at fault; every warning and error has it.";
    duration_seconds: Number false "How long it took.";
    topic: Text false "The topic.";
    record_partition: Integer false "The partition.";
    record_offset: Integer false "The offset of the record.";
    stream_id: Text false "The stream: the record's key.";
    trace_id: Text false "The trace (W3C Trace Context), 32 hexadecimal digits.";
    span_id: Text false "The span, 16 hexadecimal digits.";
    client_ip: Text false "Who came to a door.";
    suppressed: Integer false "Lines of the same place that this line stands for.";
    attributes: Attributes false "All else that is known, as text.";
}

/// The event of the line that proves that lines arrive.
pub const CANARY: &str = "log_canary";
