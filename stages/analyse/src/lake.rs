//! A lake: Delta tables in a folder or a bucket, opened at one snapshot each.
//!
//! How far the topic of events was read is part of the tables themselves: a `txn` action per partition, in the same commit
//! as the rows, holds the offset that is to be read next. Whoever reads rows from memory besides cuts them there.

mod error;
mod location;

pub use error::LakeError;
pub use location::Location;

use crate::tables::{self, EVENT_DATE, Origin, Table};
use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::TableProvider;
use datafusion::error::DataFusionError;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::prelude::SessionConfig;
use deltalake::DeltaTable;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::{StructField, StructType};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::SaveMode;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Commits between two checkpoints of a table's log. Commits come about once a minute, and whoever opens the table reads
/// those since the last checkpoint one by one.
const CHECKPOINT_INTERVAL: &str = "50";
/// The property of a table that names the pipeline whose rows it holds. Offsets of two pipelines would be told apart by
/// nothing.
const PIPELINE: &str = "treble.pipeline";

/// A lake whose tables are loaded.
#[derive(Debug, Clone)]
pub struct Lake {
    location: Location,
    tables: BTreeMap<Table, DeltaTable>,
}

impl Lake {
    /// Opens the tables of `origin` in the lake of `pipeline` at `location`; what is missing of them is created, and columns that
    /// a newer version of Treble writes are added.
    ///
    /// # Errors
    /// [`LakeError::Foreign`] where it is another pipeline's.
    pub async fn open_or_create(
        location: &Location,
        pipeline: &str,
        origin: Origin,
    ) -> Result<Self, LakeError> {
        let mut opened = BTreeMap::new();
        for &table in origin.tables() {
            opened.insert(table, open_or_create(location, pipeline, table).await?);
        }
        let lake = Self { location: location.clone(), tables: opened };
        lake.check_pipeline(pipeline)?;
        Ok(lake)
    }

    /// Opens the lake at `location`, with the lines of the log where it has them.
    ///
    /// # Errors
    /// [`LakeError::Missing`] where a table of events is not there.
    pub async fn open(location: &Location) -> Result<Self, LakeError> {
        let mut lake = Self { location: location.clone(), tables: BTreeMap::new() };
        lake.look_for_more().await?;
        for &table in Origin::Events.tables() {
            if !lake.tables.contains_key(&table) {
                return Err(LakeError::Missing { location: location.to_string(), table: table.name() });
            }
        }
        Ok(lake)
    }

    /// Opens the tables that are there, and were not before.
    async fn look_for_more(&mut self) -> Result<(), LakeError> {
        for table in Table::ALL {
            if !self.tables.contains_key(&table)
                && let Some(found) = open_if_there(&self.location, table.name()).await?
            {
                self.tables.insert(table, found);
            }
        }
        Ok(())
    }

    /// The tables that it has, as far as they were opened.
    #[must_use]
    pub fn tables(&self) -> Vec<Table> {
        self.tables.keys().copied().collect()
    }

