//! How tall a tree a statement makes. Planning recurses over it, and a stack that overflows ends the process.
//!
//! The parser bounds what is nested in parentheses, not what stands in a row: `1 + 1 + 1` is a tree as tall as it is long.

use super::QueryError;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

/// The most operators, joins and queries that may stand on each other. The engine's stacks hold several times as many.
const MOST: usize = 1_000;

/// One level of parentheses.
#[derive(Default)]
struct Level {
    /// Operators since its last comma.
    operators: usize,
    /// Whether tables are listed: each is joined to those before it.
    tables: bool,
}

/// Refuses a statement whose tree would be too tall.
///
/// # Errors
///
/// [`QueryError::Wrong`].
pub(super) fn check<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Result<(), QueryError> {
    let mut outer = Vec::new();
    let mut level = Level::default();
    let (mut height, mut queries) = (0, 0);
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => outer.push(std::mem::take(&mut level)),
            Token::RParen | Token::RBracket | Token::RBrace => {
                height -= level.operators;
                level = outer.pop().unwrap_or_default();
            }
            Token::Comma if !level.tables => {
                height -= level.operators;
                level.operators = 0;
            }
            Token::Word(word) => match word.keyword {
                Keyword::SELECT => {
                    queries += 1;
                    level.tables = false;
                }
                Keyword::FROM => level.tables = true,
                Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER | Keyword::LIMIT => {
                    level.tables = false;
                }
                Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::COLLATE
                | Keyword::JOIN
                | Keyword::UNION
                | Keyword::INTERSECT
                | Keyword::EXCEPT => {
                    level.operators += 1;
                    height += 1;
                }
                _ => {}
            },
            other if is_operand(other) => {}
            _ => {
                level.operators += 1;
                height += 1;
            }
        }
        if height + queries > MOST {
            return Err(QueryError::Wrong(format!(
                "more than {MOST} operators, joins or queries stand on each other; use IN for many values, or ask in parts"
            )));
        }
    }
    Ok(())
}

const fn is_operand(token: &Token) -> bool {
    matches!(
        token,
        Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::SemiColon
            | Token::EOF
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::tokenizer::Tokenizer;

    fn is_allowed(sql: &str) -> bool {
        check(&Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize().unwrap()).is_ok()
    }

    #[test]
    fn what_stands_in_a_row_is_counted_and_what_stands_side_by_side_is_not() {
        let row = |part: &str, count: usize| vec![part; count].join(" ");
        assert!(is_allowed(&format!(
            "SELECT * FROM streams WHERE stream_id IN ({})",
            vec!["'s'"; 50_000].join(", ")
        )));
        assert!(is_allowed(&format!("SELECT {}", vec!["a * b + c"; 5_000].join(", "))));
        assert!(is_allowed(&format!("SELECT 1 {}", row("+ 1", 900))));
        for sql in [
            format!("SELECT 1 {}", row("+ 1", 1_001)),
            format!("SELECT * FROM t WHERE a {}", row("OR a", 1_001)),
            format!("SELECT a{}", "::INT".repeat(1_001)),
            format!("SELECT {} a", row("NOT", 1_001)),
            format!("SELECT * FROM t {}", row(", t", 1_001)),
            format!("SELECT * FROM t {}", row("CROSS JOIN t", 1_001)),
            row("SELECT 1 UNION", 501) + " SELECT 1",
            format!("WITH {} SELECT 1", row("a AS (SELECT * FROM a),", 1_001)),
            format!("SELECT {}1{}", "(1 + ".repeat(1_001), ")".repeat(1_001)),
        ] {
            assert!(!is_allowed(&sql), "{}", &sql[..60]);
        }
    }
}
