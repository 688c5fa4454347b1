//! What an error costs: the one table.
//!
//! | error | disposition |
//! | --- | --- |
//! | a repeat, or a chunk of a stream already given up | skipped and counted (no error reaches this table) |
//! | a record that is no chunk and no clip | dead letter; other records never notice |
//! | bad audio, a gap, a limit, a panic in a codec | dead letter and ABORT; other streams never notice |
//! | the registry cannot be asked | retried with back-off; nothing is lost |
//! | a transaction aborted | the epoch is retried |
//! | a producer fenced or broken | rebuilt; everything since the last commit is read again |
//! | the model cannot run, a stage cannot be built, a flood of dead letters | halt: a person must look |

use crate::error::{ChainBuildError, ChainError, StreamFault};
use treble_core::StageError;

/// What the caller must now do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Give the stream up: ABORT on the output, one dead letter, inside the transaction.
    DeadLetter,
    /// Stop the stage without committing: no stream is at fault.
    Halt,
}

/// What a stream's fault costs.
#[must_use]
pub fn of_stream(fault: &StreamFault) -> Disposition {
    match fault {
        StreamFault::Stage(ChainError { error, .. })
        | StreamFault::Build(ChainBuildError::Chain(ChainError { error, .. })) => of_stage(error),
        StreamFault::Build(ChainBuildError::Config(_)) => Disposition::Halt,
        StreamFault::Convert(_)
        | StreamFault::MissingStart
        | StreamFault::UnexpectedStart { .. }
        | StreamFault::Gap { .. }
        | StreamFault::Idle
        | StreamFault::LostRestart
        | StreamFault::Totals { .. } => Disposition::DeadLetter,
    }
}

fn of_stage(error: &StageError) -> Disposition {
    match error {
        StageError::Inference { .. } | StageError::Checkpoint { .. } => Disposition::Halt,
        StageError::NotAudio { .. }
        | StageError::Unsupported { .. }
        | StageError::Corrupt { .. }
        | StageError::Truncated { .. }
        | StageError::Limit { .. }
        | StageError::FormatChanged { .. }
        | StageError::WrongPayload { .. }
        | StageError::Panicked { .. }
        | StageError::Encoder { .. } => Disposition::DeadLetter,
    }
}
