//! Why a worker ends.

use crate::error::PartitionHalt;
use crate::flow::assignment::ResumeError;
use crate::ports::PortError;
use crate::runtime::stations::StationGone;

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A port gave up.
    #[error("{0}")]
    Port(#[from] PortError),
    /// A partition cannot be resumed.
    #[error("partition {partition}: {error}")]
    Resume {
        /// The partition.
        partition: i32,
        /// Why.
        #[source]
        error: ResumeError,
    },
    /// A stage cannot go on.
    #[error("{0}")]
    Halted(#[from] PartitionHalt),
    /// A thread panicked.
    #[error(transparent)]
    Gone(#[from] StationGone),
    /// Another process with the same instance id took over.
    #[error(
        "another process took over this instance id: {reason}; give every process its own --instance-id, or stop \
         the other one"
    )]
    Fenced {
        /// What the broker said.
        reason: String,
    },
}
