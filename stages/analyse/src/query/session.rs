//! The session of one query: base tables pinned to one moment, views planned when they are named.

use super::QueryError;
use super::dialect::Dialect;
use super::functions;
use super::grants::{self, Grants};
use super::text::viewed;
use super::union::Union;
use crate::live::Pin;
use crate::logins::Logins;
use crate::rollups::Rollup;
use crate::tables::Table;
use crate::views::{self, View};
use async_trait::async_trait;
use datafusion::catalog::CatalogProviderList;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProviderList, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::datasource::ViewTable;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionState;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The catalogue that all tables are in.
pub const CATALOG: &str = "treble";
/// The schema of what analysts ask.
pub const SCHEMA: &str = "public";
/// The schema of what the service tells about itself.
pub const SYSTEM: &str = "system";

/// The state that every session starts from: functions, rules and options, and no table.
///
/// # Errors
///
/// [`QueryError::Internal`] where a function cannot be replaced: a defect.
pub(super) fn base(runtime: Arc<RuntimeEnv>, threads: usize) -> Result<SessionState, QueryError> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(true)
        .with_target_partitions(threads);
    let options = config.options_mut();
    options.sql_parser.dialect = datafusion::common::config::Dialect::PostgreSQL;
    options.sql_parser.map_string_types_to_utf8view = false;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    functions::registered(state)
}

/// A session over what `pin` holds and `grants` allow, for one statement.
pub(super) fn over(dialect: &Dialect, grants: Grants, pin: &Pin, logins: &Logins) -> Result<SessionContext> {
    let base = &dialect.base;
    let freshness = pin.freshness()?;
    let mut tables = pinned(pin)?;
    tables.insert("freshness".to_owned(), Arc::clone(&freshness));
    let tables = Arc::new(Base(tables));
    let inner = with_schemas(base, [(SCHEMA, Arc::clone(&tables) as _)])?;
    let system: BTreeMap<_, _> =
        [("freshness".to_owned(), freshness), ("logins".to_owned(), logins.table()?)].into();
    let public = Arc::new(Public { tables, grants, inner: SessionContext::new_with_state(inner) });
    let added = dialect.schemas.iter().map(|(name, schema)| (name.as_str(), Arc::clone(schema)));
    let own: [(&str, Arc<dyn SchemaProvider>); 2] = [(SCHEMA, public), (SYSTEM, Arc::new(Base(system)))];
    let state = with_schemas(base, own.into_iter().chain(added))?;
    Ok(SessionContext::new_with_state(state))
}

fn with_schemas<'a>(
    base: &SessionState,
    schemas: impl IntoIterator<Item = (&'a str, Arc<dyn SchemaProvider>)>,
) -> Result<SessionState> {
    let catalog = Arc::new(datafusion::catalog::MemoryCatalogProvider::new());
    for (name, schema) in schemas {
        catalog.register_schema(name, schema)?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), catalog);
    Ok(SessionStateBuilder::new_from_existing(base.clone()).with_catalog_list(Arc::new(catalogs)).build())
}

fn pinned(pin: &Pin) -> Result<BTreeMap<String, Arc<dyn TableProvider>>> {
    let table = |table: Table| -> (String, Arc<dyn TableProvider>) {
        let pinned = pin.table(table);
        let union = Union { schema: viewed(&table.schema()), stored: pinned.stored, recent: pinned.recent };
        (table.name().to_owned(), Arc::new(union))
    };
    let mut tables: BTreeMap<_, _> = Table::ALL.into_iter().map(table).collect();
    for rollup in Rollup::ALL {
        let union =
            Union { schema: viewed(&rollup.schema()), stored: pin.rollup(rollup), recent: Vec::new() };
        tables.insert(rollup.name().to_owned(), Arc::new(union));
    }
    tables.insert(views::DOCUMENTATION.to_owned(), views::documentation()?);
    Ok(tables)
}

/// Tables by name, which nobody can add to.
#[derive(Debug)]
pub(super) struct Base(pub(super) BTreeMap<String, Arc<dyn TableProvider>>);

#[async_trait]
impl SchemaProvider for Base {
    fn table_names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(self.0.get(name).cloned())
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// The base tables and the views over them. A view is planned when it is named: a dozen plans for each query would cost
/// more than most queries.
struct Public {
    tables: Arc<Base>,
    grants: Grants,
    inner: SessionContext,
}

impl std::fmt::Debug for Public {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Public").field("tables", &self.tables).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Public {
    fn table_names(&self) -> Vec<String> {
        let views = View::ALL.iter().map(|view| view.name.to_owned());
        let names = self.tables.table_names().into_iter().chain(views);
        // Who lists tables is not to be refused because of one among them.
        names
            .filter(|name| grants::guarded(name).is_none_or(|table| self.grants.allow(table).is_ok()))
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(table) = grants::guarded(name) {
            self.grants.allow(table).map_err(|forbidden| DataFusionError::External(Box::new(forbidden)))?;
        }
        let Some(view) = View::named(name) else { return self.tables.table(name).await };
        let plan = self.inner.state().create_logical_plan(view.sql).await?;
        Ok(Some(Arc::new(ViewTable::new(plan, Some(view.sql.to_owned())))))
    }

    fn table_exist(&self, name: &str) -> bool {
        View::named(name).is_some() || self.tables.table_exist(name)
    }
}
