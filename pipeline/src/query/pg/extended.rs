//! The extended protocol: statements that are prepared, bound to parameters, and fetched in parts.

use super::answer::{self, Answer};
use super::error::Fault;
use super::local::Local;
use super::session::Session;
use super::simple::is_blank;
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::{Format, Portal as Bound};
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::api::stmt::StoredStatement;
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::data::{NoData, ParameterDescription};
use datafusion_postgres::pgwire::messages::extendedquery::{
    Bind, BindComplete, Close, CloseComplete, Describe, Execute, Parse, ParseComplete, PortalSuspended,
    TARGET_TYPE_BYTE_STATEMENT,
};
use datafusion_postgres::pgwire::messages::response::EmptyQueryResponse;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::sync::Arc;
use treble_analyse::arrow::datatypes::{DataType, SchemaRef};
use treble_analyse::query::{ParamValues, Planned};

/// The most statements, and the most portals, that a session keeps.
const MOST: usize = 1024;
/// The most bytes of the statements that a session keeps.
const MOST_BYTES: usize = 8 << 20;

/// A prepared statement.
#[derive(Debug)]
pub(super) struct Statement {
    sql: String,
    kind: Kind,
    /// What the client says of its parameters; nothing where it leaves that to us.
    stored: Arc<StoredStatement<()>>,
}

#[derive(Debug)]
enum Kind {
    Empty,
    Local(Local),
    Query {
        columns: SchemaRef,
        /// By placeholder, what the engine knows of its type.
        parameters: Vec<Option<DataType>>,
    },
}

impl Statement {
    /// The types of its parameters: the client's word first, then the engine's.
    fn parameter_types(&self) -> Result<Vec<Type>, Fault> {
        let Kind::Query { parameters, .. } = &self.kind else { return Ok(Vec::new()) };
        let stated = &self.stored.parameter_types;
        let one = |at: usize| match (stated.get(at).cloned().flatten(), parameters.get(at)) {
            (Some(stated), _) => Ok(stated),
            (None, Some(Some(inferred))) => Ok(into_pg_type(inferred)?),
            (None, _) => Ok(Type::UNKNOWN),
        };
        (0..parameters.len().max(stated.len())).map(one).collect()
    }
}

/// A statement with its parameters.
pub(super) struct Portal {
    statement: Arc<Statement>,
    bound: Bound<()>,
    progress: Progress,
}

enum Progress {
    Bound,
    Open(Box<Answer>),
    Done,
}

impl Session {
    /// Prepares a statement.
    ///
    /// # Errors
    /// It is none, more than one, or one too many.
    pub(super) async fn parse(&mut self, parse: Parse) -> Result<(), Fault> {
        let name = parse.name.unwrap_or_default();
        let mut statements =
            if is_blank(&parse.query) { Vec::new() } else { self.door.statements(&parse.query)? };
        if statements.len() > 1 {
            return Err(Fault::Protocol("several statements in one that is prepared".to_owned()));
        }
        let sql = statements.pop().unwrap_or_default();
        let local = Local::of(&sql);
        self.admit(local.as_ref())?;
        let kind = match local {
            Some(local) => Kind::Local(local),
            None if sql.is_empty() => Kind::Empty,
            None => {
                let planned = self.door.house.service.plan(self.asker(), &sql).await?;
                Kind::Query { columns: planned.schema(), parameters: parameters(&planned)? }
            }
        };
        self.make_room(&name, sql.len())?;
        let types = parse.type_oids.iter().map(|oid| Type::from_oid(*oid)).collect();
        let stored = Arc::new(StoredStatement::new(name.clone(), (), types));
        self.statements.insert(name, Arc::new(Statement { sql, kind, stored }));
        self.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await
    }

    fn make_room(&mut self, name: &str, bytes: usize) -> Result<(), Fault> {
        self.statements.remove(name);
        let kept: usize = self.statements.values().map(|statement| statement.sql.len()).sum();
        if self.statements.len() >= MOST || kept + bytes > MOST_BYTES {
            let count = self.statements.len();
            return Err(Fault::Hoard(format!("{count} prepared statements of {kept} bytes")));
        }
        Ok(())
    }

    /// Gives a statement its parameters.
    ///
    /// # Errors
    /// There is no such statement, or there are too many portals.
    pub(super) async fn bind(&mut self, bind: &Bind) -> Result<(), Fault> {
        let name = bind.statement_name.as_deref().unwrap_or_default();
        let statement = Arc::clone(self.known_statement(name)?);
        self.admit(statement.local())?;
        let bound = Bound::try_new(bind, Arc::clone(&statement.stored))?;
        let portal = bind.portal_name.clone().unwrap_or_default();
        self.portals.remove(&portal);
        if self.portals.len() >= MOST {
            return Err(Fault::Hoard(format!("{MOST} portals")));
        }
        let counted = statement.parameter_types()?.len();
        if bound.parameter_len() != counted {
            let given = bound.parameter_len();
            return Err(Fault::Protocol(format!("{given} parameters are bound, {counted} are needed")));
        }
        self.portals.insert(portal, Portal { statement, bound, progress: Progress::Bound });
        self.send(PgWireBackendMessage::BindComplete(BindComplete::new())).await
    }

    fn known_statement(&self, name: &str) -> Result<&Arc<Statement>, Fault> {
        self.statements.get(name).ok_or_else(|| Fault::Absent(format!("prepared statement {name:?}")))
    }

