//! Times of records and the days that rows are filed under.

use crate::rows::Record;
use crate::tables::UTC;
use datafusion::arrow::array::{Date32Array, TimestampMicrosecondArray};
use std::ops::Range;
use std::sync::Arc;

const DAY_US: i64 = 86_400_000_000;
/// Times that rows can have: 1970 to 2099. Rows are filed by day, and a clock that is off by millennia would make a folder
/// that other readers cannot take.
const TIMES_US: Range<i64> = 0..47_482 * DAY_US;

/// Whether a row can have this time, in microseconds of Unix time.
pub(crate) fn is_sane(time_us: i64) -> bool {
    TIMES_US.contains(&time_us)
}

/// The UTC day of each time.
pub(crate) fn days(times_us: &[i64]) -> Date32Array {
    Date32Array::from_iter_values(times_us.iter().map(|time_us| day(*time_us)))
}

fn day(time_us: i64) -> i32 {
    i32::try_from(time_us.div_euclid(DAY_US)).unwrap_or_default()
}

/// When the records were produced; 1970 where they do not say, or say nonsense.
pub(crate) fn of_records(records: &[Record]) -> Arc<TimestampMicrosecondArray> {
    let times = records.iter().map(|record| of_record_us(record.timestamp_ms));
    Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(UTC))
}

/// When a record was produced, in microseconds of Unix time.
pub(crate) fn of_record_us(timestamp_ms: i64) -> i64 {
    let time_us = timestamp_ms.saturating_mul(1000);
    if is_sane(time_us) { time_us } else { 0 }
}
