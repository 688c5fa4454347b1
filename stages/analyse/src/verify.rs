//! Whether a lake holds what it says: each row once, none beyond its partition's position, every file there.

use crate::lake::{Lake, LakeError};
use crate::tables::{KAFKA_OFFSET, KAFKA_PARTITION, Origin, Table};
use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::error::DataFusionError;
use datafusion::object_store::ObjectStore;
use datafusion::prelude::SessionContext;
use deltalake::{DeltaTable, DeltaTableError};
use futures::TryStreamExt;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Offsets that one page of [`Seen`] covers.
const PAGE: i64 = 1 << 16;

/// Which records were seen: a bit each, in pages, since offsets are dense wherever there are any.
#[derive(Debug, Default)]
pub struct Seen(HashMap<(i32, i64), Box<[u64]>>);

impl Seen {
    fn bit(offset: i64) -> (i64, usize, u64) {
        let within = offset.rem_euclid(PAGE);
        (offset.div_euclid(PAGE), (within / 64) as usize, 1 << (within % 64))
    }

    /// Notes a record; whether it is new.
    pub fn insert(&mut self, partition: i32, offset: i64) -> bool {
        let (page, word, bit) = Self::bit(offset);
        let page = self.0.entry((partition, page)).or_insert_with(|| vec![0; (PAGE / 64) as usize].into());
        let is_new = page[word] & bit == 0;
        page[word] |= bit;
        is_new
    }

    /// Whether a record was seen.
    #[must_use]
    pub fn contains(&self, partition: i32, offset: i64) -> bool {
        let (page, word, bit) = Self::bit(offset);
        self.0.get(&(partition, page)).is_some_and(|page| page[word] & bit != 0)
    }
}

/// What was found in one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableCheck {
    /// The table.
    pub table: Table,
    /// The version that was looked at.
    pub version: u64,
    /// Its rows.
    pub rows: u64,
    /// Its files.
    pub files: usize,
    /// Files that its log names and its folder lacks.
    pub missing_files: Vec<String>,
    /// Rows that another row of this or another table has the partition and offset of.
    pub doubled: u64,
    /// Rows that lie at or beyond the position of their partition.
    pub beyond: u64,
    /// The offsets that are to be read next.
    pub positions: BTreeMap<i32, i64>,
}

impl TableCheck {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.missing_files.is_empty() && self.doubled == 0 && self.beyond == 0
    }
}

/// Looks at every row of `lake`, as loaded, that came from `topic`, which holds records of `origin`; what was found, and the
/// records that are there.
pub async fn verify(
    lake: &Lake,
    pipeline: &str,
    (origin, topic): (Origin, &str),
    partitions: i32,
) -> Result<(Vec<TableCheck>, Seen), LakeError> {
    let mut seen = Seen::default();
    let mut checks = Vec::new();
    for table in lake.tables().into_iter().filter(|table| table.origin() == origin) {
        let positions = lake.next_offsets(table, pipeline, topic, partitions).await?;
        let fault = |error| LakeError::delta(table.name(), "read it", error);
        let loaded = lake.table(table);
        let missing_files = missing_files(loaded).await.map_err(fault)?;
        let mut check = TableCheck {
            table,
            version: lake.version(table),
            rows: 0,
            files: loaded.snapshot().map_err(fault)?.log_data().num_files(),
            missing_files,
            doubled: 0,
            beyond: 0,
            positions,
        };
        if check.missing_files.is_empty() {
            read(loaded, &mut check, &mut seen).await.map_err(fault)?;
        }
        checks.push(check);
    }
    Ok((checks, seen))
}

async fn missing_files(table: &DeltaTable) -> Result<Vec<String>, DeltaTableError> {
    let there: BTreeSet<String> =
        table.object_store().list(None).map_ok(|object| object.location.to_string()).try_collect().await?;
    let named = table.snapshot()?.log_data();
    let named = named.iter().map(|file| file.path().into_owned());
    Ok(named.filter(|path| !there.contains(path)).collect())
}

async fn read(table: &DeltaTable, check: &mut TableCheck, seen: &mut Seen) -> Result<(), DeltaTableError> {
    let failed = |error: DataFusionError| DeltaTableError::Generic(error.to_string());
    let rows = SessionContext::new().read_table(table.table_provider().await?).map_err(failed)?;
    let rows = rows.select_columns(&[KAFKA_PARTITION, KAFKA_OFFSET]).map_err(failed)?;
    let mut batches = rows.execute_stream().await.map_err(failed)?;
    while let Some(batch) = batches.try_next().await.map_err(failed)? {
        count(&batch, check, seen);
    }
    Ok(())
}

fn count(batch: &RecordBatch, check: &mut TableCheck, seen: &mut Seen) {
    let partitions = batch.column(0).as_primitive::<Int32Type>().values();
    let offsets = batch.column(1).as_primitive::<Int64Type>().values();
    for (&partition, &offset) in partitions.iter().zip(offsets) {
        check.rows += 1;
        check.doubled += u64::from(!seen.insert(partition, offset));
        let position = check.positions.get(&partition);
        check.beyond += u64::from(position.is_none_or(|position| offset >= *position));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_new_once_wherever_its_offset_lies() {
        let mut seen = Seen::default();
        for offset in [0, 1, 63, 64, PAGE - 1, PAGE, 5_000_000_000] {
            assert!(!seen.contains(3, offset));
            assert!(seen.insert(3, offset));
            assert!(!seen.insert(3, offset));
            assert!(seen.contains(3, offset) && !seen.contains(4, offset));
        }
    }
}
