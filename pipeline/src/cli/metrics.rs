//! `treble metrics`.

use super::{Context, Exit, Failure};
use crate::telemetry::metrics;
use clap::Args;

/// Prints what every metric of /metrics means, as Markdown
#[derive(Debug, Args)]
pub(super) struct Metrics {}

impl Metrics {
    #[expect(clippy::unused_self, reason = "a verb like the others")]
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        context.output.raw(metrics::markdown().as_bytes())?;
        Ok(Exit::Success)
    }
}
