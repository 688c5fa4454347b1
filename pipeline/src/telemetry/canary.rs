//! What became of canaries, counted.

use super::labels::Stage;
use super::metrics::CanaryMetrics;
use super::process;
use prometheus::{Histogram, IntCounter};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct CanaryTelemetry {
    metrics: CanaryMetrics,
    sent: IntCounter,
    ok: IntCounter,
    lost: IntCounter,
    corrupt: IntCounter,
    latency: Histogram,
}

impl CanaryTelemetry {
    /// Everything at 0.
    ///
    /// # Errors
    /// Where a metric cannot be registered: a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = CanaryMetrics::new()?;
        Ok(Self {
            sent: metrics.sent.only(),
            ok: metrics.ok.only(),
            lost: metrics.lost.only(),
            corrupt: metrics.corrupt.only(),
            latency: metrics.latency.only(),
            metrics,
        })
    }

    /// A clip goes off.
    pub fn sent(&self) {
        self.sent.inc();
    }

    /// It is back, and what was sent.
    pub fn ok(&self, latency: Duration) {
        self.ok.inc();
        self.latency.observe(latency.as_secs_f64());
    }

    /// It is not back in time, or was given up.
    pub fn lost(&self) {
        self.lost.inc();
    }

    /// What is back is not what was sent.
    pub fn corrupt(&self) {
        self.corrupt.inc();
    }

    /// A stage told of it; `now_us` is Unix time.
    pub fn passed(&self, stage: &str, now_us: i64) {
        self.metrics.heartbeat.of((Stage::from(stage),)).set(now_us as f64 / 1e6);
    }

    /// The answer to a scrape.
    ///
    /// # Errors
    /// Where the format cannot hold what was counted: a defect.
    pub fn render(&self) -> Result<String, String> {
        let own = self.metrics.encode().and_then(|own| Ok(own + &process::exposition()?));
        own.map_err(|error| error.to_string())
    }
}
