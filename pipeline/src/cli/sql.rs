//! `treble sql`.

mod reference;
mod rows;
mod shell;
mod source;

use super::{Context, Exit, Failure};
use crate::config::Config;
use clap::{Args, ValueEnum};
use rows::Rows;
use source::Source;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use treble_analyse::format::Format;
use treble_analyse::lake::Location;
use treble_analyse::query::{QueryError, statements};
use treble_analyse::saved;

/// Asks what was processed, in SQL
#[derive(Debug, Args)]
#[command(after_help = "\
Without a statement it reads standard input, and at a terminal it is a shell: \\? there says what it can do.
Answers come from the lake (lake.url) and from the topic of events, whose latest rows the lake does not hold yet; without a lake, from the \
topic alone. Tables: streams, stages, latency, errors, models, freshness, and below them stage_events and stream_reports; \
`SELECT * FROM documentation` says what every column means.")]
pub(super) struct Sql {
    /// The statement
    #[arg(short, long, value_name = "SQL", group = "statement")]
    command: Option<String>,
    /// File of statements, each ended by `;`; `-` reads standard input
    #[arg(long, value_name = "FILE", group = "statement")]
    file: Option<PathBuf>,
    /// A saved question; `list` shows them all
    #[arg(long, value_name = "NAME", group = "statement")]
    saved: Option<String>,
    /// How rows are written
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<RowFormat>,
    /// Writes rows to this file
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Asks the lake alone, and no Kafka
    #[arg(long)]
    stored: bool,
    /// Prints what every table, column and saved question means, as docs/tables.md holds it
    #[arg(long, group = "statement")]
    reference: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RowFormat {
    /// For people
    Table,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
    /// With a line of names first
    Csv,
    /// One file; needs -o or a pipe
    Parquet,
}

impl From<RowFormat> for Format {
    fn from(format: RowFormat) -> Self {
        match format {
            RowFormat::Table => Self::Table,
            RowFormat::Json => Self::Json,
            RowFormat::Ndjson => Self::Ndjson,
            RowFormat::Csv => Self::Csv,
            RowFormat::Parquet => Self::Parquet,
        }
    }
}

impl Sql {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        if self.saved.as_deref() == Some("list") {
            return list(context);
        }
        if self.reference {
            return context.output.raw(reference::markdown()?.as_bytes()).map(|()| Exit::Success);
        }
        let text = self.text()?;
        let format = self.format(context)?;
        let config = context.load(&context.options.request())?.config;
        let out = Rows::new(format, self.out, context.output);
        let Some(text) = text else {
            let source = Source::follow(&config, self.stored, context)?;
            return shell::run(&source, out, context);
        };
        let statements = statements(&text).map_err(|error| failure(&error))?;
        let source = Source::open(&config, self.stored, context)?;
        for statement in statements {
            source.print(&statement, &out)?;
        }
        Ok(Exit::Success)
    }

    /// The statements; `None` where a person will type them.
    fn text(&self) -> Result<Option<String>, Failure> {
        if let Some(name) = &self.saved {
            let unknown = || {
                let near = saved::ALL.iter().max_by(|a, b| {
                    let likeness = |saved: &saved::Saved| strsim::jaro_winkler(saved.name, name);
                    likeness(a).total_cmp(&likeness(b))
                });
                let near = near.map_or("list", |saved| saved.name);
                Failure::new(Exit::Usage, format!("there is no saved question {name:?}"))
                    .mend(format!("--saved list shows all; nearest: {near}"))
            };
            return saved::named(name).map(|saved| Some(saved.sql.to_owned())).ok_or_else(unknown);
        }
        if let Some(command) = &self.command {
            return Ok(Some(command.clone()));
        }
        match &self.file {
            Some(path) if path.as_os_str() != "-" => {
                std::fs::read_to_string(path).map(Some).map_err(|error| Failure::unreadable(path, &error))
            }
            None if io::stdin().is_terminal() => Ok(None),
            _ => {
                let mut text = String::new();
                let read = io::stdin().read_to_string(&mut text);
                read.map_err(|error| {
                    Failure::new(Exit::NoInput, "cannot read standard input").because(error)
                })?;
                Ok(Some(text))
            }
        }
    }

    fn format(&self, context: &Context) -> Result<Format, Failure> {
        let format = match self.format {
            Some(format) => format.into(),
            None if context.output.is_json() => Format::Ndjson,
            None => Format::Table,
        };
        if format == Format::Parquet && self.out.is_none() && io::stdout().is_terminal() {
            return Err(
                Failure::new(Exit::Usage, "Parquet is no text for a terminal").mend("name a file with -o")
            );
        }
        Ok(format)
    }
}

fn list(context: &Context) -> Result<Exit, Failure> {
    for saved in saved::ALL {
        let document =
            serde_json::json!({ "name": saved.name, "question": saved.question, "sql": saved.sql });
        context.output.document("saved", &document, || format!("{:<24} {}", saved.name, saved.question))?;
    }
    Ok(Exit::Success)
}

/// Where the lake of `config` is; `None` where there is none.
pub(super) fn lake(config: &Config) -> Result<Option<Location>, Failure> {
    Ok(config.lake.url.as_deref().map(Location::parse).transpose()?)
}

/// A statement that has no answer.
fn failure(error: &QueryError) -> Failure {
    let exit = match error {
        QueryError::Wrong(_) | QueryError::TooLong { .. } => Exit::Usage,
        QueryError::Refused(_) | QueryError::Forbidden(_) => Exit::Permission,
        QueryError::Busy { .. } | QueryError::TimedOut { .. } => Exit::Temporary,
        QueryError::TooManyRows { .. } | QueryError::OutOfMemory(_) => Exit::Failure,
        QueryError::Lake(_) => Exit::Io,
        QueryError::Internal(_) => Exit::Software,
    };
    Failure::new(exit, error.to_string())
}
