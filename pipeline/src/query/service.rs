//! The engine as doors see it: every statement is timed and counted here, whichever door it came through.

use crate::telemetry::labels::{Answered, Asked};
use crate::telemetry::log::event::Event;
use crate::telemetry::sql::{SqlObserver, Timer};
use std::sync::Arc;
use treble_analyse::arrow::datatypes::SchemaRef;
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::query::{Answer, Asker, Engine, ParamValues, Planned, QueryError};

/// Answers statements, and counts them.
#[derive(Debug)]
pub struct Service {
    engine: Engine,
    observer: Arc<SqlObserver>,
}

impl Service {
    /// `engine`, observed.
    #[must_use]
    pub const fn new(engine: Engine, observer: Arc<SqlObserver>) -> Self {
        Self { engine, observer }
    }

    /// The engine itself, for what nobody asked in SQL.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// What is counted.
    #[must_use]
    pub const fn observer(&self) -> &Arc<SqlObserver> {
        &self.observer
    }

    /// Plans `sql` for `asker` and runs nothing.
    ///
    /// # Errors
    ///
    /// See [`Engine::plan_as`].
    pub async fn plan(&self, asker: Asker<'_>, sql: &str) -> Result<Planned, QueryError> {
        let timer = self.observer.ask(Asked::Prepare);
        let planned = self.engine.plan_as(asker, sql).await;
        timer.stop(planned.as_ref().err().map_or(Answered::Ok, answered));
        planned.inspect_err(audit)
    }

    /// Answers `sql` for `asker`, with `parameters` for its placeholders.
    ///
    /// # Errors
    ///
    /// See [`Engine::ask_as`].
    pub async fn ask(
        &self,
        asker: Asker<'_>,
        sql: &str,
        parameters: Option<ParamValues>,
    ) -> Result<Rows, QueryError> {
        let timer = self.observer.ask(asked(sql));
        match self.engine.ask_as(asker, sql, parameters).await {
            Ok(answer) => Ok(Rows { answer, timer: Some(timer) }),
            Err(error) => {
                timer.stop(answered(&error));
                audit(&error);
                Err(error)
            }
        }
    }
}

/// An [`Answer`] whose end is noted.
#[derive(Debug)]
pub struct Rows {
    answer: Answer,
    /// Present until the end is noted.
    timer: Option<Timer>,
}

impl Rows {
    /// The columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.answer.schema()
    }

    /// The next rows; `None` behind the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        let next = self.answer.next().await;
        let end = match &next {
            Some(Ok(_)) => return next,
            Some(Err(error)) => answered(error),
            None => Answered::Ok,
        };
        if let Some(timer) = self.timer.take() {
            timer.stop(end);
        }
        next
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            timer.stop(Answered::Cancelled);
        }
    }
}

/// What kind of statement it is, by its first word.
fn asked(sql: &str) -> Asked {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "select" | "with" | "values" | "table" => Asked::Select,
        "explain" => Asked::Explain,
        "show" | "describe" | "desc" => Asked::Metadata,
        _ => Asked::Other,
    }
}

/// What security wants to know of `error`.
fn audit(error: &QueryError) {
    match error {
        QueryError::Refused(_) | QueryError::Forbidden(_) => {
            tracing::warn!(event = Event::QueryRefused.text(), %error, "a statement was refused");
        }
        QueryError::Busy { .. } => {
            tracing::warn!(event = Event::RateLimited.text(), %error, "a statement was turned away");
        }
        _ => {}
    }
}

const fn answered(error: &QueryError) -> Answered {
    match error {
        QueryError::TimedOut { .. } => Answered::Timeout,
        QueryError::Refused(_) | QueryError::Forbidden(_) | QueryError::Busy { .. } => Answered::Denied,
        QueryError::Wrong(_)
        | QueryError::TooLong { .. }
        | QueryError::TooManyRows { .. }
        | QueryError::OutOfMemory(_)
        | QueryError::Lake(_)
        | QueryError::Internal(_) => Answered::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_by_their_first_word() {
        let check = |sql, expect| assert_eq!(asked(sql), expect, "{sql}");
        check("select 1", Asked::Select);
        check("\n WITH a AS (SELECT 1) SELECT * FROM a", Asked::Select);
        check("EXPLAIN SELECT 1", Asked::Explain);
        check("show tables", Asked::Metadata);
        check("DROP TABLE a", Asked::Other);
        check("(SELECT 1)", Asked::Other);
        check("", Asked::Other);
    }
}
