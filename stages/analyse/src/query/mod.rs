//! The one read-only session behind every door.
//!
//! Data flow: text → [`check`] → plan over one [`Pin`](crate::live::Pin) → [`check`] again → rows on the engine's own
//! threads → [`Answer`], which ends at the limits. A query sees one moment of all tables, however long it runs.
//! Deliberately absent: protocols (the doors have them), clocks of the wall but for freshness, and any way to write.

mod answer;
mod chains;
mod check;
mod descriptions;
mod dialect;
mod error;
mod functions;
mod grants;
mod limits;
mod session;
mod stores;
pub(crate) mod text;
mod union;

#[cfg(test)]
mod tests;

pub use answer::{Answer, rows};
pub use check::statements;
pub use dialect::Dialect;
pub use error::QueryError;
pub use grants::{Forbidden, Grants, LOGS_ROLE};
pub use limits::Limits;
pub use session::{CATALOG, SCHEMA, SYSTEM};

use crate::live::Live;
use datafusion::arrow::datatypes::SchemaRef;
pub use datafusion::common::{ParamValues, ScalarValue};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{DataFrame, SessionContext};
use std::sync::Arc;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// The stack of a thread that plans and runs queries, of which only what is used becomes memory. It is many times what the
/// tallest tree needs that [`chains`] lets pass.
const STACK_BYTES: usize = 256 << 20;

/// A statement that was planned, with the moment it is planned over.
pub struct Planned {
    context: SessionContext,
    plan: LogicalPlan,
}

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planned").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Planned {
    /// The plan itself, for the types of its parameters.
    #[must_use]
    pub const fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    /// The same with `parameters` for its placeholders, which may tell more about its columns.
    ///
    /// # Errors
    ///
    /// [`QueryError::Wrong`] where they do not fit.
    pub fn with(self, parameters: ParamValues) -> Result<Self, QueryError> {
        Ok(Self { plan: self.plan.with_param_values(parameters)?, context: self.context })
    }

    /// The columns of the answer.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }
}

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// What may be read.
    pub grants: Grants,
    /// What the protocol adds to the session, if it does.
    pub dialect: Option<&'a Dialect>,
}

/// Answers statements over [`Live`] tables.
#[derive(Debug)]
pub struct Engine {
    live: Arc<Live>,
    limits: Limits,
    plain: Dialect,
    memory: Arc<dyn MemoryPool>,
    running: Arc<Semaphore>,
    /// `None` only while it is dropped.
    threads: Option<Runtime>,
}

