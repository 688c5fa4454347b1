//! Questions to the engine, and their rows in PostgreSQL's forms.

use super::cancel::Cancelled;
use super::door::Door;
use super::error::Fault;
use crate::query::service::Rows;
use datafusion_postgres::arrow_pg::datatypes::arrow_schema_to_pg_fields;
use datafusion_postgres::arrow_pg::encode_recordbatch;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::{DataRowEncoder, FieldFormat, FieldInfo};
use datafusion_postgres::pgwire::messages::data::DataRow;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use treble_analyse::arrow::datatypes::Schema;
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::query::{Asker, ParamValues};

/// How an answer is wanted.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Text or binary, by column.
    pub(super) format: Format,
    /// How text is written.
    pub(super) options: Arc<FormatOptions>,
    /// The longest it may take.
    pub(super) timeout: Option<Duration>,
}

/// Columns, and rows on their way. Dropping them stops the query.
pub(super) struct Answer {
    pub(super) columns: Arc<Vec<FieldInfo>>,
    pub(super) rows: BoxStream<'static, Result<DataRow, Fault>>,
    /// What the end is called, without the count.
    pub(super) tag: &'static str,
}

/// The columns of `schema` in PostgreSQL's types.
///
/// # Errors
/// A type that PostgreSQL does not have, or formats for other columns.
pub(super) fn columns(schema: &Schema, wanted: &Wanted) -> Result<Arc<Vec<FieldInfo>>, Fault> {
    let count = schema.fields().len();
    if let Format::Individual(formats) = &wanted.format
        && formats.len() != count
    {
        return Err(Fault::Protocol(format!(
            "formats of {} columns, of which there are {count}",
            formats.len()
        )));
    }
    Ok(Arc::new(arrow_schema_to_pg_fields(schema, &wanted.format, Some(Arc::clone(&wanted.options)))?))
}

/// Asks the engine.
///
/// # Errors
/// What it says before the first row; the cancellation; the timeout.
pub(super) async fn ask(
    door: &Door,
    asker: Asker<'_>,
    (sql, parameters): (&str, Option<ParamValues>),
    wanted: &Wanted,
    cancelled: Cancelled,
) -> Result<Answer, Fault> {
    let mut limit =
        Limit { cancelled, timeout: wanted.timeout.map(|timeout| (Instant::now() + timeout, timeout)) };
    let rows = tokio::select! {
        biased;
        fault = limit.reached() => return Err(fault),
        rows = door.house.service.ask(asker, sql, parameters) => rows?,
    };
    let columns = columns(&rows.schema(), wanted)?;
    let fields = Arc::clone(&columns);
    let rows = batches(rows, limit)
        .map_ok(move |batch| {
            stream::iter(encode_recordbatch(Arc::clone(&fields), batch)).map(|row| row.map_err(Fault::from))
        })
        .try_flatten();
    Ok(Answer { columns, rows: rows.boxed(), tag: tag(sql) })
}

fn batches(rows: Rows, limit: Limit) -> impl stream::Stream<Item = Result<RecordBatch, Fault>> {
    stream::try_unfold((rows, limit), |(mut rows, mut limit)| async move {
        let next = tokio::select! {
            biased;
            fault = limit.reached() => return Err(fault),
            next = rows.next() => next,
        };
        Ok(next.transpose()?.map(|batch| (batch, (rows, limit))))
    })
}

/// What stops a query from outside of the engine.
struct Limit {
    cancelled: Cancelled,
    timeout: Option<(Instant, Duration)>,
}

impl Limit {
    async fn reached(&mut self) -> Fault {
        let timeout = self.timeout;
        let expiry = async {
            match timeout {
                Some((at, timeout)) => {
                    tokio::time::sleep_until(at).await;
                    timeout
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.cancelled.wait() => Fault::Cancelled,
            timeout = expiry => Fault::Timeout(timeout),
        }
    }
}

/// What the end of a statement is called.
fn tag(sql: &str) -> &'static str {
    let word = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        "explain" => "EXPLAIN",
        "show" | "describe" | "desc" => "SHOW",
        _ => "SELECT",
    }
}

/// One column of text, and its name.
pub(super) fn text_column(name: &str) -> Arc<Vec<FieldInfo>> {
    Arc::new(vec![FieldInfo::new(name.to_owned(), None, None, Type::TEXT, FieldFormat::Text)])
}

/// One row of it. Text and binary are the same for text.
///
/// # Errors
/// A defect.
pub(super) fn text_row(columns: Arc<Vec<FieldInfo>>, value: &str) -> Result<DataRow, Fault> {
    let mut row = DataRowEncoder::new(columns);
    row.encode_field(&Some(value))?;
    Ok(row.take_row())
}
