//! Why a query has no answer.

use super::grants::Forbidden;
use datafusion::error::DataFusionError;
use std::time::Duration;

/// Why a query has no answer, or only the beginning of one. Doors map it to the codes of their protocol.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no SQL, names what does not exist, or divides by zero: the asker can mend it.
    #[error("{0}")]
    Wrong(String),
    /// It would change something, or look at something that is not a table of the lake.
    #[error("{0}: this door only reads; SELECT, EXPLAIN, SHOW and DESCRIBE are answered")]
    Refused(String),
    /// It reads a table that its asker has no role for.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The text is too long.
    #[error("the statement has {bytes} bytes, more than sql.max_statement_kb allows ({limit} bytes)")]
    TooLong {
        /// Its length, in bytes.
        bytes: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// As many queries run as may.
    #[error("{limit} queries are running, as many as sql.max_queries allows; try again")]
    Busy {
        /// How many may run.
        limit: usize,
    },
    /// It took too long.
    #[error("stopped after {} ms, the time that sql.timeout_ms allows", .limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The answer is too long.
    #[error("the answer has more than {limit} rows, what sql.max_rows allows; add LIMIT, or aggregate")]
    TooManyRows {
        /// The limit.
        limit: u64,
    },
    /// It wanted more memory than queries may have.
    #[error("out of memory: {0}; select less, or raise sql.memory_mb or sql.spill_mb")]
    OutOfMemory(String),
    /// Stored rows cannot be read.
    #[error("the lake cannot be read: {0}")]
    Lake(String),
    /// A defect of the engine, or of Treble.
    #[error("a defect: {0}; please report it with the statement")]
    Internal(String),
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let root = error.find_root();
        if let DataFusionError::External(cause) = root
            && let Some(forbidden) = cause.downcast_ref::<Forbidden>()
        {
            return Self::Forbidden(*forbidden);
        }
        // Backtraces and the trail of contexts are for developers of the engine.
        let said = root.strip_backtrace();
        match root {
            DataFusionError::ResourcesExhausted(what) => {
                Self::OutOfMemory(what.lines().next().unwrap_or_default().to_owned())
            }
            DataFusionError::ParquetError(_)
            | DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_) => Self::Lake(said),
            DataFusionError::Internal(_) | DataFusionError::ExecutionJoin(_) | DataFusionError::Ffi(_) => {
                Self::Internal(said)
            }
            _ => Self::Wrong(said),
        }
    }
}
