//! What stages did by minute and by hour, as tables of their own.
//!
//! Each is computed from a version of `stage_events` and says which, in the same commit as its rows (`txn` action
//! `rollup/<table>`). A run computes the days anew that were written to since, and replaces them whole: running twice
//! changes nothing, and of two that run at once the second is refused.

use crate::commit;
use crate::lake::{
    Lake, LakeError, Location, load, open_if_there, open_or_create_as, provider, transaction_version,
};
use crate::tables::{EVENT_DATE, Table, column, time};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::functions::datetime::expr_fn::date_trunc;
use datafusion::functions_aggregate::expr_fn::{
    approx_percentile_cont, avg, count, count_distinct, max, sum,
};
use datafusion::prelude::{Expr, SessionContext, cast, col, lit, when};
use deltalake::kernel::Transaction;
use deltalake::kernel::transaction::CommitProperties;
use deltalake::logstore::LogStore;
use deltalake::protocol::SaveMode;
use deltalake::{DeltaTable, DeltaTableError};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

/// A table of what stages did within windows of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rollup {
    /// Minutes.
    StageMinutes,
    /// Hours.
    StageHours,
}

impl Rollup {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::StageMinutes, Self::StageHours];

    /// Its name in SQL, and of its folder in the lake.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StageMinutes => "stage_minutes",
            Self::StageHours => "stage_hours",
        }
    }

    /// One line about it.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::StageMinutes => "What each stage did in each minute, by mode, model and device.",
            Self::StageHours => "What each stage did in each hour, by mode, model and device.",
        }
    }

    /// Its columns.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(schema);
        Arc::clone(&SCHEMA)
    }

    const fn window(self) -> &'static str {
        match self {
            Self::StageMinutes => "minute",
            Self::StageHours => "hour",
        }
    }

    /// Names the version of its source in its log.
    fn app_id(self) -> String {
        format!("rollup/{}", self.name())
    }
}

fn schema() -> SchemaRef {
    use DataType::{Boolean, Date32, Float64, Int64, Utf8};
    let columns = [
        ("window_start", time(), false, "Beginning of the minute or hour, by event_time."),
        ("stage", Utf8, false, "The stage's name, such as decode."),
        ("mode", Utf8, false, "How the sound was raised: none, ai or baseline."),
        ("model", Utf8, true, "The model's name; null where none ran."),
        ("device", Utf8, true, "Where the model ran: cpu, cuda or tensorrt."),
        ("live", Boolean, false, "Whether the streams are live (true) or files."),
        ("commits", Int64, false, "Events: one for each stream and commit."),
        ("streams", Int64, false, "Different streams."),
        ("finished", Int64, false, "Streams that came to their end."),
        ("aborted", Int64, false, "Streams that were given up."),
        ("errors", Int64, false, "Events that name an error."),
        ("audio_seconds", Float64, false, "Seconds of audio committed to the output."),
        ("processing_seconds", Float64, false, "Time spent in the stage, model included."),
        ("bytes_in", Int64, false, "Payload bytes taken from the input topic."),
        ("bytes_out", Int64, false, "Payload bytes committed to the output topic."),
        ("chunks_in", Int64, false, "Records taken from the input topic."),
        ("chunks_out", Int64, false, "Records committed to the output topic."),
        ("queue_wait_seconds_p95", Float64, true, "What 95 of 100 events waited at most (t-digest)."),
        ("queue_wait_seconds_max", Float64, true, "The longest that an input waited."),
        (
            "batch_size_mean",
            Float64,
            true,
            "Mean number of windows that shared an inference; null where no model ran.",
        ),
        ("samples_clipped", Int64, false, "Samples beyond full scale that were limited to it."),
        ("samples_replaced", Int64, false, "Samples that were NaN or infinite and became 0."),
        ("packets_skipped", Int64, false, "Corrupt packets that were skipped."),
        (EVENT_DATE, Date32, false, "UTC day of window_start; files are partitioned by it."),
    ];
    let field = |(name, kind, nullable, doc): (&str, DataType, bool, &str)| column(name, kind, nullable, doc);
    Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>()))
}

