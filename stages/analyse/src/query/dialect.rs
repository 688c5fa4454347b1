//! What one protocol adds to the sessions behind its door: functions, types, and schemas beside those of the tables.

use super::grants::Grants;
use super::session::{self, CATALOG, SCHEMA, SYSTEM};
use super::{QueryError, descriptions};
use crate::live::Live;
use datafusion::catalog::SchemaProvider;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::SessionContext;
use std::fmt;
use std::sync::Arc;

/// The state that the sessions of a door start from.
#[derive(Clone)]
pub struct Dialect {
    pub(super) base: SessionState,
    pub(super) schemas: Vec<(String, Arc<dyn SchemaProvider>)>,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemas: Vec<&str> = self.schemas.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Dialect").field("schemas", &schemas).finish_non_exhaustive()
    }
}

impl Dialect {
    /// Nothing added.
    pub(super) const fn plain(base: SessionState) -> Self {
        Self { base, schemas: Vec::new() }
    }

    /// A session over tables that have no rows, for a protocol to add to.
    pub(super) fn model(&self) -> Result<SessionContext, QueryError> {
        let empty = Live::new(String::new(), Arc::new(|| 0));
        Ok(session::over(self, Grants::ALL, &empty.pin(), empty.logins())?)
    }

    /// What was added to `model`. Its schemas are shared by all sessions, so that what they number keeps its number.
    pub(super) async fn of(model: SessionContext) -> Result<Self, QueryError> {
        descriptions::add(&model).await?;
        let absent = || QueryError::Internal(format!("the catalogue {CATALOG} is gone"));
        let catalog = model.catalog(CATALOG).ok_or_else(absent)?;
        let added = catalog.schema_names().into_iter().filter(|name| name != SCHEMA && name != SYSTEM);
        let schemas = added.filter_map(|name| catalog.schema(&name).map(|schema| (name, schema))).collect();
        Ok(Self { base: model.state(), schemas })
    }
}
