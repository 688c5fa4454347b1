//! Traces: what the loops tell, as OpenTelemetry spans, sent over OTLP.
//!
//! [`spans`] facts as spans, by OpenTelemetry's conventions · [`export`] how they leave the process. One trace follows a
//! stream from `treble publish` to `treble fetch`; a span is told of once its transaction is committed. Deliberately
//! absent: a choice of what to keep that needs whole traces, which is the collector's (`monitoring/otel`).

mod export;
pub mod spans;

pub use export::{TraceError, reach};

use super::family::Each;
use super::labels::Sent;
use super::metrics::Metrics;
use crate::config::{Config, TracesConfig};
use crate::runtime::lineage::Told;
use export::Exporter;
use spans::{Commit, Segment};
use std::time::Duration;

/// Sends spans, or does nothing where no collector is configured. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Traces {
    exporter: Option<Exporter>,
    slow: Duration,
}

/// Spans that were not taken, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{spans} spans of traces were not taken by the collector, and are lost; audio is not")]
pub struct Lost {
    /// How many.
    pub spans: u64,
    /// The collector's address, as messages may show it.
    pub endpoint: String,
}

impl Traces {
    /// As configured: nothing is sent where `traces.endpoint` is empty.
    ///
    /// # Errors
    /// [`TraceError`] where the certificates cannot be read or the address is none.
    pub fn open(config: &Config, metrics: &Metrics) -> Result<Self, TraceError> {
        let TracesConfig { endpoint, slow_ms, .. } = &config.traces;
        let slow = Duration::from_millis(*slow_ms);
        // Visible at 0 from the start, also where nothing is sent.
        let counters: Each<Sent, _> = Each::new(|outcome| metrics.trace_spans.of((outcome,)));
        if endpoint.is_none() {
            return Ok(Self { exporter: None, slow });
        }
        let exporter = Exporter::start(config, &counters)?;
        Ok(Self { exporter: Some(exporter), slow })
    }

    /// Whether spans are sent anywhere.
    #[must_use]
    pub fn are_kept(&self) -> bool {
        self.exporter.is_some()
    }

    /// Tells what a committed epoch did.
    pub fn committed(&self, segment: &Segment, commit: &Commit, told: &Told) {
        if let Some(exporter) = &self.exporter {
            spans::of_epoch(segment, commit, told, self.slow)
                .into_iter()
                .for_each(|span| exporter.send(span));
        }
    }

    /// Tells what a client did with a stream.
    pub fn client(&self, call: &spans::ClientCall<'_>) {
        if let Some(exporter) = &self.exporter {
            exporter.send(spans::of_client(call));
        }
    }

    /// Waits until what was told so far is sent or lost, no longer than `patience`; what of all that was ever told was not taken
    /// by then.
    pub fn flush(&self, patience: Duration) -> Option<Lost> {
        let exporter = self.exporter.as_ref()?;
        exporter.flush(patience);
        let spans = exporter.not_taken();
        (spans > 0).then(|| Lost { spans, endpoint: exporter.endpoint().to_owned() })
    }
}
