//! What analysts ask: views with plain names over the tables of events, every column documented.
//!
//! `treble sql` and every door see them beside the tables; `docs/sql.md` is written from this list.

mod columns;

use crate::rollups::Rollup;
use crate::tables::{self, Table};
use datafusion::arrow::array::{ArrayRef, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::{MemTable, TableProvider};
use std::sync::Arc;

/// The table that documents all columns of all tables and views.
pub const DOCUMENTATION: &str = "documentation";

/// A view.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// What it selects.
    pub sql: &'static str,
    /// Its columns in order, each with what it means.
    pub columns: &'static [(&'static str, &'static str)],
}

impl View {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "streams",
            summary: "Every stream that came to its end, one row each.",
            sql: include_str!("views/streams.sql"),
            columns: columns::STREAMS,
        },
        Self {
            name: "stages",
            summary: "What each stage did for each stream: one row per stream and stage, also while it goes on.",
            sql: include_str!("views/stages.sql"),
            columns: columns::STAGES,
        },
        Self {
            name: "latency",
            summary: "Where the time went: one row per stream that came to its end.",
            sql: include_str!("views/latency.sql"),
            columns: columns::LATENCY,
        },
        Self {
            name: "errors",
            summary: "Every error that ended a stream, and every fault that a stream survived.",
            sql: include_str!("views/errors.sql"),
            columns: columns::ERRORS,
        },
        Self {
            name: "models",
            summary: "What each model did on each device.",
            sql: include_str!("views/models.sql"),
            columns: columns::MODELS,
        },
    ];

    /// The view of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|view| view.name == name)
    }
}

/// Tables that the service keeps about itself, in the schema `system`: name, one line, columns.
pub(crate) const SYSTEM: [(&str, &str, columns::Columns); 2] = [
    ("freshness", "How far behind the topic these answers are, per partition.", columns::FRESHNESS),
    ("logins", "The latest logins and refusals at the doors of this process.", columns::LOGINS),
];

/// A row of the documentation: table, column, type, meaning. A row without a column is about the table.
pub(crate) fn rows() -> Vec<[String; 3]> {
    let mut rows = Vec::new();
    let mut row = |table: &str, column: &str, doc: &str| rows.push([table, column, doc].map(str::to_owned));
    for view in View::ALL {
        row(view.name, "", view.summary);
        view.columns.iter().for_each(|(column, doc)| row(view.name, column, doc));
    }
    for (table, summary, columns) in SYSTEM {
        row(table, "", summary);
        columns.iter().for_each(|(column, doc)| row(table, column, doc));
    }
    let tables = Table::ALL.map(|table| (table.name(), table.summary(), table.schema()));
    let rollups = Rollup::ALL.map(|rollup| (rollup.name(), rollup.summary(), rollup.schema()));
    for (table, summary, schema) in tables.into_iter().chain(rollups) {
        row(table, "", summary);
        let fields = schema.fields().iter();
        fields.for_each(|field| row(table, field.name(), tables::comment(field).unwrap_or_default()));
    }
    rows
}

/// The table [`DOCUMENTATION`].
pub(crate) fn documentation() -> datafusion::error::Result<Arc<dyn TableProvider>> {
    let rows = rows();
    let columns =
        (0..3).map(|at| Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[at]))) as ArrayRef);
    let field = |name| Field::new(name, DataType::Utf8, false);
    let schema = Arc::new(Schema::new(["table_name", "column_name", "description"].map(field).to_vec()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}
