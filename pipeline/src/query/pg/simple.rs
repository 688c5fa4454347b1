//! The simple protocol: a text with any number of statements, each answered before the next is looked at.

use super::answer::{self, Wanted};
use super::error::Fault;
use super::local::Local;
use super::session::Session;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::data::RowDescription;
use datafusion_postgres::pgwire::messages::response::EmptyQueryResponse;
use futures::StreamExt;
use std::sync::Arc;

impl Session {
    /// Answers all statements in `sql`. The first that fails is the last.
    ///
    /// # Errors
    /// Why it fails.
    pub(super) async fn query(&mut self, sql: &str) -> Result<(), Fault> {
        let statements = if is_blank(sql) { Vec::new() } else { self.door.statements(sql)? };
        if statements.is_empty() {
            self.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
        }
        for statement in statements {
            self.statement(&statement).await?;
        }
        self.ready().await
    }

    async fn statement(&mut self, sql: &str) -> Result<(), Fault> {
        let local = Local::of(sql);
        self.admit(local.as_ref())?;
        match local {
            Some(Local::Show(name)) => {
                let (columns, value) = self.shown(&name)?;
                self.describe_rows(&columns).await?;
                let row = answer::text_row(columns, &value)?;
                self.send(PgWireBackendMessage::DataRow(row)).await?;
                self.complete("SHOW".to_owned()).await
            }
            Some(local) => self.carry_out(&local).await,
            None => self.rows(sql).await,
        }
    }

    async fn rows(&mut self, sql: &str) -> Result<(), Fault> {
        let wanted = self.wanted(Format::UnifiedText);
        let mut answer =
            answer::ask(&self.door, self.asker(), (sql, None), &wanted, self.key.listen()).await?;
        self.describe_rows(&answer.columns).await?;
        let mut rows = 0_u64;
        while let Some(row) = answer.rows.next().await {
            self.send(PgWireBackendMessage::DataRow(row?)).await?;
            rows += 1;
        }
        self.complete(format!("{} {rows}", answer.tag)).await
    }

    /// How answers are wanted in this session.
    pub(super) fn wanted(&self, format: Format) -> Wanted {
        Wanted { format, options: self.settings.format(), timeout: self.settings.statement_timeout() }
    }

    /// The column and the value that `SHOW` tells.
    ///
    /// # Errors
    /// Nothing is known of it.
    pub(super) fn shown(&self, name: &str) -> Result<(Arc<Vec<FieldInfo>>, String), Fault> {
        let unknown = || Fault::Setting(format!("{name:?} is no setting"));
        let (name, value) = self.settings.get(name).ok_or_else(unknown)?;
        Ok((answer::text_column(name), value.to_owned()))
    }

    /// Tells the columns of the rows that follow.
    ///
    /// # Errors
    /// The connection.
    pub(super) async fn describe_rows(&mut self, columns: &[FieldInfo]) -> Result<(), Fault> {
        let description = RowDescription::new(columns.iter().map(Into::into).collect());
        self.send(PgWireBackendMessage::RowDescription(description)).await
    }
}

/// Whether there is no statement at all.
pub(super) fn is_blank(sql: &str) -> bool {
    sql.chars().all(|c| c == ';' || c.is_whitespace())
}
