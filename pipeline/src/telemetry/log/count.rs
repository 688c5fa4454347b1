//! What became of the lines: written, suppressed, dropped. The three are all that were offered.

use crate::telemetry::family::Each;
use crate::telemetry::labels::{LogLevel, Suppression};
use crate::telemetry::metrics::LogMetrics;
use prometheus::IntCounter;
use std::sync::Arc;
use tracing::Level;

/// Shared by all that log and the thread that writes.
#[derive(Debug, Clone)]
pub(super) struct Counts(Arc<Series>);

#[derive(Debug)]
struct Series {
    metrics: LogMetrics,
    written: Each<LogLevel, IntCounter>,
    suppressed: Each<LogLevel, IntCounter>,
    dropped: Each<LogLevel, IntCounter>,
}

impl Counts {
    /// Everything at 0.
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let metrics = LogMetrics::new()?;
        Ok(Self(Arc::new(Series {
            written: Each::new(|level| metrics.lines.of((level,))),
            suppressed: Each::new(|level| metrics.suppressed.of((level, Suppression::Rate))),
            dropped: Each::new(|level| metrics.dropped.of((level,))),
            metrics,
        })))
    }

    pub(super) fn written(&self, level: Level) {
        self.0.written.of(LogLevel::from(level)).inc();
    }

    pub(super) fn suppressed(&self, level: Level) {
        self.0.suppressed.of(LogLevel::from(level)).inc();
    }

    pub(super) fn dropped(&self, level: Level) {
        self.0.dropped.of(LogLevel::from(level)).inc();
    }

    /// The text for a scrape.
    pub(super) fn exposition(&self) -> Result<String, prometheus::Error> {
        self.0.metrics.encode()
    }

    /// Written, suppressed, dropped.
    #[cfg(test)]
    pub(super) fn sums(&self) -> [u64; 3] {
        use crate::telemetry::labels::Closed;
        let sum =
            |of: &Each<LogLevel, IntCounter>| LogLevel::ALL.iter().map(|level| of.of(*level).get()).sum();
        [sum(&self.0.written), sum(&self.0.suppressed), sum(&self.0.dropped)]
    }
}
