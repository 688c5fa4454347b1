//! What is refused before it is planned, and after.

use super::QueryError;
use super::chains;
use super::limits::Limits;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};
use std::collections::VecDeque;

/// How deeply a statement may be nested. The parser recurses once a level.
const DEPTH: usize = 64;

/// The statements in `text`, which `;` parts; each is asked by itself.
///
/// # Errors
///
/// [`QueryError::Wrong`] where the text is none of SQL: a quote that is not closed; or more of it than can be taken apart.
pub fn statements(text: &str) -> Result<Vec<String>, QueryError> {
    let tokens = tokens(text)?;
    chains::check(tokens.iter().map(|token| &token.token))?;
    // Cut out of the text: a statement that is printed anew may not be the same.
    let mut cursor = Cursor { rest: text.chars(), bytes: text.len(), line: 1, column: 1 };
    let mut statement = |tokens: &[TokenWithSpan]| -> Option<String> {
        let mut meaning = tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        let first = meaning.next()?;
        let last = meaning.next_back().unwrap_or(first);
        let begin = cursor.go_to(first.span.start);
        Some(text[begin..cursor.go_to(last.span.end)].to_owned())
    };
    Ok(tokens.split(|token| token.token == Token::SemiColon).filter_map(&mut statement).collect())
}

/// A place in a text, which only goes on: a text of many statements is read once.
struct Cursor<'a> {
    rest: std::str::Chars<'a>,
    /// Length of the whole text.
    bytes: usize,
    line: u64,
    column: u64,
}

impl Cursor<'_> {
    /// Goes on to a line and a column, which count characters from 1; gives the offset in bytes.
    fn go_to(&mut self, location: Location) -> usize {
        while (self.line, self.column) < (location.line, location.column) {
            match self.rest.next() {
                Some('\n') => (self.line, self.column) = (self.line + 1, 1),
                Some(_) => self.column += 1,
                None => break,
            }
        }
        self.bytes - self.rest.as_str().len()
    }
}

fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, QueryError> {
    let wrong = |error: TokenizerError| QueryError::Wrong(error.to_string());
    Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().map_err(wrong)
}

fn parsed(text: &str) -> Result<VecDeque<Statement>, QueryError> {
    let parser = DFParserBuilder::new(text).with_dialect(&PostgreSqlDialect {}).with_recursion_limit(DEPTH);
    Ok(parser.build()?.parse_statements()?)
}

