//! What goes wrong with a stream or a partition, named so that [`crate::flow::disposition`] can say what it costs.
//!
//! Faults of the world outside are [`crate::ports::PortError`]; those of one module alone stay in that module.

use crate::convert::ConvertError;
use treble_core::{ConfigError, StageError};

/// A fault of one stage of a chain.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{stage}: {error}")]
pub struct ChainError {
    /// The stage.
    pub stage: &'static str,
    /// What it said.
    #[source]
    pub error: StageError,
}

/// Why a chain could not be built.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ChainBuildError {
    /// The configuration is at fault.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A checkpoint is at fault.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// Why a stream is given up.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StreamFault {
    /// A stage refused an input.
    #[error(transparent)]
    Stage(#[from] ChainError),
    /// A chunk's data is not what its format says.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// A stage could not be built.
    #[error(transparent)]
    Build(#[from] ChainBuildError),
    /// The first chunk is not START.
    #[error("the stream does not begin with START at seq 0; publish its chunks from the first on")]
    MissingStart,
    /// START came again in the middle.
    #[error("START at seq {seq}, in the middle of the stream; a new stream needs a new id, or END before it")]
    UnexpectedStart {
        /// Its sequence number.
        seq: u64,
    },
    /// Chunks did not come in time.
    #[error(
        "chunks {from}..={to} are missing and did not come within flow.gap_timeout_ms; publish them again"
    )]
    Gap {
        /// The first missing number.
        from: u64,
        /// The last missing number.
        to: u64,
    },
    /// Nothing came for too long.
    #[error("no chunk and no END within flow.idle_timeout_ms; end streams with END")]
    Idle,
    /// What must be read again is gone, and the operator chose to go on.
    #[error("the chunks needed to continue after a restart were deleted by retention")]
    LostRestart,
    /// END's totals contradict what came.
    #[error("END says {claimed} bytes, but {received} came; the stream is incomplete, publish it again")]
    Totals {
        /// What END says.
        claimed: u64,
        /// What came.
        received: u64,
    },
}

impl StreamFault {
    /// The stage at fault, where a stage is.
    #[must_use]
    pub fn stage(&self) -> Option<&'static str> {
        match self {
            Self::Stage(fault) | Self::Build(ChainBuildError::Chain(fault)) => Some(fault.stage),
            _ => None,
        }
    }

    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Stage(fault) => fault.error.code(),
            Self::Convert(fault) => fault.code(),
            Self::Build(ChainBuildError::Config(_)) => "configuration",
            Self::Build(ChainBuildError::Chain(fault)) => fault.error.code(),
            Self::MissingStart => "missing_start",
            Self::UnexpectedStart { .. } => "unexpected_start",
            Self::Gap { .. } => "gap",
            Self::Idle => "idle",
            Self::LostRestart => "lost_restart",
            Self::Totals { .. } => "totals",
        }
    }
}

/// Why a partition cannot go on.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PartitionHalt {
    /// The model cannot run: no fault of any stream.
    #[error("{stage}: {error}")]
    Engine {
        /// The stage that wants it.
        stage: &'static str,
        /// What it said.
        error: StageError,
    },
    /// A stage cannot be built: a fault of the configuration.
    #[error("{0}")]
    Configuration(String),
}