impl Engine {
    /// An engine with threads of its own.
    ///
    /// # Errors
    ///
    /// [`QueryError::Internal`] where the system gives no thread or no folder for temporary files.
    pub fn new(live: Arc<Live>, limits: Limits) -> Result<Self, QueryError> {
        let memory: Arc<dyn MemoryPool> = Arc::new(FairSpillPool::new(limits.memory_bytes));
        let mode =
            if limits.spill_bytes == 0 { DiskManagerMode::Disabled } else { DiskManagerMode::OsTmpDirectory };
        let disk =
            DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(limits.spill_bytes);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::clone(&memory))
            .with_disk_manager_builder(disk)
            .with_object_store_registry(Arc::new(stores::Stores::default()))
            .build_arc()?;
        let threads = Builder::new_multi_thread()
            .worker_threads(limits.threads.max(1))
            .thread_name("sql")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| QueryError::Internal(error.to_string()))?;
        Ok(Self {
            plain: Dialect::plain(session::base(runtime, limits.threads.max(1))?),
            running: Arc::new(Semaphore::new(limits.queries)),
            threads: Some(threads),
            live,
            limits,
            memory,
        })
    }

    /// What a query may cost.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The tables that are asked.
    #[must_use]
    pub const fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Memory that running queries have reserved, in bytes.
    #[must_use]
    pub fn memory_reserved_bytes(&self) -> usize {
        self.memory.reserved()
    }

    /// Plans `sql` over this moment and runs nothing, for who may read everything.
    ///
    /// # Errors
    ///
    /// All of [`QueryError`] but those of rows.
    pub async fn plan(&self, sql: &str) -> Result<Planned, QueryError> {
        self.plan_as(Asker { grants: Grants::ALL, dialect: None }, sql).await
    }

    /// As [`Self::plan`], for `asker`.
    ///
    /// # Errors
    ///
    /// All of [`QueryError`] but those of rows.
    pub async fn plan_as(&self, asker: Asker<'_>, sql: &str) -> Result<Planned, QueryError> {
        self.within(Instant::now() + self.limits.time, self.planned(asker, sql)?).await
    }

    /// What `prepare` adds to a session, for a protocol whose tools expect functions or schemas of their own. Statements are
    /// checked and limited as without.
    ///
    /// # Errors
    ///
    /// [`QueryError::Internal`] where `prepare` fails.
    pub async fn dialect<E: std::fmt::Display>(
        &self,
        prepare: impl FnOnce(&SessionContext) -> Result<(), E>,
    ) -> Result<Dialect, QueryError> {
        let model = self.plain.model()?;
        prepare(&model).map_err(|error| QueryError::Internal(error.to_string()))?;
        self.within(Instant::now() + self.limits.time, Dialect::of(model)).await
    }

    fn planned(
        &self,
        asker: Asker<'_>,
        sql: &str,
    ) -> Result<impl Future<Output = Result<Planned, QueryError>> + Send + use<>, QueryError> {
        let statement = check::statement(sql, &self.limits)?;
        check::kind(&statement)?;
        let Asker { grants, dialect } = asker;
        let dialect = dialect.unwrap_or(&self.plain).clone();
        let (pin, live) = (self.live.pin(), Arc::clone(&self.live));
        Ok(async move {
            let context = session::over(&dialect, grants, &pin, live.logins())?;
            let plan = text::plain(context.state().statement_to_plan(statement).await?)?;
            check::plan(&plan)?;
            Ok(Planned { context, plan })
        })
    }

    /// Runs `work` on the engine's threads, until `deadline`.
    async fn within<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let threads = self.threads.as_ref().expect("present until it is dropped");
        let mut task = threads.spawn(work);
        match tokio::time::timeout_at(deadline, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            // A panic inside the engine ends one query.
            Ok(Err(error)) => Err(QueryError::Internal(error.to_string())),
            Err(_) => {
                task.abort();
                Err(QueryError::TimedOut { limit: self.limits.time })
            }
        }
    }

    /// Answers `sql` over this moment, with `parameters` for its placeholders, for who may read everything.
    ///
    /// # Errors
    ///
    /// All of [`QueryError`] but those of rows, which the answer tells.
    pub async fn ask(&self, sql: &str, parameters: Option<ParamValues>) -> Result<Answer, QueryError> {
        self.ask_as(Asker { grants: Grants::ALL, dialect: None }, sql, parameters).await
    }

    /// As [`Self::ask`], for `asker`.
    ///
    /// # Errors
    ///
    /// All of [`QueryError`] but those of rows, which the answer tells.
    pub async fn ask_as(
        &self,
        asker: Asker<'_>,
        sql: &str,
        parameters: Option<ParamValues>,
    ) -> Result<Answer, QueryError> {
        let deadline = Instant::now() + self.limits.time;
        let permit = self.permit()?;
        let planned = self.planned(asker, sql)?;
        let limits = self.limits;
        self.within(deadline, async move {
            let Planned { context, mut plan } = planned.await?;
            if let Some(parameters) = parameters {
                plan = plan.with_param_values(parameters)?;
            }
            let stream = DataFrame::new(context.state(), plan).execute_stream().await?;
            Ok(Answer::drive(stream, deadline, limits, permit))
        })
        .await
    }

    fn permit(&self) -> Result<tokio::sync::OwnedSemaphorePermit, QueryError> {
        let limit = self.limits.queries;
        Arc::clone(&self.running).try_acquire_owned().map_err(|_| QueryError::Busy { limit })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting here would forbid to drop an engine inside of asynchronous code.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}
