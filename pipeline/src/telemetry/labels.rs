//! Values of labels: closed sets as enums, and names whose number the configuration bounds. What comes as free text is
//! mapped here; what nobody knows becomes `other` and is counted.

use std::borrow::Cow;
use std::sync::Arc;

/// One label of a metric.
pub trait Label {
    /// The label's name.
    const NAME: &'static str;
    /// The value.
    fn value(&self) -> Cow<'_, str>;
}

/// A label whose values are known when the program is built.
pub trait Closed: Label + Copy + 'static {
    /// All values.
    const ALL: &'static [Self];
    /// The place of this value in [`ALL`](Self::ALL).
    fn index(self) -> usize;
}

/// Declares a closed set: its label, its values.
macro_rules! closed {
    ($($(#[$doc:meta])* $set:ident($label:literal) { $($(#[$value_doc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $set { $($(#[$value_doc])* $variant,)+ }

        impl $set {
            /// The value as it is written.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl Label for $set {
            const NAME: &'static str = $label;
            fn value(&self) -> Cow<'_, str> {
                Cow::Borrowed(self.text())
            }
        }

        impl Closed for $set {
            const ALL: &'static [Self] = &[$(Self::$variant,)+];
            fn index(self) -> usize {
                self as usize
            }
        }
    )+};
}

