//! Commits rows and positions as one.
//!
//! Per table: files are uploaded, then one commit names them together with how far each partition was read. It is made on
//! the very snapshot that the positions were compared in, so a commit of anybody else for the same partition refuses it,
//! whoever that is and however late. What is refused or fails is dropped and read again from where the tables say: rows
//! in memory are never committed on another snapshot than the one that they were read for.

use crate::lake::{Lake, LakeError, Location, transaction_version};
use crate::rows::Rows;
use crate::tables::{self, EVENT_DATE, Origin, Table};
use datafusion::arrow::array::{AsArray, Int32Array, Int64Array, RecordBatch};
use datafusion::arrow::compute::{SortColumn, filter_record_batch, lexsort_to_indices, take_record_batch};
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::object_store::ObjectStoreExt;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::parquet::basic::{Compression, ZstdLevel};
use deltalake::parquet::file::properties::WriterProperties;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::writer::{DeltaWriter, RecordBatchWriter};
use deltalake::{DeltaTable, Path};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// How far a partition was read into each table: the offset that is to be read next. A table that nothing of the partition
/// was read into yet is left out.
pub type Stand = BTreeMap<Table, i64>;

/// How far a partition was read since its stand was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Where it stood then.
    pub from: Stand,
    /// The offset that is to be read next.
    pub to: i64,
}

/// What one commit of every table of an origin holds.
#[derive(Debug, Clone, Default)]
pub struct Slice {
    /// The rows.
    pub rows: Rows,
    /// The partitions that were read.
    pub moves: BTreeMap<i32, Move>,
}

/// What was committed to one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receipt {
    /// The table.
    pub table: Table,
    /// Its version since.
    pub version: u64,
    /// Rows that were added.
    pub rows: usize,
    /// Files that were added.
    pub files: usize,
    /// Files that the table is made of since.
    pub files_in_all: usize,
    /// How long it took.
    pub took: Duration,
}

/// What became of a slice.
#[derive(Debug)]
pub enum Outcome {
    /// It is in the lake. A table that held all of it before has no receipt.
    Committed(Vec<Receipt>),
    /// Somebody else has read this partition further: what was read of it is worth nothing, and of the others has to be
    /// read again.
    Overtaken {
        /// The table in which that was found.
        table: Table,
        /// The partition, where it is known which.
        partition: Option<i32>,
    },
}

/// What is to be done with a partition's move in one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Its rows and its new position are to be committed.
    Advance,
    /// The table is as far already.
    Settled,
    /// Another owner has moved it.
    Overtaken,
}

/// Decides by where the table stands (`stored`), where it stood when reading began (`from`), and how far was read (`to`).
const fn step(stored: Option<i64>, from: Option<i64>, to: i64) -> Step {
    match (stored, from) {
        (None, None) => Step::Advance,
        (Some(stored), Some(from)) if stored == from => {
            if to > from {
                Step::Advance
            } else {
                Step::Settled
            }
        }
        _ => Step::Overtaken,
    }
}

/// Commits what was read of one topic.
#[derive(Debug)]
pub struct Committer {
    lake: Lake,
    pipeline: String,
    origin: Origin,
    topic: String,
    /// Where partitions stand in the loaded snapshots.
    stored: HashMap<(Table, i32), Option<i64>>,
}

impl Committer {
    /// Opens the lake at `location`, creating what is missing, for the rows of `topic`, which holds records of `origin`.
    pub async fn open(
        location: &Location,
        pipeline: &str,
        origin: Origin,
        topic: &str,
    ) -> Result<Self, LakeError> {
        let lake = Lake::open_or_create(location, pipeline, origin).await?;
        let (pipeline, topic) = (pipeline.to_owned(), topic.to_owned());
        Ok(Self { lake, pipeline, origin, topic, stored: HashMap::new() })
    }

