//! Decoded columns → the columns of a table.

use super::Record;
use super::unreadable::Reason;
use crate::tables::{EVENT_DATE, KAFKA_OFFSET, KAFKA_PARTITION, KAFKA_TIMESTAMP, Table, UTC};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, TimestampMicrosecondType};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use std::ops::Range;
use std::sync::Arc;

const DAY_US: i64 = 86_400_000_000;
/// Times of events that are rows: 1970 to 2099. Rows are filed by day, and a clock that is off by millennia would make a
/// folder that other readers cannot take.
const TIMES_US: Range<i64> = 0..47_482 * DAY_US;

/// `decoded`, with one row for each of `records`, as rows of `table`.
pub(super) fn rows(table: Table, decoded: &RecordBatch, records: &[Record]) -> Result<RecordBatch, Reason> {
    let times = times(decoded)?;
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(table.schema().fields().len());
    for field in table.schema().fields() {
        let column: ArrayRef = match field.name().as_str() {
            KAFKA_PARTITION => Arc::new(Int32Array::from_iter_values(records.iter().map(|r| r.partition))),
            KAFKA_OFFSET => Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.offset))),
            KAFKA_TIMESTAMP => kafka_times(records),
            EVENT_DATE => Arc::new(days(times.values())),
            name => column(decoded, name, field.data_type())?,
        };
        columns.push(column);
    }
    RecordBatch::try_new(table.schema(), columns).map_err(unfit)
}

fn unfit(error: ArrowError) -> Reason {
    Reason::Avro(error.to_string())
}

fn times(decoded: &RecordBatch) -> Result<&TimestampMicrosecondArray, Reason> {
    let column = decoded.column_by_name("event_time");
    let times = column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Reason::Avro("it has no event_time".to_owned()))?;
    match times.values().iter().find(|time| !TIMES_US.contains(time)) {
        Some(time_us) => Err(Reason::Time(*time_us)),
        None => Ok(times),
    }
}

/// The UTC day of each time.
pub(super) fn days(times_us: &[i64]) -> Date32Array {
    Date32Array::from_iter_values(times_us.iter().map(|time_us| day(*time_us)))
}

fn day(time_us: i64) -> i32 {
    i32::try_from(time_us.div_euclid(DAY_US)).unwrap_or_default()
}

/// When the records were produced; 1970 where they do not say, or say nonsense.
pub(super) fn kafka_times(records: &[Record]) -> Arc<TimestampMicrosecondArray> {
    let times = records.iter().map(|record| kafka_time_us(record.timestamp_ms));
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(UTC))
}

pub(super) fn kafka_time_us(timestamp_ms: i64) -> i64 {
    let time_us = timestamp_ms.saturating_mul(1000);
    if TIMES_US.contains(&time_us) { time_us } else { 0 }
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
