//! What all sessions share.

use super::cancel::Sessions;
use super::error::Fault;
use super::keys::KeyRing;
use crate::query::serve::House;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use std::fmt;
use std::sync::Arc;
use treble_analyse::query::{CATALOG, Dialect, QueryError, statements};

/// The most that a message may have beside a statement: parameters, and what wraps them.
const BESIDE_BYTES: usize = 256 << 10;

/// What a statement has that is to be put into the engine's words.
const POSTGRES_ONLY: [&str; 8] =
    ["pg_", "::reg", "any(", "any (", "all(", "current_user", "session_user", " collate "];

/// The longest statement that is put into other words, in bytes: tools ask the catalogue in a few hundred.
const MOST_BYTES: usize = 16 << 10;

/// What psql asks about storage, for `\d+` and `\dt+`, and DataFusion cannot say: there is nothing to tell.
const STORAGE: [&str; 2] = [
    "pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ')",
    "pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid))",
];

/// The door.
pub(super) struct Door {
    pub(super) house: House,
    /// Sessions that have `pg_catalog` and its functions.
    pub(super) dialect: Dialect,
    pub(super) sessions: Arc<Sessions>,
    pub(super) keys: KeyRing,
    parser: PostgresCompatibilityParser,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door")
            .field("house", &self.house)
            .field("dialect", &self.dialect)
            .finish_non_exhaustive()
    }
}

impl Door {
    /// A door of `house`.
    ///
    /// # Errors
    /// The catalogue cannot be made: a defect.
    pub(super) async fn new(house: House) -> Result<Self, QueryError> {
        let engine = house.service.engine();
        let dialect =
            engine.dialect(|session| setup_pg_catalog(session, CATALOG, EmptyContextProvider)).await?;
        Ok(Self {
            keys: KeyRing::new(house.tls.clone()),
            sessions: Arc::default(),
            parser: PostgresCompatibilityParser::new(),
            house,
            dialect,
        })
    }

    /// The longest message of a client that is known, in bytes.
    pub(super) fn message_bytes(&self) -> usize {
        self.house.service.engine().limits().statement_bytes + BESIDE_BYTES
    }

    /// The statements in `sql`, in words that the engine understands. What is no SQL is left as it is: the engine says why.
    ///
    /// # Errors
    /// It is too long to be looked at, or a quote is not closed.
    pub(super) fn statements(&self, sql: &str) -> Result<Vec<String>, Fault> {
        let limit = self.house.service.engine().limits().statement_bytes;
        if sql.len() > limit {
            return Err(QueryError::TooLong { bytes: sql.len(), limit }.into());
        }
        Ok(statements(sql)?.into_iter().map(|statement| self.understood(statement)).collect())
    }

    /// Tools ask PostgreSQL's catalogue in words that only PostgreSQL has. Whatever else is asked stays as it is written.
    fn understood(&self, sql: String) -> String {
        let lower = sql.to_ascii_lowercase();
        if sql.len() > MOST_BYTES || !POSTGRES_ONLY.iter().any(|word| lower.contains(word)) {
            return sql;
        }
        let told = STORAGE.iter().fold(sql.clone(), |sql, asked| sql.replace(asked, "''"));
        match self.parser.parse(&told).as_deref() {
            Ok([statement]) => statement.to_string(),
            _ => sql,
        }
    }
}
