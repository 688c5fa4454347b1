//! The shell of `treble sql`: statements over several lines, history, completion.

use super::super::{Context, Exit, Failure};
use super::reference::{TABLES, columns_of};
use super::rows::Rows;
use super::source::Source;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::Validator;
use rustyline::{Editor, Helper};
use std::path::PathBuf;
use treble_analyse::saved;

const HELP: &str = "\
A statement ends with ; and may have several lines.
  \\d           tables and views
  \\d NAME      the columns of one, and what they mean
  \\saved       saved questions
  \\saved NAME  asks one
  \\q           ends the shell, as does Ctrl-D";

/// Words of SQL that are completed beside names.
const WORDS: [&str; 28] = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "HAVING",
    "LIMIT",
    "WITH",
    "JOIN",
    "LEFT JOIN",
    "ON",
    "AS",
    "AND",
    "OR",
    "NOT",
    "IN",
    "IS NULL",
    "IS NOT NULL",
    "BETWEEN",
    "LIKE",
    "CASE WHEN",
    "count(*)",
    "sum(",
    "avg(",
    "max(",
    "INTERVAL",
    "EXPLAIN",
    "now()",
];

/// What a line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked<'a> {
    Nothing,
    Help,
    Quit,
    Tables,
    Columns(&'a str),
    SavedList,
    Saved(&'a str),
    Sql(&'a str),
    Unknown(&'a str),
}

fn asked(line: &str) -> Asked<'_> {
    let line = line.trim();
    let Some(command) = line.strip_prefix('\\') else {
        let sql = line.trim_end_matches(';').trim_end();
        return if sql.is_empty() { Asked::Nothing } else { Asked::Sql(sql) };
    };
    let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    match (word, rest.trim()) {
        ("?" | "h" | "help", _) => Asked::Help,
        ("q" | "quit", _) => Asked::Quit,
        ("d" | "dt" | "d+", "") => Asked::Tables,
        ("d" | "dt" | "d+", name) => Asked::Columns(name),
        ("saved", "") => Asked::SavedList,
        ("saved", name) => Asked::Saved(name),
        _ => Asked::Unknown(line),
    }
}

/// Whether more lines must follow.
fn is_open(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty() && !text.starts_with('\\') && !text.ends_with(';')
}

/// Reads statements until the end of the input.
pub(super) fn run(source: &Source, out: Rows, context: &Context) -> Result<Exit, Failure> {
    let system = |error: ReadlineError| Failure::new(Exit::Io, "cannot read the terminal").because(error);
    let mut editor: Editor<Names, FileHistory> = Editor::new().map_err(system)?;
    editor.set_helper(Some(Names(names(source))));
    let history = history(context);
    if let Some(path) = &history {
        // The first time there is none.
        drop(editor.load_history(path));
    }
    context.output.say("Treble SQL. \\? for help, \\q to quit.");
    while let Some(text) = read(&mut editor).map_err(system)? {
        drop(editor.add_history_entry(text.trim()));
        if asked(&text) == Asked::Quit {
            break;
        }
        // A statement that fails ends itself, not the shell.
        if let Err(failure) = answer(source, &out, context, &text) {
            context.output.failure(&failure);
        }
    }
    if let Some(path) = &history {
        let folder = path.parent().map_or(Ok(()), std::fs::create_dir_all);
        if let Err(error) = folder.map_err(ReadlineError::from).and_then(|()| editor.save_history(path)) {
            context.output.say(&format!("The history was not kept: {error}"));
        }
    }
    Ok(Exit::Success)
}

/// A statement, which may have several lines, or a command; `None` at the end. Ctrl-C drops what was typed.
fn read(editor: &mut Editor<Names, FileHistory>) -> Result<Option<String>, ReadlineError> {
    let mut text = String::new();
    loop {
        match editor.readline(if text.is_empty() { "treble> " } else { "     -> " }) {
            Ok(line) => text += &line,
            Err(ReadlineError::Interrupted) => {
                text.clear();
                continue;
            }
            Err(ReadlineError::Eof) => return Ok(None),
            Err(error) => return Err(error),
        }
        if !is_open(&text) {
            return Ok(Some(text));
        }
        text.push('\n');
    }
}

fn answer(source: &Source, out: &Rows, context: &Context, text: &str) -> Result<(), Failure> {
    let say = |text: &str| context.output.say(text);
    let rows = match asked(text) {
        Asked::Nothing | Asked::Quit => return Ok(()),
        Asked::Help => {
            say(HELP);
            return Ok(());
        }
        Asked::Unknown(line) => {
            say(&format!("{line} is no command; \\? shows them"));
            return Ok(());
        }
        Asked::Tables => source.print(TABLES, out)?,
        Asked::Columns(name) => source.print(&columns_of(name), out)?,
        Asked::SavedList => {
            saved::ALL.iter().for_each(|saved| say(&format!("{:<24} {}", saved.name, saved.question)));
            return Ok(());
        }
        Asked::Saved(name) => match saved::named(name) {
            Some(saved) => source.print(saved.sql, out)?,
            None => {
                say(&format!("there is no saved question {name:?}; \\saved shows them"));
                return Ok(());
            }
        },
        Asked::Sql(sql) => source.print(sql, out)?,
    };
    say(&format!("{rows} {}", if rows == 1 { "row" } else { "rows" }));
    Ok(())
}

/// `$XDG_STATE_HOME/treble/sql_history`, by default below `~/.local/state`.
fn history(context: &Context) -> Option<PathBuf> {
    let of_home = |home: &str| PathBuf::from(home).join(".local/state");
    let state = context.surroundings.variable("XDG_STATE_HOME").map(PathBuf::from);
    let state = state.or_else(|| context.surroundings.variable("HOME").map(of_home))?;
    Some(state.join("treble/sql_history"))
}

/// Names of tables and columns, and words of SQL.
fn names(source: &Source) -> Vec<String> {
    let sql = "SELECT DISTINCT name FROM (SELECT table_name AS name FROM documentation \
        UNION ALL SELECT column_name FROM documentation) WHERE name <> '' ORDER BY name";
    let names = source.texts(sql).unwrap_or_default();
    WORDS.map(str::to_owned).into_iter().chain(names).collect()
}

/// Completes the word before the cursor.
struct Names(Vec<String>);

/// Where the word before `position` begins, and the names that it may become.
fn completions(names: &[String], line: &str, position: usize) -> (usize, Vec<String>) {
    let typed = &line[..position];
    let start = typed
        .rfind(|c: char| !c.is_alphanumeric() && c != '_')
        .map_or(0, |at| at + typed[at..].chars().next().map_or(0, char::len_utf8));
    let word = typed[start..].to_lowercase();
    let fits = |name: &&String| !word.is_empty() && name.to_lowercase().starts_with(&word);
    (start, names.iter().filter(fits).cloned().collect())
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(completions(&self.0, line, position))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_or_a_statement() {
        let check = |line, expect| assert_eq!(asked(line), expect, "{line}");
        check("", Asked::Nothing);
        check(" ; ", Asked::Nothing);
        check("SELECT 1;", Asked::Sql("SELECT 1"));
        check("\\d", Asked::Tables);
        check("\\d streams", Asked::Columns("streams"));
        check("\\saved codecs", Asked::Saved("codecs"));
        check("\\x", Asked::Unknown("\\x"));
        check("\\q", Asked::Quit);
    }

    #[test]
    fn a_statement_is_open_until_its_semicolon() {
        assert!(is_open("SELECT 1"));
        assert!(!is_open("SELECT 1;"));
        assert!(!is_open("\\d"));
        assert!(!is_open("  "));
    }

    #[test]
    fn the_word_before_the_cursor_is_completed() {
        let names = ["SELECT", "streams", "stages", "stream_id"].map(str::to_owned);
        let check = |line: &str, start, expect: &[&str]| {
            let (at, found) = completions(&names, line, line.len());
            assert_eq!(
                (at, found.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
                (start, expect),
                "{line}"
            );
        };
        check("sel", 0, &["SELECT"]);
        check("SELECT * FROM str", 14, &["streams", "stream_id"]);
        check("SELECT ä.sta", 10, &["stages"]);
        check("SELECT ", 7, &[]);
    }
}