/// The one statement in `sql`.
///
/// # Errors
///
/// [`QueryError::TooLong`], and [`QueryError::Wrong`] where it is none, or more than one.
pub(super) fn statement(sql: &str, limits: &Limits) -> Result<Statement, QueryError> {
    let limit = limits.statement_bytes;
    if sql.len() > limit {
        return Err(QueryError::TooLong { bytes: sql.len(), limit });
    }
    chains::check(tokens(sql)?.iter().map(|token| &token.token))?;
    let mut statements = parsed(sql)?;
    match (statements.pop_front(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (None, _) => Err(QueryError::Wrong("there is no statement".to_owned())),
        (Some(_), more) => {
            Err(QueryError::Wrong(format!("{} statements in one; send them one by one", more + 1)))
        }
    }
}

/// Refuses what the parser knows to change something, before planning looks at what it names.
///
/// # Errors
///
/// [`QueryError::Refused`].
pub(super) fn kind(statement: &Statement) -> Result<(), QueryError> {
    use datafusion::sql::sqlparser::ast::Statement as Sql;
    let refused = |what: &str| Err(QueryError::Refused(what.to_owned()));
    match statement {
        Statement::Explain(explain) => kind(&explain.statement),
        Statement::CopyTo(_) => refused("COPY"),
        Statement::CreateExternalTable(_) => refused("CREATE EXTERNAL TABLE"),
        Statement::Reset(_) => refused("RESET"),
        Statement::Statement(sql) => match sql.as_ref() {
            Sql::Query(_)
            | Sql::Explain { .. }
            | Sql::ExplainTable { .. }
            | Sql::ShowTables { .. }
            | Sql::ShowColumns { .. }
            | Sql::ShowVariable { .. }
            | Sql::ShowFunctions { .. } => Ok(()),
            other => {
                let text = other.to_string();
                let words: Vec<&str> = text.split_whitespace().take(2).collect();
                refused(&words.join(" "))
            }
        },
    }
}

/// Refuses a plan that changes anything: the second line behind [`kind`], over the plan with all its subqueries.
///
/// # Errors
///
/// [`QueryError::Refused`].
pub(super) fn plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|error| QueryError::Refused(error.strip_backtrace()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(sql: &str) -> Result<(), QueryError> {
        kind(&statement(sql, &Limits::default())?)
    }

    #[test]
    fn reading_is_allowed() {
        for sql in [
            "SELECT 1;",
            "WITH a AS (SELECT 1) SELECT * FROM a",
            "EXPLAIN ANALYZE SELECT 1",
            "SHOW TABLES",
            "SHOW COLUMNS FROM streams",
            "DESCRIBE streams",
            "VALUES (1), (2)",
        ] {
            assert!(verdict(sql).is_ok(), "{sql}: {:?}", verdict(sql));
        }
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for (sql, name) in [
            ("COPY streams TO 'out.csv'", "COPY"),
            ("COPY (SELECT 1) TO '/etc/passwd' STORED AS CSV", "COPY"),
            ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE"),
            ("CREATE TABLE t AS SELECT 1", "CREATE TABLE"),
            ("CREATE VIEW v AS SELECT 1", "CREATE VIEW"),
            ("INSERT INTO streams VALUES (1)", "INSERT INTO"),
            ("DELETE FROM streams", "DELETE FROM"),
            ("UPDATE streams SET a = 1", "UPDATE streams"),
            ("DROP TABLE streams", "DROP TABLE"),
            ("SET datafusion.execution.batch_size = 1", "SET"),
            ("EXPLAIN ANALYZE COPY streams TO 'x.parquet'", "COPY"),
            ("EXPLAIN INSERT INTO streams VALUES (1)", "INSERT INTO"),
            ("PREPARE p AS SELECT 1", "PREPARE"),
            ("TRUNCATE TABLE streams", "TRUNCATE"),
        ] {
            match verdict(sql) {
                Err(QueryError::Refused(what)) => assert!(what.contains(name), "{sql}: {what}"),
                other => panic!("{sql}: {other:?}"),
            }
        }
    }

    #[test]
    fn statements_are_parted_as_they_are_written() {
        let check = |text, expect: &[&str]| assert_eq!(statements(text).unwrap(), expect, "{text}");
        check("SELECT 1; SELECT ';', 'it''s' -- no; end\n;", &["SELECT 1", "SELECT ';', 'it''s'"]);
        check("COPY t TO 'x.csv'", &["COPY t TO 'x.csv'"]);
        check("SELECT\n  'ä' ;\nSELECT 'ö',\n /* ; */ 2;", &["SELECT\n  'ä'", "SELECT 'ö',\n /* ; */ 2"]);
        let odd = "SELECT E'a\\n', \"Odd;Name\", $$x;y$$";
        check(odd, &[odd]);
        check(" ; ;\n", &[]);
        assert!(matches!(statements("SELECT 'open"), Err(QueryError::Wrong(_))));
    }

    #[test]
    fn a_statement_is_one_and_of_a_size() {
        assert!(matches!(verdict(""), Err(QueryError::Wrong(_))));
        assert!(matches!(verdict("SELECT 1; DROP TABLE streams"), Err(QueryError::Wrong(_))));
        let long = format!("SELECT '{}'", "x".repeat(10 << 20));
        assert!(matches!(verdict(&long), Err(QueryError::TooLong { .. })));
        let deep = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
        assert!(
            matches!(verdict(&deep), Err(QueryError::Wrong(_))),
            "the parser must not recurse without end"
        );
    }
}
