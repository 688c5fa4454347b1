//! `treble logs`.

use super::{Context, Exit, Failure};
use crate::telemetry::log::schema;
use clap::Subcommand;

/// Tells what lines of the log are made of, for those who store and search them
#[derive(Debug, Subcommand)]
pub(super) enum LogsVerb {
    /// The JSON Schema of a line
    Schema,
}

impl LogsVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let document = match self {
            Self::Schema => schema::json_schema(),
        };
        context.output.raw(schema::pretty(&document).as_bytes())?;
        Ok(Exit::Success)
    }
}