    /// That it holds rows of `pipeline`. Lakes from before this was written down pass.
    ///
    /// # Errors
    /// [`LakeError::Foreign`] where it holds another's.
    pub fn check_pipeline(&self, pipeline: &str) -> Result<(), LakeError> {
        for (table, loaded) in &self.tables {
            let fault = |error| LakeError::delta(table.name(), "read its properties", error);
            let found = loaded.snapshot().map_err(fault)?.metadata().configuration().get(PIPELINE);
            if let Some(found) = found.filter(|found| *found != pipeline) {
                let (location, found) = (self.location.to_string(), found.clone());
                return Err(LakeError::Foreign { location, found, pipeline: pipeline.to_owned() });
            }
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// One of its [`tables`](Self::tables), at the snapshot that was loaded last.
    #[must_use]
    pub fn table(&self, table: Table) -> &DeltaTable {
        self.tables.get(&table).expect("one that was opened")
    }

    pub(crate) fn table_mut(&mut self, table: Table) -> &mut DeltaTable {
        self.tables.get_mut(&table).expect("one that was opened")
    }

    /// The rows of `table`, at the snapshot that was loaded last, for queries.
    ///
    /// # Errors
    /// [`LakeError`] where the table needs what this program cannot read.
    pub async fn provider(&self, table: Table) -> Result<Arc<dyn TableProvider>, LakeError> {
        provider(self.table(table), table.name()).await
    }

    /// The version of the loaded snapshot.
    #[must_use]
    pub fn version(&self, table: Table) -> u64 {
        self.table(table).version().expect("every table is loaded")
    }

    /// Loads what was committed since to its [`tables`](Self::tables).
    pub async fn refresh(&mut self) -> Result<(), LakeError> {
        for (table, loaded) in &mut self.tables {
            load(loaded, table.name()).await?;
        }
        Ok(())
    }

    /// As [`refresh`](Self::refresh), and opens what was created since.
    pub async fn refresh_all(&mut self) -> Result<(), LakeError> {
        self.refresh().await?;
        self.look_for_more().await
    }

    /// The offset of `partition` that is to be read next, as of the loaded snapshot; `None` where nothing was read yet.
    pub async fn next_offset(
        &self,
        table: Table,
        pipeline: &str,
        topic: &str,
        partition: i32,
    ) -> Result<Option<i64>, LakeError> {
        let id = tables::app_id(pipeline, table, topic, partition);
        transaction_version(self.table(table), table.name(), &id).await
    }

    /// [`next_offset`](Self::next_offset) of the partitions from 0 to `partitions`, those left out of which nothing was read
    /// yet. Rows of `table` from memory are cut here: the snapshot holds what lies before.
    pub async fn next_offsets(
        &self,
        table: Table,
        pipeline: &str,
        topic: &str,
        partitions: i32,
    ) -> Result<BTreeMap<i32, i64>, LakeError> {
        let mut offsets = BTreeMap::new();
        for partition in 0..partitions {
            if let Some(offset) = self.next_offset(table, pipeline, topic, partition).await? {
                offsets.insert(partition, offset);
            }
        }
        Ok(offsets)
    }
}

/// The version of the application transaction `id`, as of the loaded snapshot.
pub(crate) async fn transaction_version(
    table: &DeltaTable,
    name: &str,
    id: &str,
) -> Result<Option<i64>, LakeError> {
    let fault = |error| LakeError::delta(name, "read how far it was written", error);
    let snapshot = table.snapshot().map_err(fault)?;
    snapshot.transaction_version(table.log_store().as_ref(), id).await.map_err(fault)
}

/// What readers start from: text as views, in which nothing is copied, as rows in memory have it (see
/// [`query::text`](crate::query)). Filters are not evaluated inside the Parquet reader a second time: Delta's scan does so itself.
fn session() -> Arc<SessionState> {
    let mut config = SessionConfig::new();
    config.options_mut().execution.parquet.schema_force_view_types = true;
    Arc::new(SessionStateBuilder::new().with_config(config).build())
}

/// The rows of `table`, at the snapshot that was loaded last, for queries.
pub(crate) async fn provider(table: &DeltaTable, name: &str) -> Result<Arc<dyn TableProvider>, LakeError> {
    let provider = table.table_provider().with_session(session()).build().await;
    let fault = |error: DataFusionError| LakeError::delta(name, "read its columns", error.into());
    Ok(Arc::new(provider.map_err(fault)?))
}

/// The table called `name`, loaded; `None` where it is not there.
pub(crate) async fn open_if_there(location: &Location, name: &str) -> Result<Option<DeltaTable>, LakeError> {
    if location::is_missing(location, name) {
        return Ok(None);
    }
    let mut found = location.table(name, false)?;
    let exists = found.verify_deltatable_existence().await;
    if !exists.map_err(|error| LakeError::delta(name, "look for the table", error))? {
        return Ok(None);
    }
    load(&mut found, name).await?;
    Ok(Some(found))
}

pub(crate) async fn load(table: &mut DeltaTable, name: &str) -> Result<(), LakeError> {
    table.update_state().await.map_err(|error| LakeError::delta(name, "read its log", error))
}

async fn open_or_create(location: &Location, pipeline: &str, table: Table) -> Result<DeltaTable, LakeError> {
    let found = location.table(table.name(), true)?;
    let schema = table.schema();
    let properties = [
        ("delta.dataSkippingStatsColumns", table.statistics_columns().join(",")),
        ("delta.checkpointInterval", CHECKPOINT_INTERVAL.to_owned()),
        (PIPELINE, pipeline.to_owned()),
    ];
    open_or_create_as(found, table.name(), table.summary(), &schema, &properties).await
}

/// Loads a table, created before where it is not there, with columns added that it lacks.
pub(crate) async fn open_or_create_as(
    mut table: DeltaTable,
    name: &str,
    summary: &str,
    schema: &Schema,
    properties: &[(&str, String)],
) -> Result<DeltaTable, LakeError> {
    let exists = table.verify_deltatable_existence().await;
    if !exists.map_err(|error| LakeError::delta(name, "look for the table", error))? {
        let create = CreateBuilder::new()
            .with_log_store(table.log_store())
            .with_table_name(name)
            .with_comment(summary)
            .with_columns(columns(schema, name)?)
            .with_partition_columns([EVENT_DATE])
            .with_configuration(properties.iter().map(|(key, value)| (*key, Some(value.clone()))))
            // Properties of one's own are Delta's to keep, too.
            .with_raise_if_key_not_exists(false)
            .with_save_mode(SaveMode::Ignore);
        if let Err(error) = create.await {
            // Another process may have been quicker; then the table is there.
            table.update_state().await.map_err(|_| LakeError::delta(name, "create the table", error))?;
        }
    }
    load(&mut table, name).await?;
    widen(table, name, schema).await
}

fn columns(schema: &Schema, name: &str) -> Result<Vec<StructField>, LakeError> {
    let columns: StructType = schema.try_into_kernel().map_err(|error| LakeError::arrow(name, error))?;
    Ok(columns.fields().cloned().collect())
}

/// Adds the columns that `table` lacks.
async fn widen(table: DeltaTable, name: &str, schema: &Schema) -> Result<DeltaTable, LakeError> {
    let found = table.snapshot().map_err(|error| LakeError::delta(name, "read its columns", error))?;
    let found = found.snapshot().arrow_schema();
    let mut missing = Vec::new();
    for field in schema.fields() {
        match found.field_with_name(field.name()) {
            Err(_) => missing.push(field.as_ref().clone().with_nullable(true)),
            Ok(column) if column.data_type() == field.data_type() => {}
            Ok(column) => {
                return Err(LakeError::Shape {
                    table: name.to_owned(),
                    column: field.name().clone(),
                    found: column.data_type().to_string(),
                    expected: field.data_type().to_string(),
                });
            }
        }
    }
    if missing.is_empty() {
        return Ok(table);
    }
    let added = table.add_columns().with_fields(columns(&Schema::new(missing), name)?);
    added.await.map_err(|error| LakeError::delta(name, "add columns", error))
}