    /// The lake, as of the last commit or [`stands`](Self::stands).
    #[must_use]
    pub const fn lake(&self) -> &Lake {
        &self.lake
    }

    /// Loads what was committed since, by whomever, and tells where `partitions` stand.
    pub async fn stands(&mut self, partitions: &[i32]) -> Result<BTreeMap<i32, Stand>, LakeError> {
        // Until it is loaded, nothing that was known of the snapshots can be relied on.
        self.stored.clear();
        self.lake.refresh().await?;
        let mut stands = BTreeMap::new();
        for &partition in partitions {
            let stand: &mut Stand = stands.entry(partition).or_default();
            for &table in self.origin.tables() {
                if let Some(offset) = self.stored(table, partition).await? {
                    stand.insert(table, offset);
                }
            }
        }
        Ok(stands)
    }

    async fn stored(&mut self, table: Table, partition: i32) -> Result<Option<i64>, LakeError> {
        if let Some(stored) = self.stored.get(&(table, partition)) {
            return Ok(*stored);
        }
        let id = tables::app_id(&self.pipeline, table, &self.topic, partition);
        let stored = transaction_version(self.lake.table(table), table.name(), &id).await?;
        self.stored.insert((table, partition), stored);
        Ok(stored)
    }

    /// Commits `slice` to every table; `now` is monotonic time.
    ///
    /// # Errors
    /// Where the lake refuses: some tables may have taken the slice, even the one that the error is about. As after
    /// [`Outcome::Overtaken`], ask for [`stands`](Self::stands) and read again from there.
    pub async fn commit(
        &mut self,
        slice: &Slice,
        now: impl Fn() -> Duration + Sync,
    ) -> Result<Outcome, LakeError> {
        let mut receipts = Vec::new();
        for &table in self.origin.tables() {
            let mut advances = BTreeMap::new();
            for (&partition, Move { from, to }) in &slice.moves {
                let stored = self.stored(table, partition).await?;
                match step(stored, from.get(&table).copied(), *to) {
                    Step::Advance => drop(advances.insert(partition, *to)),
                    Step::Settled => {}
                    Step::Overtaken => return Ok(Outcome::Overtaken { table, partition: Some(partition) }),
                }
            }
            if advances.is_empty() {
                continue;
            }
            let began = now();
            let rows = slice.rows.get(&table).map(|rows| fresh(table, rows, &slice.moves)).transpose()?;
            match self.commit_table(table, rows.filter(|rows| rows.num_rows() > 0), &advances).await {
                Ok(receipt) => receipts.push(Receipt { took: now().saturating_sub(began), ..receipt }),
                Err(error) if error.is_conflict() => {
                    return Ok(Outcome::Overtaken { table, partition: None });
                }
                Err(error) => return Err(error),
            }
            self.stored.extend(advances.into_iter().map(|(partition, to)| ((table, partition), Some(to))));
        }
        Ok(Outcome::Committed(receipts))
    }

    async fn commit_table(
        &mut self,
        table: Table,
        rows: Option<RecordBatch>,
        advances: &BTreeMap<i32, i64>,
    ) -> Result<Receipt, LakeError> {
        let count = rows.as_ref().map_or(0, RecordBatch::num_rows);
        let files = match rows {
            Some(rows) => upload(self.lake.table(table), table, rows).await?,
            None => Vec::new(),
        };
        let id = |partition: i32| tables::app_id(&self.pipeline, table, &self.topic, partition);
        let positions =
            advances.iter().map(|(partition, to)| Transaction::new(id(*partition), *to)).collect();
        let loaded = self.lake.table_mut(table);
        // The log is tidied up by upkeep: listing all of it with each commit takes longer than the commit.
        let properties = CommitProperties::default()
            .with_application_transactions(positions)
            .with_cleanup_expired_logs(Some(false));
        let operation = DeltaOperation::Write {
            mode: SaveMode::Append,
            partition_by: Some(vec![EVENT_DATE.to_owned()]),
            predicate: None,
        };
        let fault = |error| LakeError::delta(table.name(), "commit", error);
        let commit = CommitBuilder::from(properties)
            .with_actions(files.iter().cloned().map(Action::Add).collect())
            .build(Some(loaded.snapshot().map_err(fault)?), loaded.log_store(), operation)
            .await;
        match commit {
            Ok(done) => {
                loaded.state = Some(done.snapshot());
                Ok(Receipt {
                    table,
                    version: done.version(),
                    rows: count,
                    files: files.len(),
                    files_in_all: done.snapshot.log_data().num_files(),
                    took: Duration::ZERO,
                })
            }
            Err(error) => {
                let error = fault(error);
                if error.is_conflict() {
                    discard(self.lake.table(table), &files).await;
                }
                Err(error)
            }
        }
    }
}

