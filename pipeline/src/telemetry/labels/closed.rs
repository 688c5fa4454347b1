//! Labels whose values are known when the program is built.

use super::{Closed, Label};
use std::borrow::Cow;

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
    /// What becomes of what is told on its way to who gathers it.
    Sent("outcome") {
        /// It was taken.
        Ok = "ok",
        /// It was refused, or nobody answered.
        Error = "error",
        /// Too much was waiting.
        Dropped = "dropped",
    }
    /// A table of the lake.
    LakeTable("table") {
        /// Events of stages.
        StageEvents = "stage_events",
        /// Reports on streams.
        StreamReports = "stream_reports",
        /// Records that could not be read.
        Unreadable = "unreadable",
        /// Lines of the log.
        Logs = "logs",
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
    /// What a process needs from outside.
    Dependency("dependency") {
        /// The brokers.
        Kafka = "kafka",
        /// The schema registry.
        SchemaRegistry = "schema_registry",
        /// The store of the lake.
        Lake = "lake",
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
    /// How grave a line of the log is.
    LogLevel("level") {
        /// Something is broken.
        Error = "error",
        /// Something is odd.
        Warn = "warn",
        /// What an operator wants to know.
        Info = "info",
        /// What a developer wants to know.
        Debug = "debug",
        /// Every step.
        Trace = "trace",
    }
    /// Why a line of the log was not written.
    Suppression("cause") {
        /// Its place in the program had written as many as `log.repeats` allows.
        Rate = "rate",
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
        /// Its memory is exhausted.
        Oom = "oom",
        /// It failed otherwise.
        Error = "error",
    }
    /// What holds a GPU's clock down.
    Throttle("reason") {
        /// Its power is limited.
        Power = "power",
        /// It is hot.
        Thermal = "thermal",
        /// The board says so, and not why.
        HwSlowdown = "hw_slowdown",
        /// Something else.
        Other = "other",
    }
    /// What a fault of a GPU means (NVIDIA's list of XIDs).
    GpuFault("class") {
        /// A program did something wrong: the card is fine.
        App = "app",
        /// The card went on; it may not the next time.
        Recoverable = "recoverable",
        /// The card is of no use before it is reset or replaced.
        Fatal = "fatal",
        /// A number that is in no list of ours.
        Other = "other",
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