closed! {
    /// How the sound is raised.
    Mode("mode") {
        /// Not by this stage, or nothing is known of it.
        None = "none",
        /// By resampling alone.
        Baseline = "baseline",
        /// By the model.
        Ai = "ai",
    }
    /// How a clip ends.
    Status("status") {
        /// Whole.
        Success = "success",
        /// Given up: a dead letter tells why.
        Failed = "failed",
        /// Its producer gave it up, or began another of the same id.
        Cancelled = "cancelled",
    }
    /// What became of a record when it was looked at.
    RecordResult("result") {
        /// Its stream took it.
        Ok = "ok",
        /// It became a dead letter, or a row of the lake's table of unreadable records.
        Dlq = "dlq",
        /// Its stream had it already, or is over.
        Dropped = "dropped",
    }
    /// Where records wait inside a process.
    Queue("queue") {
        /// Polled, not looked at.
        Input = "input",
        /// Windows that wait for the model.
        Batch = "batch",
        /// Written, not committed.
        Output = "output",
    }
    /// Why a stream is given up or a record refused, in few words; dead letters hold the exact code.
    ErrorType("error_type") {
        /// Bytes that are no audio, or broken audio.
        DecodeError = "decode_error",
        /// Audio of a kind that Treble does not take.
        UnsupportedFormat = "unsupported_format",
        /// The producer broke a rule of the contract.
        Validation = "validation",
        /// The GPU's memory is exhausted.
        GpuOom = "gpu_oom",
        /// The model could not run.
        GpuError = "gpu_error",
        /// The model took too long.
        InferenceTimeout = "inference_timeout",
        /// The encoder refused.
        EncodeError = "encode_error",
        /// Kafka refused, or what it held is gone.
        KafkaError = "kafka_error",
        /// Another process has taken the transactional id.
        TransactionFenced = "transaction_fenced",
        /// The lake refused.
        LakeError = "lake_error",
        /// Something did not come in time.
        Timeout = "timeout",
        /// A defect of ours.
        Internal = "internal",
        /// Unknown here.
        Other = "other",
    }
    /// What becomes of a transaction.
    Outcome("outcome") {
        /// It is committed.
        Committed = "committed",
        /// It was aborted, and nothing of it is visible.
        Aborted = "aborted",
        /// Another process has taken the transactional id.
        Fenced = "fenced",
        /// The producer is of no use any more, or the outcome is unknown.
        Broken = "broken",
    }
    /// A table of the lake.
    LakeTable("table") {
        /// Events of stages.
        StageEvents = "stage_events",
        /// Reports on streams.
        StreamReports = "stream_reports",
        /// Records that could not be read.
        Unreadable = "unreadable",
    }
    /// What becomes of a commit to the lake.
    LakeOutcome("outcome") {
        /// It is committed.
        Committed = "committed",
        /// Another process has read the partition further: nothing of it was committed.
        Overtaken = "overtaken",
        /// The lake refused, or did not say; what it holds is read before anything else is committed.
        Failed = "failed",
    }
    /// What a group's member is told.
    Rebalance("kind") {
        /// Partitions become ours.
        Assigned = "assigned",
        /// Partitions go to another.
        Revoked = "revoked",
        /// Partitions are another's already.
        Lost = "lost",
    }
    /// How a run of the model ends.
    Execution("outcome") {
        /// With results.
        Success = "success",
        /// With an error of library or device.
        Backend = "backend",
    }
    /// What runs the model.
    Backend("backend") {
        /// The processor.
        Cpu = "cpu",
        /// CUDA.
        Cuda = "cuda",
        /// TensorRT.
        Tensorrt = "tensorrt",
        /// Something else.
        Other = "other",
    }
    /// The door that a client came to.
    Protocol("protocol") {
        /// HTTP.
        Http = "http",
        /// Arrow Flight SQL.
        Flight = "flight",
        /// PostgreSQL's.
        Pgwire = "pgwire",
    }
    /// Whether a client was let in.
    Admission("outcome") {
        /// It was.
        Ok = "ok",
        /// It was not.
        Denied = "denied",
    }
    /// What kind of statement was asked.
    Asked("query_type") {
        /// For rows.
        Select = "select",
        /// For a plan.
        Explain = "explain",
        /// For what there is.
        Metadata = "metadata",
        /// To be planned for later.
        Prepare = "prepare",
        /// Something else.
        Other = "other",
    }
    /// How a statement ended.
    Answered("outcome") {
        /// With all its rows.
        Ok = "ok",
        /// With an error.
        Error = "error",
        /// Its client left before the last row.
        Cancelled = "cancelled",
        /// At its time limit.
        Timeout = "timeout",
        /// Refused: it was no reading, or too many were running.
        Denied = "denied",
    }
    /// How an HTTP request was answered (RFC 9110).
    StatusCode("status_code") {
        /// With an answer.
        Ok = "200",
        /// The request is wrong.
        BadRequest = "400",
        /// No token, or one that nobody has.
        Unauthorized = "401",
        /// The statement does not only read.
        Forbidden = "403",
        /// There is nothing here.
        NotFound = "404",
        /// Not with this method.
        MethodNotAllowed = "405",
        /// In no format that is accepted.
        NotAcceptable = "406",
        /// The statement is too long.
        ContentTooLarge = "413",
        /// The answer is too long.
        UnprocessableContent = "422",
        /// Too many statements are running.
        TooManyRequests = "429",
        /// A defect.
        InternalServerError = "500",
        /// The lake cannot be read, or memory is short.
        ServiceUnavailable = "503",
        /// It took too long.
        GatewayTimeout = "504",
        /// Something else.
        Other = "other",
    }
    /// Why a batch was closed.
    Flush("cause") {
        /// It is full.
        Full = "full",
        /// Nothing more came within `engine.max_delay_ms`.
        Deadline = "deadline",
        /// The engine ends.
        Shutdown = "shutdown",
    }
    /// Why the model does not run where it should.
    Fallback("reason") {
        /// There is no such device, or it cannot be used.
        NoDevice = "no_device",
    }
    /// What the lag collector asks a cluster for.
    Api("api") {
        /// All that a collection begins with.
        Metadata = "metadata",
        /// The groups.
        Groups = "groups",
        /// The bounds of logs.
        Offsets = "offsets",
        /// A group's positions.
        Positions = "positions",
        /// The record at a position.
        Fetch = "fetch",
        /// How long topics keep records.
        Configs = "configs",
    }
    /// How lag in seconds was found.
    Method("method") {
        /// From the record itself.
        Exact = "exact",
        /// Nothing readable is left.
        EmptyTail = "empty_tail",
        /// From when the log ended where.
        Interpolated = "interpolated",
        /// From records written a second.
        Rate = "rate",
        /// Not at all.
        None = "none",
    }
    /// The state of a group, as Kafka calls it.
    GroupState("state") {
        /// None of those below.
        Unknown = "unknown",
        /// Members join.
        PreparingRebalance = "preparing_rebalance",
        /// The leader assigns.
        CompletingRebalance = "completing_rebalance",
        /// At work.
        Stable = "stable",
        /// Forgotten.
        Dead = "dead",
        /// Without members.
        Empty = "empty",
        /// The broker assigns (KIP-848).
        Assigning = "assigning",
        /// Members give partitions back (KIP-848).
        Reconciling = "reconciling",
    }
}

/// Names whose number the configuration bounds.
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident($label:literal);)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(pub Arc<str>);

        impl Label for $name {
            const NAME: &'static str = $label;
            fn value(&self) -> Cow<'_, str> {
                Cow::Borrowed(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }
    )+};
}

bounded! {
    /// A stage, or the stages of a fused segment joined by `-`.
    Stage("stage");
    /// A topic.
    Topic("topic");
    /// What a stage noticed.
    FactName("fact");
    /// A model.
    Model("model");
    /// A version of something.
    Version("version");
    /// The commit that a program was built from.
    Revision("revision");
    /// A metric of ours.
    MetricName("metric");
    /// A consumer group of the cluster.
    ConsumerGroup("consumergroup");
}

/// A partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Partition(pub i32);

