//! What drivers say to keep themselves in order. The engine has no transactions and no settings: it is answered on the spot.

use super::error::Fault;
use super::settings::Settings;

/// Such a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Local {
    /// Each statement sees one moment; a transaction adds nothing but its name.
    Begin,
    /// The end of a transaction.
    Commit,
    /// The end of one, whatever happened in it.
    Rollback,
    /// Back to within a transaction.
    RollbackTo,
    /// Nothing happens; the tag says that it did.
    Done(&'static str),
    /// A setting.
    Set {
        /// Its name.
        name: String,
        /// What it is to be.
        value: String,
    },
    /// A setting, or all, back to what it was.
    Reset(Option<String>),
    /// The value of a setting.
    Show(String),
    /// A prepared statement, or all, to be forgotten.
    Deallocate(Option<String>),
    /// Everything to be forgotten.
    DiscardAll,
}

impl Local {
    /// The only statement in `sql`, if it is one of these.
    pub(super) fn of(sql: &str) -> Option<Self> {
        let sql = sql.trim().trim_end_matches(';').trim_end();
        // It is short, and alone.
        if sql.len() > 2048 || sql.contains(';') {
            return None;
        }
        let words: Vec<&str> = sql.split_whitespace().collect();
        let upper: Vec<String> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
        let upper: Vec<&str> = upper.iter().map(String::as_str).collect();
        match upper.as_slice() {
            ["BEGIN", ..] | ["START", "TRANSACTION", ..] => Some(Self::Begin),
            ["COMMIT" | "END"] | ["COMMIT" | "END", "WORK" | "TRANSACTION"] => Some(Self::Commit),
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => Some(Self::RollbackTo),
            ["ROLLBACK" | "ABORT"] | ["ROLLBACK" | "ABORT", "WORK" | "TRANSACTION"] => Some(Self::Rollback),
            ["SAVEPOINT", _] => Some(Self::Done("SAVEPOINT")),
            ["RELEASE", _] | ["RELEASE", "SAVEPOINT", _] => Some(Self::Done("RELEASE")),
            ["DISCARD", "ALL"] => Some(Self::DiscardAll),
            ["DISCARD", "PLANS" | "SEQUENCES" | "TEMP" | "TEMPORARY"] => Some(Self::Done("DISCARD")),
            ["UNLISTEN", _] => Some(Self::Done("UNLISTEN")),
            ["CLOSE", "ALL"] => Some(Self::Done("CLOSE CURSOR ALL")),
            ["DEALLOCATE", "ALL"] | ["DEALLOCATE", "PREPARE", "ALL"] => Some(Self::Deallocate(None)),
            ["DEALLOCATE", _] => Some(Self::Deallocate(Some(identifier(words[1])))),
            ["DEALLOCATE", "PREPARE", _] => Some(Self::Deallocate(Some(identifier(words[2])))),
            ["RESET", "ALL"] => Some(Self::Reset(None)),
            ["RESET", _] if Settings::knows(words[1]) => Some(Self::Reset(Some(words[1].to_owned()))),
            ["SHOW", "TRANSACTION", "ISOLATION", "LEVEL"] => {
                Some(Self::Show("transaction_isolation".to_owned()))
            }
            ["SHOW", "TIME", "ZONE"] => Some(Self::Show("TimeZone".to_owned())),
            ["SHOW", _] if Settings::knows(&identifier(words[1])) => Some(Self::Show(identifier(words[1]))),
            ["SET", ..] => Self::setting(sql),
            _ => None,
        }
    }

    /// `SET`, in its forms.
    fn setting(sql: &str) -> Option<Self> {
        let mut rest = after(sql, "SET")?;
        rest = after(rest, "SESSION").or_else(|| after(rest, "LOCAL")).unwrap_or(rest);
        if after(rest, "TRANSACTION").is_some()
            || after(rest, "CHARACTERISTICS").and_then(|rest| after(rest, "AS")).is_some()
        {
            return Some(Self::Done("SET"));
        }
        let set = |name: &str, value: &str| Some(Self::Set { name: name.to_owned(), value: literal(value) });
        if let Some(zone) = after(rest, "TIME").and_then(|rest| after(rest, "ZONE")) {
            return set("TimeZone", zone);
        }
        if let Some(encoding) = after(rest, "NAMES") {
            return set("client_encoding", encoding);
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace())?;
        let (name, value) = (identifier(&rest[..end]), rest[end..].trim_start());
        let value = value.strip_prefix('=').or_else(|| after(value, "TO"))?;
        if Settings::knows(&name) { set(&name, value) } else { None }
    }

