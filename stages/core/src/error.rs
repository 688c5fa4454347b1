//! Why an input was refused, or a stage could not be built.

use std::fmt;
use thiserror::Error;

/// The limits that bound what one stream may cost. Each has its configuration key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Encoded bytes of one stream.
    StreamBytes,
    /// Bytes held back before decoding can begin (probing, `moov` at the end).
    SpoolBytes,
    /// Channels.
    Channels,
    /// Frames per second.
    SampleRate,
    /// Decoded seconds of one stream.
    DurationSeconds,
    /// Decoded bytes for each encoded byte.
    ExpansionRatio,
}

impl LimitKind {
    /// The configuration key of the limit.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::StreamBytes => "decode.limits.stream_bytes",
            Self::SpoolBytes => "decode.limits.spool_bytes",
            Self::Channels => "decode.limits.channels",
            Self::SampleRate => "decode.limits.sample_rate_hz",
            Self::DurationSeconds => "decode.limits.duration_seconds",
            Self::ExpansionRatio => "decode.limits.expansion_ratio",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// Why a stage refused an input. Nothing was emitted for that input.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum StageError {
    /// The bytes are not audio that any reader knows.
    #[error("not audio: {detail}; send a whole file of a supported format from its first byte")]
    NotAudio {
        /// What the probe said.
        detail: String,
    },
    /// The container is known, its codec is not.
    #[error("unsupported codec: {detail}; convert to one of WAV, FLAC, MP3, AAC-LC, Vorbis, Opus, ALAC, PCM")]
    Unsupported {
        /// Which codec or feature.
        detail: String,
    },
    /// The bytes break the rules of their format beyond what skipping a packet mends.
    #[error("corrupt audio at frame {frame}: {detail}")]
    Corrupt {
        /// Frames decoded before the fault.
        frame: u64,
        /// What the reader said.
        detail: String,
    },
    /// The stream ended in the middle of something.
    #[error("truncated audio: the stream ended after {frame} frames: {detail}")]
    Truncated {
        /// Frames decoded before the end.
        frame: u64,
        /// What was still expected.
        detail: String,
    },
    /// The stream passed a limit.
    #[error("limit {kind}: {actual} is over {limit}; raise the key if such streams are wanted")]
    Limit {
        /// Which limit.
        kind: LimitKind,
        /// What the stream asked for.
        actual: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The stream changed its format where the stage cannot follow.
    #[error("format changed mid-stream: {detail}")]
    FormatChanged {
        /// From what to what.
        detail: String,
    },
    /// An input of the wrong kind reached the stage.
    #[error("wrong payload: the stage takes {expected}")]
    WrongPayload {
        /// What it takes.
        expected: &'static str,
    },
    /// A checkpoint could not be used.
    #[error("checkpoint not usable: {detail}")]
    Checkpoint {
        /// Why.
        detail: String,
    },
    /// The codec panicked; its instance was dropped.
    #[error("the codec panicked: {detail}")]
    Panicked {
        /// The panic message.
        detail: String,
    },
    /// The model could not run: a fault of the device or the library, not of the input.
    #[error("inference failed: {detail}")]
    Inference {
        /// What the engine said.
        detail: String,
    },
    /// The encoder refused what it was given.
    #[error("encoder failed: {detail}")]
    Encoder {
        /// What the encoder said.
        detail: String,
    },
}

impl StageError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAudio { .. } => "not_audio",
            Self::Unsupported { .. } => "unsupported_codec",
            Self::Corrupt { .. } => "corrupt",
            Self::Truncated { .. } => "truncated",
            Self::Limit { .. } => "limit",
            Self::FormatChanged { .. } => "format_changed",
            Self::WrongPayload { .. } => "wrong_payload",
            Self::Checkpoint { .. } => "checkpoint",
            Self::Panicked { .. } => "panicked",
            Self::Inference { .. } => "inference",
            Self::Encoder { .. } => "encoder",
        }
    }
}

/// Why a stage could not be built from its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{key}: {problem}; {fix}")]
pub struct ConfigError {
    /// The configuration key at fault.
    pub key: &'static str,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}
