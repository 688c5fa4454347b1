//! Values of labels: closed sets as enums, and names whose number the configuration bounds. What comes as free text is
//! mapped here; what nobody knows becomes `other` and is counted.

mod closed;

pub use closed::*;

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

/// A GPU of this machine, by the driver's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gpu(pub u32);

impl Label for Gpu {
    const NAME: &'static str = "gpu";
    fn value(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.to_string())
    }
}

impl From<tracing::Level> for LogLevel {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            tracing::Level::DEBUG => Self::Debug,
            tracing::Level::TRACE => Self::Trace,
        }
    }
}

impl GpuFault {
    /// What the XID means.
    #[must_use]
    pub const fn of(xid: u64) -> Self {
        match xid {
            13 | 31 => Self::App,
            63 | 92 | 94 => Self::Recoverable,
            48 | 64 | 74 | 79 | 95 => Self::Fatal,
            _ => Self::Other,
        }
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

impl From<treble_upscale::FaultKind> for Fallback {
    fn from(kind: treble_upscale::FaultKind) -> Self {
        match kind {
            treble_upscale::FaultKind::NoDevice => Self::NoDevice,
            treble_upscale::FaultKind::OutOfMemory => Self::Oom,
            treble_upscale::FaultKind::Other => Self::Error,
        }
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
