//! What goes wrong with a lake.

use datafusion::arrow::error::ArrowError;
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::TransactionError;
use thiserror::Error;

/// What goes wrong with a lake.
#[derive(Debug, Error)]
pub enum LakeError {
    /// The address is none.
    #[error("lake.url {location}: {problem}")]
    Location {
        /// As it was written.
        location: String,
        /// What is wrong with it, and what to write.
        problem: String,
    },
    /// There is no such table.
    #[error("{location} holds no table {table}; `treble run` with lake.url set to it creates the lake")]
    Missing {
        /// Where the lake should be.
        location: String,
        /// The table.
        table: &'static str,
    },
    /// It is another pipeline's.
    #[error(
        "{location} is the lake of pipeline {found}, not of {pipeline}; give each pipeline a lake.url of its own"
    )]
    Foreign {
        /// Where it is.
        location: String,
        /// Whose it is.
        found: String,
        /// Who came.
        pipeline: String,
    },
    /// The table has another shape than this version writes.
    #[error("table {table}: column {column} is {found} where {expected} is written; use another lake.url")]
    Shape {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// What the table has.
        found: String,
        /// What is written.
        expected: String,
    },
    /// The store or the log refused.
    #[error("table {table}: cannot {action}: {source}")]
    Delta {
        /// The table.
        table: String,
        /// What was to be done.
        action: &'static str,
        /// What was said.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// Columns do not fit together: a defect.
    #[error("table {table}: {source}; this is a defect, please report it")]
    Arrow {
        /// The table.
        table: String,
        /// What was said.
        #[source]
        source: ArrowError,
    },
}

impl LakeError {
    pub(crate) fn delta(table: &str, action: &'static str, source: DeltaTableError) -> Self {
        Self::Delta { table: table.to_owned(), action, source: Box::new(source) }
    }

    pub(crate) fn arrow(table: &str, source: ArrowError) -> Self {
        Self::Arrow { table: table.to_owned(), source }
    }

    /// What is wrong with an address, or all of it.
    #[must_use]
    pub fn problem(&self) -> String {
        match self {
            Self::Location { problem, .. } => problem.clone(),
            other => other.to_string(),
        }
    }

    /// The table, where it is about one.
    #[must_use]
    pub fn table(&self) -> Option<&str> {
        match self {
            Self::Location { .. } | Self::Foreign { .. } => None,
            Self::Missing { table, .. } => Some(table),
            Self::Shape { table, .. } | Self::Delta { table, .. } | Self::Arrow { table, .. } => Some(table),
        }
    }

    /// Whether another writer's commit came first, so that ours was refused as a whole.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        let Self::Delta { source, .. } = self else { return false };
        matches!(
            &**source,
            DeltaTableError::Transaction {
                source: TransactionError::CommitConflict(_) | TransactionError::MaxCommitAttempts(_)
            } | DeltaTableError::VersionAlreadyExists(_)
        )
    }

    /// Whether trying again later may help: everything but a wrong address, another pipeline's lake or a table of another shape.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Delta { .. })
    }
}
