//! Records that are no rows of events, and why.

use super::Record;
use crate::tables::Table;
use crate::times;
use datafusion::arrow::array::{ArrayRef, BinaryArray, Int32Array, Int64Array, StringArray};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use std::sync::Arc;
use thiserror::Error;
use treble_schemas::event::MAX_EVENT_BYTES;
use treble_schemas::frame::FrameError;

/// Why a record is no event.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Reason {
    #[error("the record has no value")]
    NoValue,
    #[error("{0}")]
    Frame(FrameError),
    #[error("the registry knows no schema with the id that the record names")]
    UnknownSchema,
    #[error("the record was written with the schema of something else than an event of Treble")]
    ForeignSchema,
    #[error("the schema that it was written with cannot be resolved to ours: {0}")]
    Unresolvable(String),
    #[error("the value has {0} bytes, more than {MAX_EVENT_BYTES}")]
    TooLarge(usize),
    #[error("it does not follow the schema that it names: {0}")]
    Avro(String),
    #[error("{0} bytes follow the event")]
    TrailingBytes(usize),
    #[error("its event_time, {0} µs after 1970, is not between 1970 and 2099")]
    Time(i64),
}

impl Reason {
    /// A stable name; those that readers of events elsewhere use mean the same.
    const fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::Frame(error) => error.code(),
            Self::UnknownSchema => "schema_unknown",
            Self::ForeignSchema => "schema_foreign",
            Self::Unresolvable(_) => "schema_unresolvable",
            Self::TooLarge(_) => "event_too_large",
            Self::Avro(_) => "event_avro",
            Self::TrailingBytes(_) => "event_trailing_bytes",
            Self::Time(_) => "event_time",
        }
    }
}

/// A record that is no event.
#[derive(Debug, Clone)]
pub(super) struct Unreadable {
    record: Record,
    schema_id: Option<u32>,
    reason: Reason,
}

impl Unreadable {
    pub(super) const fn new(record: Record, schema_id: Option<u32>, reason: Reason) -> Self {
        Self { record, schema_id, reason }
    }
}

/// The rows of [`Table::Unreadable`].
pub(super) fn batch(all: &[Unreadable]) -> Result<RecordBatch, ArrowError> {
    let records: Vec<Record> = all.iter().map(|one| one.record.clone()).collect();
    let published: Vec<i64> = records.iter().map(|record| times::of_record_us(record.timestamp_ms)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(all.iter().map(|one| one.reason.code()))),
        Arc::new(StringArray::from_iter_values(all.iter().map(|one| one.reason.to_string()))),
        Arc::new(all.iter().map(|one| one.schema_id.map(i64::from)).collect::<Int64Array>()),
        Arc::new(records.iter().map(|record| record.key.as_deref()).collect::<BinaryArray>()),
        Arc::new(records.iter().map(|record| record.value.as_deref()).collect::<BinaryArray>()),
        Arc::new(Int32Array::from_iter_values(records.iter().map(|record| record.partition))),
        Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset))),
        times::of_records(&records),
        Arc::new(times::days(&published)),
    ];
    RecordBatch::try_new(Table::Unreadable.schema(), columns)
}
