//! Decoded columns → the columns of a table.

use super::Record;
use super::unreadable::Reason;
use crate::tables::{EVENT_DATE, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TIMESTAMP, Table};
use crate::times;
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use std::sync::Arc;

/// `decoded`, with one row for each of `records`, as rows of `table`.
pub(super) fn rows(table: Table, decoded: &RecordBatch, records: &[Record]) -> Result<RecordBatch, Reason> {
    let times = event_times(decoded)?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(table.schema().fields().len());
    for field in table.schema().fields() {
        let column: ArrayRef = match field.name().as_str() {
            KAFKA_PARTITION => Arc::new(Int32Array::from_iter_values(records.iter().map(|r| r.partition))),
            KAFKA_OFFSET => Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.offset))),
            KAFKA_TIMESTAMP => times::of_records(records),
            EVENT_DATE => Arc::new(times::days(times.values())),
            name => column(decoded, name, field.data_type())?,
        };
        columns.push(column);
    }
    RecordBatch::try_new(table.schema(), columns).map_err(unfit)
}

fn unfit(error: ArrowError) -> Reason {
    Reason::Avro(error.to_string())
}

fn event_times(decoded: &RecordBatch) -> Result<&TimestampMicrosecondArray, Reason> {
    let column = decoded.column_by_name("event_time");
    let times = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Reason::Avro("it has no event_time".to_owned()))?;
    match times.values().iter().find(|time| !times::is_sane(**time)) {
        Some(time_us) => Err(Reason::Time(*time_us)),
        None => Ok(times),
    }
}

fn column(decoded: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, Reason> {
    let missing = || Reason::Avro(format!("it has no {name}"));
    let column = decoded.column_by_name(name).ok_or_else(missing)?;
    if column.data_type() == data_type {
        return Ok(Arc::clone(column));
    }
    match column.as_dictionary_opt::<Int32Type>() {
        Some(symbols) => {
            let names = symbols.values().as_string::<i32>();
            let names: Vec<String> =
                names.iter().map(|name| name.unwrap_or_default().to_lowercase()).collect();
            let of = |key: Option<i32>| key.map(|key| names[key as usize].as_str());
            Ok(Arc::new(symbols.keys().iter().map(of).collect::<StringArray>()))
        }
        None => cast(column, data_type).map_err(unfit),
    }
}
