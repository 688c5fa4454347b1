//! Recent rows: those on the topic that the lake does not hold yet.
//!
//! A row belongs to the lake if its offset lies below the position that the lake's snapshot names for its partition, and to the
//! tail otherwise. So it is served by exactly one of them, whatever commits meanwhile. Reading never consumes: the tail keeps a
//! row until every snapshot in use holds it.

use crate::tables::{KAFKA_OFFSET, Table};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::{concat_batches, sort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use std::collections::{BTreeMap, VecDeque};

/// By partition of the topic, the first offset that a table of a snapshot does not hold.
pub type NextOffsets = BTreeMap<i32, i64>;

/// Small batches are joined up to this many rows: a query pays for every batch, and records come one by one.
const JOINED_ROWS: usize = 4096;

/// Rows of every table and partition in memory.
#[derive(Debug, Default)]
pub struct Tail {
    rows: BTreeMap<(Table, i32), VecDeque<RecordBatch>>,
    bytes: usize,
}

impl Tail {
    /// Adds rows of one partition; their offsets lie behind those that are there.
    ///
    /// # Errors
    ///
    /// Batches of different columns: a defect.
    pub fn append(&mut self, table: Table, partition: i32, batch: RecordBatch) -> Result<(), ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = in_order(batch)?;
        let rows = self.rows.entry((table, partition)).or_default();
        self.bytes += batch.get_array_memory_size();
        match rows.back_mut() {
            Some(last) if last.num_rows() + batch.num_rows() <= JOINED_ROWS => {
                self.bytes -= last.get_array_memory_size() + batch.get_array_memory_size();
                *last = concat_batches(&last.schema(), [&*last, &batch])?;
                self.bytes += last.get_array_memory_size();
            }
            _ => rows.push_back(batch),
        }
        Ok(())
    }

    /// Drops what a snapshot of `table` holds that names `next`.
    pub fn forget(&mut self, table: Table, next: &NextOffsets) {
        for (&(of, partition), rows) in &mut self.rows {
            let Some(&next) = next.get(&partition).filter(|_| of == table) else { continue };
            while rows.front().is_some_and(|batch| offset(batch, batch.num_rows() - 1) < next) {
                self.bytes -= rows.pop_front().map_or(0, |batch| batch.get_array_memory_size());
            }
        }
        self.rows.retain(|_, rows| !rows.is_empty());
    }

    /// The rows of `table` that a snapshot lacks that names `next`.
    #[must_use]
    pub fn cut(&self, table: Table, next: &NextOffsets) -> Vec<RecordBatch> {
        let of_table = self.rows.range((table, i32::MIN)..=(table, i32::MAX));
        let behind = |(&(_, partition), rows): (&(Table, i32), &VecDeque<RecordBatch>)| {
            let from = next.get(&partition).copied().unwrap_or(i64::MIN);
            rows.iter().filter_map(|batch| behind(batch, from)).collect::<Vec<_>>()
        };
        of_table.flat_map(behind).collect()
    }

    /// What it holds, in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many rows of `partition` it holds, of all tables.
    #[must_use]
    pub fn rows(&self, partition: i32) -> usize {
        let of_partition = self.rows.iter().filter(|((_, of), _)| *of == partition);
        of_partition.flat_map(|(_, rows)| rows).map(RecordBatch::num_rows).sum()
    }
}

/// `batch` by rising offset, which cutting relies on: rows of different writers come one writer after the other.
fn in_order(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    let offsets = &batch[KAFKA_OFFSET];
    if offsets.as_primitive::<Int64Type>().values().is_sorted() {
        return Ok(batch);
    }
    take_record_batch(&batch, &sort_to_indices(offsets, None, None)?)
}

fn offset(batch: &RecordBatch, row: usize) -> i64 {
    batch[KAFKA_OFFSET].as_primitive::<Int64Type>().value(row)
}

/// The rows of `batch` from offset `from` on.
fn behind(batch: &RecordBatch, from: i64) -> Option<RecordBatch> {
    let offsets = batch[KAFKA_OFFSET].as_primitive::<Int64Type>().values();
    let first = offsets.partition_point(|offset| *offset < from);
    (first < batch.num_rows()).then(|| batch.slice(first, batch.num_rows() - first))
}