/// What a run did to one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rolled {
    /// The table.
    pub rollup: Rollup,
    /// The version of `stage_events` that it now tells of.
    pub source_version: u64,
    /// The days that were computed anew, as `2026-11-26`.
    pub days: Vec<String>,
    /// Their rows.
    pub rows: usize,
}

/// Brings every rollup up to the loaded version of `stage_events`.
pub async fn run(lake: &Lake) -> Result<Vec<Rolled>, LakeError> {
    let mut rolled = Vec::new();
    for rollup in Rollup::ALL {
        rolled.push(bring_up(lake, rollup).await?);
    }
    Ok(rolled)
}

/// Opens the table of `rollup`, created where it is missing.
pub async fn open_or_create(location: &Location, rollup: Rollup) -> Result<DeltaTable, LakeError> {
    let found = location.table(rollup.name(), true)?;
    open_or_create_as(found, rollup.name(), rollup.summary(), &rollup.schema(), &[]).await
}

/// Versions of rollups.
pub type Versions = BTreeMap<Rollup, u64>;

/// Rollups for those who only look.
#[derive(Debug, Default)]
pub struct Rollups(BTreeMap<Rollup, DeltaTable>);

impl Rollups {
    /// Loads what was committed since, and what was not there before.
    pub async fn refresh(&mut self, location: &Location) -> Result<(), LakeError> {
        for rollup in Rollup::ALL {
            match self.0.get_mut(&rollup) {
                Some(table) => load(table, rollup.name()).await?,
                None => {
                    if let Some(table) = open_if_there(location, rollup.name()).await? {
                        self.0.insert(rollup, table);
                    }
                }
            }
        }
        Ok(())
    }

    /// The versions of those that are there, as loaded.
    #[must_use]
    pub fn versions(&self) -> Versions {
        self.0.iter().filter_map(|(rollup, table)| Some((*rollup, table.version()?))).collect()
    }

    /// The rows of those that are there.
    pub async fn providers(&self) -> Result<BTreeMap<Rollup, Arc<dyn TableProvider>>, LakeError> {
        let mut providers = BTreeMap::new();
        for (rollup, table) in &self.0 {
            providers.insert(*rollup, provider(table, rollup.name()).await?);
        }
        Ok(providers)
    }
}

async fn bring_up(lake: &Lake, rollup: Rollup) -> Result<Rolled, LakeError> {
    let table = open_or_create(lake.location(), rollup).await?;
    let told = transaction_version(&table, rollup.name(), &rollup.app_id()).await?;
    let told = told.and_then(|version| u64::try_from(version).ok());
    let source_version = lake.version(Table::StageEvents);
    let fault = |error| LakeError::delta(rollup.name(), "bring it up to date", error);
    let days = if told.is_some_and(|told| told >= source_version) {
        BTreeSet::new()
    } else {
        changed(lake.table(Table::StageEvents), told, source_version).await.map_err(fault)?
    };
    if days.is_empty() {
        return Ok(Rolled { rollup, source_version, days: Vec::new(), rows: 0 });
    }
    let batches = compute(lake.table(Table::StageEvents), rollup, &days).await.map_err(fault)?;
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let version = i64::try_from(source_version).unwrap_or(i64::MAX);
    let properties =
        CommitProperties::default().with_application_transaction(Transaction::new(rollup.app_id(), version));
    let write = table.write(batches).with_save_mode(SaveMode::Overwrite).with_replace_where(is_one_of(&days));
    let write = write.with_writer_properties(commit::properties()).with_commit_properties(properties);
    write.await.map_err(fault)?;
    Ok(Rolled { rollup, source_version, days: days.into_iter().collect(), rows })
}

/// The days that files were added for after version `told`; all of them where that is not to be found out any more.
async fn changed(
    source: &DeltaTable,
    told: Option<u64>,
    version: u64,
) -> Result<BTreeSet<String>, DeltaTableError> {
    if let Some(told) = told {
        let log = source.log_store();
        let mut days = BTreeSet::new();
        for version in told + 1..=version {
            match added_days(log.as_ref(), version).await? {
                Some(added) => days.extend(added),
                // Upkeep has removed that part of the log.
                None => return every_day(source),
            }
        }
        let there = every_day(source)?;
        return Ok(days.intersection(&there).cloned().collect());
    }
    every_day(source)
}