impl Label for Partition {
    const NAME: &'static str = "partition";
    fn value(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.to_string())
    }
}

impl StatusCode {
    /// The label of `code`.
    #[must_use]
    pub fn of(code: u16) -> Self {
        let known = Self::ALL.iter().find(|known| known.text().parse() == Ok(code));
        known.copied().unwrap_or(Self::Other)
    }
}

/// Why a record became a dead letter, or work was done again: an [`ErrorType`] under another name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reason(pub ErrorType);

impl Label for Reason {
    const NAME: &'static str = "reason";
    fn value(&self) -> Cow<'_, str> {
        Cow::Borrowed(self.0.text())
    }
}

impl ErrorType {
    /// The kind of the error with this code; `None` where nobody knows it.
    #[must_use]
    pub fn of(code: &str) -> Option<Self> {
        Some(match code {
            "not_audio" | "corrupt" | "truncated" => Self::DecodeError,
            "unsupported_codec" | "format_changed" => Self::UnsupportedFormat,
            "encoder" => Self::EncodeError,
            "inference" => Self::GpuError,
            "gap" | "idle" => Self::Timeout,
            "lost_restart" => Self::KafkaError,
            "panicked" | "checkpoint" | "wrong_payload" | "configuration" | "clip_between_stages" => {
                Self::Internal
            }
            "limit" | "totals" | "missing_start" | "unexpected_start" | "superseded" | "aborted_upstream"
            | "no_value" | "no_key" | "foreign_schema" => Self::Validation,
            _ if ["chunk_", "convert_", "key_", "frame_", "not_framed"]
                .iter()
                .any(|p| code.starts_with(p)) =>
            {
                Self::Validation
            }
            "key" => Self::Validation,
            _ => return None,
        })
    }
}

impl LakeTable {
    /// The table called `name`.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|table| table.text() == name)
    }
}

impl Rebalance {
    /// What the worker calls `note`; `None` where it is no rebalance.
    #[must_use]
    pub fn of(note: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.text() == note)
    }
}

impl GroupState {
    /// The state that Kafka calls `name`: `PreparingRebalance`, in older versions with other capitals.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let plain = |text: &str| text.replace('_', "").to_lowercase();
        Self::ALL.iter().copied().find(|state| plain(state.text()) == plain(name)).unwrap_or(Self::Unknown)
    }
}

impl Backend {
    /// The backend of a model's device.
    #[must_use]
    pub fn of(device: &str) -> Self {
        Self::ALL.iter().copied().find(|backend| backend.text() == device).unwrap_or(Self::Other)
    }
}

impl From<treble_schemas::event::Mode> for Mode {
    fn from(mode: treble_schemas::event::Mode) -> Self {
        match mode {
            treble_schemas::event::Mode::None => Self::None,
            treble_schemas::event::Mode::Baseline => Self::Baseline,
            treble_schemas::event::Mode::Ai => Self::Ai,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_core::{LimitKind, StageError};

    #[test]
    fn every_fault_of_a_stage_has_its_type() {
        let detail = String::new;
        let faults = [
            StageError::NotAudio { detail: detail() },
            StageError::Unsupported { detail: detail() },
            StageError::Corrupt { frame: 0, detail: detail() },
            StageError::Truncated { frame: 0, detail: detail() },
            StageError::Limit { kind: LimitKind::Channels, actual: 1, limit: 0 },
            StageError::FormatChanged { detail: detail() },
            StageError::WrongPayload { expected: "" },
            StageError::Checkpoint { detail: detail() },
            StageError::Panicked { detail: detail() },
            StageError::Inference { detail: detail() },
            StageError::Encoder { detail: detail() },
        ];
        for fault in faults {
            assert!(ErrorType::of(fault.code()).is_some(), "{}", fault.code());
        }
    }

    #[test]
    fn every_code_of_the_page_on_bad_input_has_its_type() {
        let page = include_str!("../../../docs/bad-input.md");
        let rows = page.lines().filter(|line| line.starts_with("| "));
        let cells = rows.filter_map(|row| row.split('|').nth(2));
        let codes = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        let codes: Vec<&str> = codes.filter(|code| !code.contains('.')).collect();
        assert!(codes.len() > 10, "{codes:?}");
        let unknown: Vec<_> = codes.iter().filter(|code| ErrorType::of(code).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn states_of_groups_are_those_that_kafka_names() {
        assert_eq!(GroupState::of("PreparingRebalance"), GroupState::PreparingRebalance);
        assert_eq!(GroupState::of("Stable"), GroupState::Stable);
        assert_eq!(GroupState::of("Meditating"), GroupState::Unknown);
    }

    #[test]
    fn free_text_has_no_type() {
        assert_eq!(ErrorType::of("/home/someone: no such file"), None);
    }
}
