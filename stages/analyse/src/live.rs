//! Stored and recent rows as one, at one moment.

use crate::logins::Logins;
use crate::query::text;
use crate::rollups::Rollup;
use crate::tables::Table;
use crate::tail::NextOffsets;
use crate::tail::Tail;
use datafusion::arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::MemTable;
pub use datafusion::catalog::TableProvider;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

/// The time of day, in microseconds since the Unix epoch.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// One table of one snapshot of the lake.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// Its rows; `None` where there is no lake.
    pub provider: Option<Arc<dyn TableProvider>>,
    /// By partition of the topic, the first offset that it does not hold.
    pub next_offsets: NextOffsets,
}

/// How far the reader of the topic is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reading {
    /// The next offset that it reads.
    pub position: i64,
    /// Where records end; `None` where nobody knows.
    pub end: Option<i64>,
    /// When it last had read everything, in microseconds since the Unix epoch; 0: never.
    pub caught_up_us: i64,
}

/// Tables that change while they are read. The feed writes, queries read.
pub struct Live {
    state: RwLock<State>,
    logins: Logins,
    topic: String,
    now: Now,
}

#[derive(Debug, Default)]
struct State {
    stored: BTreeMap<Table, Stored>,
    rollups: BTreeMap<Rollup, Arc<dyn TableProvider>>,
    readings: BTreeMap<i32, Reading>,
    tail: Tail,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("topic", &self.topic).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Live {
    /// Empty tables of what is on `topic`.
    #[must_use]
    pub fn new(topic: String, now: Now) -> Self {
        Self { state: RwLock::default(), logins: Logins::default(), topic, now }
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who came to the doors of this process.
    #[must_use]
    pub const fn logins(&self) -> &Logins {
        &self.logins
    }

    /// Goes over to a newer snapshot of the lake, and drops from memory what it holds.
    pub fn store(&self, snapshot: BTreeMap<Table, Stored>) {
        self.change(|state| {
            for (table, stored) in &snapshot {
                state.tail.forget(*table, &stored.next_offsets);
            }
            state.stored = snapshot;
        });
    }

    /// Goes over to newer rollups.
    pub fn roll(&self, rollups: BTreeMap<Rollup, Arc<dyn TableProvider>>) {
        self.change(|state| state.rollups = rollups);
    }

    /// Adds rows that were read from `partition`, and how far that brought the reader.
    ///
    /// # Errors
    ///
    /// Batches of different columns: a defect.
    pub fn append(
        &self,
        partition: i32,
        rows: Vec<(Table, RecordBatch)>,
        reading: Reading,
    ) -> Result<(), ArrowError> {
        self.change(|state| {
            for (table, batch) in rows {
                state.tail.append(table, partition, text::view(&batch)?)?;
            }
            state.readings.insert(partition, reading);
            Ok(())
        })
    }

    /// Bytes of rows in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.look(|state| state.tail.bytes())
    }

    /// How far the reader is, by partition.
    #[must_use]
    pub fn readings(&self) -> BTreeMap<i32, Reading> {
        self.look(|state| state.readings.clone())
    }

    /// All tables as they are now.
    #[must_use]
    pub fn pin(&self) -> Pin {
        let now_us = (self.now)();
        self.look(|state| {
            let pinned = |table: Table| {
                let stored = state.stored.get(&table).cloned().unwrap_or_default();
                let recent = state.tail.cut(table, &stored.next_offsets);
                (table, Pinned { stored: stored.provider, recent })
            };
            let fresh = |(&partition, reading): (&i32, &Reading)| Fresh {
                partition,
                stored: state
                    .stored
                    .values()
                    .filter_map(|stored| stored.next_offsets.get(&partition))
                    .min()
                    .copied(),
                reading: *reading,
                rows: state.tail.rows(partition),
            };
            Pin {
                tables: Table::ALL.into_iter().map(pinned).collect(),
                rollups: state.rollups.clone(),
                fresh: state.readings.iter().map(fresh).collect(),
                topic: self.topic.clone(),
                now_us,
            }
        })
    }
}

/// One table of a [`Pin`].
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    pub(crate) stored: Option<Arc<dyn TableProvider>>,
    pub(crate) recent: Vec<RecordBatch>,
}

#[derive(Debug)]
struct Fresh {
    partition: i32,
    stored: Option<i64>,
    reading: Reading,
    rows: usize,
}

/// All tables at one moment: what a query sees, however long it runs.
#[derive(Debug)]
pub struct Pin {
    tables: BTreeMap<Table, Pinned>,
    rollups: BTreeMap<Rollup, Arc<dyn TableProvider>>,
    fresh: Vec<Fresh>,
    topic: String,
    now_us: i64,
}

/// The columns of `system.freshness`.
static FRESHNESS: LazyLock<SchemaRef> = LazyLock::new(|| {
    let field = |name, kind| Field::new(name, kind, true);
    Arc::new(Schema::new(vec![
        field("topic", DataType::Utf8),
        field("partition", DataType::Int32),
        field("stored_offset", DataType::Int64),
        field("recent_offset", DataType::Int64),
        field("end_offset", DataType::Int64),
        field("recent_rows", DataType::Int64),
        field("seconds_behind", DataType::Float64),
    ]))
});

impl Pin {
    pub(crate) fn table(&self, table: Table) -> Pinned {
        self.tables.get(&table).cloned().unwrap_or(Pinned { stored: None, recent: Vec::new() })
    }

    /// The rows of a rollup; none where nothing was rolled up yet.
    pub(crate) fn rollup(&self, rollup: Rollup) -> Option<Arc<dyn TableProvider>> {
        self.rollups.get(&rollup).cloned()
    }

    /// `system.freshness`: a row for each partition.
    pub(crate) fn freshness(&self) -> datafusion::error::Result<Arc<dyn TableProvider>> {
        let fresh = &self.fresh;
        let count = |rows: usize| i64::try_from(rows).unwrap_or(i64::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(fresh.iter().map(|_| &self.topic))),
            Arc::new(Int32Array::from_iter_values(fresh.iter().map(|fresh| fresh.partition))),
            Arc::new(Int64Array::from_iter(fresh.iter().map(|fresh| fresh.stored))),
            Arc::new(Int64Array::from_iter_values(fresh.iter().map(|fresh| fresh.reading.position))),
            Arc::new(Int64Array::from_iter(fresh.iter().map(|fresh| fresh.reading.end))),
            Arc::new(Int64Array::from_iter_values(fresh.iter().map(|fresh| count(fresh.rows)))),
            Arc::new(Float64Array::from_iter(fresh.iter().map(|fresh| self.seconds_behind(fresh.reading)))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&FRESHNESS), columns)?;
        Ok(Arc::new(MemTable::try_new(Arc::clone(&FRESHNESS), vec![vec![batch]])?))
    }

    /// The most that a committed record can be old which queries do not see yet: the time since everything was read. Who cannot
    /// look, or has no room, falls behind however idle the topic is; nobody knows before everything was read once.
    fn seconds_behind(&self, reading: Reading) -> Option<f64> {
        match reading {
            Reading { caught_up_us: 0, .. } => None,
            #[expect(clippy::cast_precision_loss, reason = "a delay in microseconds is far below 2^53")]
            Reading { caught_up_us, .. } => Some((self.now_us - caught_up_us).max(0) as f64 / 1e6),
        }
    }
}