/// The days of the files that a version added with new rows; `None` where its entry in the log is gone.
async fn added_days(log: &dyn LogStore, version: u64) -> Result<Option<Vec<String>>, DeltaTableError> {
    let Some(entry) = log.read_commit_entry(version).await? else { return Ok(None) };
    let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut days = Vec::new();
    for line in lines {
        let action: Value = serde_json::from_slice(line)
            .map_err(|json_err| DeltaTableError::InvalidJsonLog { json_err, line: String::new(), version })?;
        let add = &action["add"];
        if add["dataChange"] == true
            && let Some(day) = add["partitionValues"][EVENT_DATE].as_str()
        {
            days.push(day.to_owned());
        }
    }
    Ok(Some(days))
}

fn every_day(source: &DeltaTable) -> Result<BTreeSet<String>, DeltaTableError> {
    let files = source.snapshot()?.log_data();
    // A file's path begins with its partition: `event_date=2026-11-26/part-….parquet`.
    let day = |path: &str| path.strip_prefix("event_date=")?.split('/').next().map(str::to_owned);
    Ok(files.iter().filter_map(|file| day(&file.path())).collect())
}

fn is_one_of(days: &BTreeSet<String>) -> Expr {
    let day = |day: &String| cast(lit(day.as_str()), DataType::Date32);
    col(EVENT_DATE).in_list(days.iter().map(day).collect(), false)
}

async fn compute(
    source: &DeltaTable,
    rollup: Rollup,
    days: &BTreeSet<String>,
) -> Result<Vec<RecordBatch>, DeltaTableError> {
    let failed = |error: DataFusionError| DeltaTableError::Generic(error.to_string());
    let events = SessionContext::new().read_table(source.table_provider().await?).map_err(failed)?;
    let windows = windows(events, rollup, days).map_err(failed)?;
    let batches = windows.collect().await.map_err(failed)?;
    // What is grouped by still carries what is said of it as a column of events.
    let ours = |batch: RecordBatch| RecordBatch::try_new(rollup.schema(), batch.columns().to_vec());
    batches.into_iter().map(|batch| ours(batch).map_err(DeltaTableError::from)).collect()
}

fn windows(events: DataFrame, rollup: Rollup, days: &BTreeSet<String>) -> Result<DataFrame, DataFusionError> {
    let window = date_trunc(lit(rollup.window()), col("event_time")).alias("window_start");
    let by =
        [col(EVENT_DATE), window].into_iter().chain(["stage", "mode", "model", "device", "live"].map(col));
    let where_ =
        |condition: Expr| count(when(condition, lit(1)).end().unwrap_or_else(|_| lit(ScalarValue::Null)));
    let status = |status: &str| where_(col("status").eq(lit(status)));
    let summed = |name: &'static str| sum(col(name)).alias(name);
    let wait = || col("queue_wait_seconds");
    let values = [
        count(lit(1)).alias("commits"),
        count_distinct(col("stream_id")).alias("streams"),
        status("finished").alias("finished"),
        status("aborted").alias("aborted"),
        count(col("error_type")).alias("errors"),
        approx_percentile_cont(wait().sort(true, false), lit(0.95), None).alias("queue_wait_seconds_p95"),
        max(wait()).alias("queue_wait_seconds_max"),
        avg(col("batch_size")).alias("batch_size_mean"),
    ];
    let sums = [
        "audio_seconds",
        "processing_seconds",
        "bytes_in",
        "bytes_out",
        "chunks_in",
        "chunks_out",
        "samples_clipped",
        "samples_replaced",
        "packets_skipped",
    ];
    let values = values.into_iter().chain(sums.map(summed)).collect();
    let windows = events.filter(is_one_of(days))?.aggregate(by.collect(), values)?;
    let schema = rollup.schema();
    let columns = schema.fields().iter();
    let columns = columns.map(|field| cast(col(field.name()), field.data_type().clone()).alias(field.name()));
    windows.select(columns.collect::<Vec<_>>())?.sort_by(vec![col("window_start"), col("stage")])
}
