//! `treble debug`.

mod archive;
mod bundle;
mod cluster;
mod environment;
mod hidden;
mod host;
mod processes;
mod tail;

use super::{Context, Exit, Failure};
use clap::Subcommand;

/// Gathers what a report of a fault needs
#[derive(Debug, Subcommand)]
pub(super) enum DebugVerb {
    /// Writes one archive to attach to a report: no secret and no audio in it
    Bundle(bundle::Bundle),
}

impl DebugVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Bundle(bundle) => bundle.run(context),
        }
    }
}
