//! What gRPC says when there is no answer.

use arrow_flight::sql::Command;
use std::fmt;
use tonic::{Code, Status};
use treble_analyse::query::QueryError;

/// The most bytes of a message: it travels in a header, and clients take little there.
const MESSAGE_BYTES: usize = 2048;

/// The status of a query that has no answer.
pub(super) fn of(error: &QueryError) -> Status {
    let code = match error {
        QueryError::Wrong(_) | QueryError::TooLong { .. } => Code::InvalidArgument,
        QueryError::Refused(_) | QueryError::Forbidden(_) => Code::PermissionDenied,
        // Both pass by themselves: a client may try again.
        QueryError::Busy { .. } | QueryError::Lake(_) => Code::Unavailable,
        QueryError::TimedOut { .. } => Code::DeadlineExceeded,
        QueryError::TooManyRows { .. } | QueryError::OutOfMemory(_) => Code::ResourceExhausted,
        QueryError::Internal(_) => Code::Internal,
    };
    Status::new(code, cut(error.to_string()))
}

/// What came is not what the protocol says.
pub(super) fn garbled(error: &dyn fmt::Display) -> Status {
    Status::invalid_argument(cut(format!("this is no Flight SQL: {error}")))
}

/// Something here does not fit together.
pub(super) fn defect(error: &dyn fmt::Display) -> Status {
    Status::internal(cut(format!("a defect: {error}; please report it")))
}

/// A command that is understood and not carried out.
pub(super) fn refused(command: &Command) -> Status {
    let name = command.type_url().rsplit('.').next().unwrap_or_default();
    match command {
        Command::CommandStatementUpdate(_)
        | Command::CommandStatementIngest(_)
        | Command::CommandPreparedStatementUpdate(_) => {
            Status::permission_denied(format!("{name}: this door only reads"))
        }
        _ => Status::unimplemented(format!("{name} is not answered; statements are SQL texts")),
    }
}

fn cut(mut message: String) -> String {
    if message.len() > MESSAGE_BYTES {
        let end = (0..=MESSAGE_BYTES).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
        message.push('…');
    }
    message
}
