//! What PostgreSQL's clients are told when there is no answer: SQLSTATE, from one table.

use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError};
use std::io;
use std::time::Duration;
use treble_analyse::query::QueryError;

/// A message that is not carried out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The engine has no answer.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A value does not fit PostgreSQL's forms.
    #[error("{0}")]
    Form(String),
    /// Somebody asked for it to be stopped.
    #[error("canceling statement due to user request")]
    Cancelled,
    /// It took longer than the session allows.
    #[error("canceling statement due to statement timeout ({} ms)", .0.as_millis())]
    Timeout(Duration),
    /// A transaction has failed, and its end is not asked for.
    #[error("current transaction is aborted, commands ignored until end of transaction block")]
    Aborted,
    /// A setting that cannot be had.
    #[error("{0}")]
    Setting(String),
    /// A prepared statement or portal that is not there.
    #[error("{0} does not exist")]
    Absent(String),
    /// Too much is kept for one session.
    #[error("{0} are kept in this session, as many as may; close some")]
    Hoard(String),
    /// The message is not what the protocol says.
    #[error("{0}")]
    Protocol(String),
    /// The message is too long to be read.
    #[error("the message has {bytes} bytes, more than sql.max_statement_kb allows")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// Name or token are wrong.
    #[error("password authentication failed for user {0:?}")]
    Denied(String),
    /// The connection is not as it must be.
    #[error("{0}")]
    NotAdmitted(&'static str),
    /// All sessions are taken.
    #[error("{0} sessions are open, as many as sql.max_sessions allows")]
    Full(usize),
    /// The service ends.
    #[error("terminating connection: the service ends")]
    Ending,
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Fault {
    /// Its SQLSTATE (PostgreSQL documentation, appendix A).
    pub(super) const fn state(&self) -> &'static str {
        match self {
            Self::Query(error) => query_state(error),
            Self::Form(_) => "0A000",
            Self::Cancelled | Self::Timeout(_) => "57014",
            Self::Aborted => "25P02",
            Self::Setting(_) => "22023",
            Self::Absent(_) => "26000",
            Self::Hoard(_) => "53400",
            Self::Protocol(_) => "08P01",
            Self::TooLong { .. } => "54000",
            Self::Denied(_) => "28P01",
            Self::NotAdmitted(_) => "28000",
            Self::Full(_) => "53300",
            Self::Ending => "57P01",
            Self::Io(_) => "08006",
        }
    }

    /// Whether the connection ends with it.
    pub(super) const fn is_fatal(&self) -> bool {
        match self {
            Self::TooLong { .. }
            | Self::Denied(_)
            | Self::NotAdmitted(_)
            | Self::Full(_)
            | Self::Ending
            | Self::Io(_) => true,
            Self::Query(_)
            | Self::Form(_)
            | Self::Cancelled
            | Self::Timeout(_)
            | Self::Aborted
            | Self::Setting(_)
            | Self::Absent(_)
            | Self::Hoard(_)
            | Self::Protocol(_) => false,
        }
    }

    /// As it travels; `fatal` where the connection ends in any case.
    pub(super) fn info(&self, fatal: bool) -> ErrorInfo {
        let severity = if fatal || self.is_fatal() { "FATAL" } else { "ERROR" };
        let mut info = ErrorInfo::new(severity.to_owned(), self.state().to_owned(), self.to_string());
        info.severity_nonlocalized = Some(severity.to_owned());
        info
    }
}

const fn query_state(error: &QueryError) -> &'static str {
    match error {
        QueryError::Wrong(_) => "42601",
        QueryError::Refused(_) => "25006",
        QueryError::Forbidden(_) => "42501",
        QueryError::TooLong { .. } | QueryError::TooManyRows { .. } => "54000",
        QueryError::Busy { .. } => "53300",
        QueryError::TimedOut { .. } => "57014",
        QueryError::OutOfMemory(_) => "53200",
        QueryError::Lake(_) => "58030",
        QueryError::Internal(_) => "XX000",
    }
}

impl From<PgWireError> for Fault {
    fn from(error: PgWireError) -> Self {
        match error {
            PgWireError::IoError(error) => Self::Io(error),
            PgWireError::MessageTooLarge(_, bytes) => Self::TooLong { bytes },
            PgWireError::UserError(info) => Self::Form(info.message),
            PgWireError::ApiError(error) => Self::Form(error.to_string()),
            PgWireError::FailedToParseParameter(_)
            | PgWireError::ParameterIndexOutOfBound(_)
            | PgWireError::InvalidRustTypeForParameter(_) => Self::Setting(error.to_string()),
            other => Self::Protocol(other.to_string()),
        }
    }
}