    /// The tag of what happened.
    pub(super) const fn tag(&self) -> &'static str {
        match self {
            Self::Begin => "BEGIN",
            Self::Commit => "COMMIT",
            Self::Rollback | Self::RollbackTo => "ROLLBACK",
            Self::Done(tag) => tag,
            Self::Set { .. } => "SET",
            Self::Reset(_) => "RESET",
            Self::Show(_) => "SHOW",
            Self::Deallocate(_) => "DEALLOCATE",
            Self::DiscardAll => "DISCARD ALL",
        }
    }

    /// Whether it may come when a transaction has failed.
    ///
    /// # Errors
    /// [`Fault::Aborted`].
    pub(super) const fn in_failed_transaction(&self) -> Result<(), Fault> {
        match self {
            Self::Commit | Self::Rollback | Self::RollbackTo => Ok(()),
            _ => Err(Fault::Aborted),
        }
    }
}

/// What follows the word `word`.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let head = text.get(..word.len())?;
    let rest = &text[word.len()..];
    (head.eq_ignore_ascii_case(word) && rest.starts_with(|c: char| c.is_whitespace()))
        .then(|| rest.trim_start())
}

/// A name as it is meant: lower case, or as it is quoted.
fn identifier(text: &str) -> String {
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => text.to_ascii_lowercase(),
    }
}

/// A value without its quotes.
fn literal(text: &str) -> String {
    let text = text.trim();
    match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        Some(quoted) => quoted.replace("''", "'"),
        None => text.trim_matches('"').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_say_is_known() {
        let set = |name: &str, value: &str| Local::Set { name: name.to_owned(), value: value.to_owned() };
        for (sql, expect) in [
            ("BEGIN", Local::Begin),
            ("begin isolation level serializable read only;", Local::Begin),
            ("START TRANSACTION READ ONLY", Local::Begin),
            ("COMMIT", Local::Commit),
            ("ROLLBACK", Local::Rollback),
            ("ROLLBACK TO SAVEPOINT a", Local::RollbackTo),
            ("SAVEPOINT \"_pg3_1\"", Local::Done("SAVEPOINT")),
            ("SET extra_float_digits = 3", set("extra_float_digits", "3")),
            ("SET application_name = 'DBeaver 24 - Main'", set("application_name", "DBeaver 24 - Main")),
            ("set session statement_timeout to '5s'", set("statement_timeout", "5s")),
            ("SET TIME ZONE 'UTC'", set("TimeZone", "UTC")),
            ("SET client_encoding='utf-8'", set("client_encoding", "utf-8")),
            ("SET NAMES 'UTF8'", set("client_encoding", "UTF8")),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Local::Done("SET")),
            ("SHOW transaction_isolation", Local::Show("transaction_isolation".to_owned())),
            ("SHOW TRANSACTION ISOLATION LEVEL", Local::Show("transaction_isolation".to_owned())),
            ("SHOW server_version", Local::Show("server_version".to_owned())),
            ("DEALLOCATE \"_pg3_0\"", Local::Deallocate(Some("_pg3_0".to_owned()))),
            ("DISCARD ALL", Local::DiscardAll),
        ] {
            assert_eq!(Local::of(sql), Some(expect), "{sql}");
        }
    }

    #[test]
    fn everything_else_is_the_engines() {
        for sql in [
            "SELECT 1",
            "SET datafusion.execution.batch_size = 1",
            "SHOW TABLES",
            "SHOW datafusion.execution.batch_size",
            "BEGIN; DROP TABLE streams",
            "SET application_name = 'x'; DROP TABLE streams",
            "COPY streams TO 'x'",
            "",
        ] {
            assert_eq!(Local::of(sql), None, "{sql}");
        }
    }
}