/// The rows that `table` does not hold yet. Tables differ where a process ended between their commits.
fn fresh(table: Table, rows: &RecordBatch, moves: &BTreeMap<i32, Move>) -> Result<RecordBatch, LakeError> {
    let fault = |error| LakeError::arrow(table.name(), error);
    let from = |partition: i32| moves.get(&partition).and_then(|moved| moved.from.get(&table)).copied();
    let starts: Vec<i64> = moves.keys().filter_map(|partition| from(*partition)).collect();
    let partitions = int32(rows, tables::KAFKA_PARTITION);
    let offsets = int64(rows, tables::KAFKA_OFFSET);
    let is_fresh = |(partition, offset): (&i32, &i64)| from(*partition).is_none_or(|from| *offset >= from);
    if starts.is_empty() || partitions.values().iter().zip(offsets.values()).all(is_fresh) {
        return Ok(rows.clone());
    }
    let mask = partitions.values().iter().zip(offsets.values()).map(is_fresh).map(Some).collect();
    filter_record_batch(rows, &mask).map_err(fault)
}

fn int32<'a>(rows: &'a RecordBatch, name: &str) -> &'a Int32Array {
    rows.column_by_name(name).expect("every table has it").as_primitive::<Int32Type>()
}

fn int64<'a>(rows: &'a RecordBatch, name: &str) -> &'a Int64Array {
    rows.column_by_name(name).expect("every table has it").as_primitive::<Int64Type>()
}

/// Sorts `rows` and writes them to files, one for each day, which no commit names yet.
async fn upload(loaded: &DeltaTable, table: Table, rows: RecordBatch) -> Result<Vec<Add>, LakeError> {
    let rows = sorted(table, &rows).map_err(|error| LakeError::arrow(table.name(), error))?;
    let fault = |error| LakeError::delta(table.name(), "write a file", error);
    let mut writer =
        RecordBatchWriter::for_table(loaded).map_err(fault)?.with_writer_properties(properties());
    writer.write(rows).await.map_err(fault)?;
    writer.flush().await.map_err(fault)
}

fn sorted(table: Table, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let column = |name: &&str| {
        rows.column_by_name(name).cloned().expect("a table has the columns that it is sorted by")
    };
    let columns: Vec<SortColumn> =
        table.sort_columns().iter().map(|name| SortColumn { values: column(name), options: None }).collect();
    take_record_batch(rows, &lexsort_to_indices(&columns, None)?)
}

/// How files are written: zstd at its fastest useful level, since files are read far more often than they are written.
pub(crate) fn properties() -> WriterProperties {
    let level = ZstdLevel::try_new(3).expect("zstd has level 3");
    WriterProperties::builder().set_compression(Compression::ZSTD(level)).build()
}

/// Deletes files that no commit will ever name. One that stays is vacuumed later.
async fn discard(loaded: &DeltaTable, files: &[Add]) {
    let store = loaded.object_store();
    for file in files {
        if let Ok(path) = Path::parse(&file.path) {
            store.delete(&path).await.ok();
        }
    }
}