    /// Tells the parameters and columns of a statement, or the columns of a portal.
    ///
    /// # Errors
    /// There is no such thing, or PostgreSQL has no such type.
    pub(super) async fn describe(&mut self, describe: &Describe) -> Result<(), Fault> {
        let name = describe.name.as_deref().unwrap_or_default();
        let (statement, format) = if describe.target_type == TARGET_TYPE_BYTE_STATEMENT {
            let statement = Arc::clone(self.known_statement(name)?);
            let types = statement.parameter_types()?.iter().map(Type::oid).collect();
            let description = ParameterDescription::new(types);
            self.send(PgWireBackendMessage::ParameterDescription(description)).await?;
            (statement, Format::UnifiedText)
        } else {
            let absent = || Fault::Absent(format!("portal {name:?}"));
            let portal = self.portals.get(name).ok_or_else(absent)?;
            (Arc::clone(&portal.statement), portal.bound.result_column_format.clone())
        };
        match self.columns_of(&statement, format)? {
            Some(columns) => self.describe_rows(&columns).await,
            None => self.send(PgWireBackendMessage::NoData(NoData::new())).await,
        }
    }

    fn columns_of(
        &self,
        statement: &Statement,
        format: Format,
    ) -> Result<Option<Arc<Vec<FieldInfo>>>, Fault> {
        Ok(match &statement.kind {
            Kind::Query { columns, .. } => Some(answer::columns(columns, &self.wanted(format))?),
            Kind::Local(Local::Show(name)) => Some(self.shown(name)?.0),
            Kind::Local(_) | Kind::Empty => None,
        })
    }

    /// Runs a portal, or goes on with it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn execute(&mut self, execute: &Execute) -> Result<(), Fault> {
        let name = execute.name.as_deref().unwrap_or_default();
        // It is taken out while it runs, and is gone if it fails.
        let mut portal =
            self.portals.remove(name).ok_or_else(|| Fault::Absent(format!("portal {name:?}")))?;
        self.admit(portal.statement.local())?;
        match &portal.statement.kind {
            Kind::Empty => {
                self.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?
            }
            Kind::Local(Local::Show(setting)) => {
                let (columns, value) = self.shown(setting)?;
                let row = answer::text_row(columns, &value)?;
                self.send(PgWireBackendMessage::DataRow(row)).await?;
                self.complete("SHOW".to_owned()).await?;
            }
            Kind::Local(local) => self.carry_out(local).await?,
            Kind::Query { parameters, .. } => {
                if matches!(portal.progress, Progress::Bound) {
                    let values = values(&portal.bound, parameters)?;
                    let wanted = self.wanted(portal.bound.result_column_format.clone());
                    let (sql, cancelled) = (&portal.statement.sql, self.key.listen());
                    let answer =
                        answer::ask(&self.door, self.asker(), (sql, values), &wanted, cancelled).await?;
                    portal.progress = Progress::Open(Box::new(answer));
                }
                self.fetch(&mut portal, execute.max_rows).await?;
            }
        }
        self.portals.insert(name.to_owned(), portal);
        Ok(())
    }

    /// Sends rows, as many as `most`; 0 is all of them.
    async fn fetch(&mut self, portal: &mut Portal, most: i32) -> Result<(), Fault> {
        let most = u64::try_from(most).ok().filter(|most| *most > 0).unwrap_or(u64::MAX);
        let Progress::Open(answer) = &mut portal.progress else {
            return self.complete("SELECT 0".to_owned()).await;
        };
        let mut rows = 0;
        while rows < most {
            let Some(row) = answer.rows.next().await else {
                let tag = format!("{} {rows}", answer.tag);
                portal.progress = Progress::Done;
                return self.complete(tag).await;
            };
            self.send(PgWireBackendMessage::DataRow(row?)).await?;
            rows += 1;
        }
        self.send(PgWireBackendMessage::PortalSuspended(PortalSuspended::new())).await
    }

    /// Forgets a statement or a portal, which need not be there.
    ///
    /// # Errors
    /// The connection.
    pub(super) async fn close(&mut self, close: &Close) -> Result<(), Fault> {
        let name = close.name.as_deref().unwrap_or_default();
        if close.target_type == TARGET_TYPE_BYTE_STATEMENT {
            self.statements.remove(name);
        } else {
            self.portals.remove(name);
        }
        self.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await
    }
}

impl Statement {
    const fn local(&self) -> Option<&Local> {
        match &self.kind {
            Kind::Local(local) => Some(local),
            Kind::Empty | Kind::Query { .. } => None,
        }
    }
}

/// What stands for the placeholders.
fn values(bound: &Bound<()>, inferred: &[Option<DataType>]) -> Result<Option<ParamValues>, Fault> {
    if bound.parameter_len() == 0 {
        return Ok(None);
    }
    let types: Vec<Option<&DataType>> = inferred.iter().map(Option::as_ref).collect();
    Ok(Some(deserialize_parameters(bound, &types)?))
}

/// What the engine knows of the placeholders, from `$1` on. One that is left out has no type.
fn parameters(planned: &Planned) -> Result<Vec<Option<DataType>>, Fault> {
    let types = planned.plan().get_parameter_types();
    let types = types.map_err(|error| Fault::Form(error.to_string()))?;
    let numbered: BTreeMap<usize, Option<DataType>> = types
        .into_iter()
        .filter_map(|(name, kind)| Some((name.strip_prefix('$')?.parse().ok()?, kind)))
        .collect();
    let last = numbered.last_key_value().map_or(0, |(number, _)| *number);
    if last > usize::from(u16::MAX) {
        return Err(Fault::Form(format!("${last} is beyond the last parameter that can be bound")));
    }
    Ok((1..=last).map(|number| numbered.get(&number).cloned().flatten()).collect())
}
