//! Records of the topic of lines → rows of [`Table::Logs`]. Pure.
//!
//! A record is one line of the log, a JSON object as [`treble_schemas::line`] describes it. Collectors come from elsewhere and
//! add what they like, so nothing is refused: a field that is not known, or holds something of another kind, is kept
//! among the attributes; a record without a time that can be read is kept as it came, in the column [`RAW`](crate::tables::RAW).

mod line;

#[cfg(test)]
mod tests;

use crate::rows::Record;
use crate::tables::Table;
use crate::times;
use datafusion::arrow::array::{
    ArrayRef, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use line::Line;
use std::sync::Arc;
use treble_schemas::line::{FIELDS, Kind};

/// Lines that become columns at once: until then each takes many times its own size.
const CHUNK: usize = 1024;

/// Turns records into rows.
#[derive(Debug, Default)]
pub struct Decoder {
    waiting: Vec<(Record, Line)>,
    done: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    newest_canary_us: Option<i64>,
}

/// Rows of lines, and what is told of them.
#[derive(Debug)]
pub struct Lines {
    /// The rows.
    pub rows: RecordBatch,
    /// When the newest canary among them was written, in microseconds of Unix time.
    pub newest_canary_us: Option<i64>,
}

impl Decoder {
    /// Takes a record; it is one row of what the next [`flush`](Self::flush) gives.
    ///
    /// # Errors
    /// Only where columns do not fit together: a defect.
    pub fn push(&mut self, record: Record) -> Result<(), ArrowError> {
        self.rows += 1;
        self.bytes += record.value.as_ref().map_or(0, bytes::Bytes::len);
        let line = Line::read(&record);
        if line.is_canary() {
            self.newest_canary_us = self.newest_canary_us.max(Some(line.time_us));
        }
        self.waiting.push((record, line));
        if self.waiting.len() >= CHUNK { self.settle() } else { Ok(()) }
    }

    /// Drops all records since the last [`flush`](Self::flush).
    pub fn discard(&mut self) {
        *self = Self::default();
    }

    /// Rows that the next [`flush`](Self::flush) will give.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the records behind them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// All rows since the last call.
    ///
    /// # Errors
    /// Only where columns do not fit together: a defect.
    pub fn flush(&mut self) -> Result<Lines, ArrowError> {
        self.settle()?;
        let Self { done, newest_canary_us, .. } = std::mem::take(self);
        Ok(Lines { rows: concat_batches(&Table::Logs.schema(), &done)?, newest_canary_us })
    }

    fn settle(&mut self) -> Result<(), ArrowError> {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.done.push(batch(waiting)?);
        }
        Ok(())
    }
}

fn batch(waiting: Vec<(Record, Line)>) -> Result<RecordBatch, ArrowError> {
    let (records, lines): (Vec<Record>, Vec<Line>) = waiting.into_iter().unzip();
    let happened: Vec<i64> = lines.iter().map(|line| line.time_us).collect();
    let mut columns: Vec<ArrayRef> =
        FIELDS.iter().enumerate().map(|(at, field)| column(field.kind, at, &lines)).collect();
    columns.push(Arc::new(lines.iter().map(|line| line.raw.as_deref()).collect::<StringArray>()));
    columns.push(Arc::new(Int32Array::from_iter_values(records.iter().map(|record| record.partition))));
    columns.push(Arc::new(Int64Array::from_iter_values(records.iter().map(|record| record.offset))));
    columns.push(times::of_records(&records));
    columns.push(Arc::new(times::days(&happened)));
    RecordBatch::try_new(Table::Logs.schema(), columns)
}

/// The column of the field at `at`.
fn column(kind: Kind, at: usize, lines: &[Line]) -> ArrayRef {
    let values = lines.iter().map(|line| line.fields[at].as_ref());
    match kind {
        Kind::Time => {
            let times = lines.iter().map(|line| line.time_us);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone(crate::tables::UTC))
        }
        Kind::Text | Kind::Closed => Arc::new(values.map(|value| value?.text()).collect::<StringArray>()),
        Kind::Integer => Arc::new(values.map(|value| value?.integer()).collect::<Int64Array>()),
        Kind::Number => Arc::new(values.map(|value| value?.number()).collect::<Float64Array>()),
        Kind::Attributes => {
            Arc::new(lines.iter().map(|line| line.attributes.as_deref()).collect::<StringArray>())
        }
    }
}
