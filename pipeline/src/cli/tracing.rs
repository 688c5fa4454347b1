//! The spans of clients: `treble publish` begins a trace, `treble fetch` ends it.

use super::output::Output;
use super::{Exit, Failure};
use crate::config::{Config, Fault};
use crate::kafka::headers::TraceContext;
use crate::runtime::lineage;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::Traces;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// How long a client waits at its end for its spans to be sent.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where spans go.
pub(super) fn open(config: &Config) -> Result<Traces, Failure> {
    let metrics = Metrics::new()
        .map_err(|error| Failure::new(Exit::Software, "the metrics cannot be set up").because(error))?;
    Ok(Traces::open(config, &metrics)?)
}

/// Waits for spans to be sent, and tells of those that were not taken: a client has neither a log nor metrics.
pub(super) fn settle(traces: &Traces, output: &Output) {
    if let Some(lost) = traces.flush(PATIENCE) {
        output.warning(&Fault {
            key: "traces.endpoint".to_owned(),
            value: lost.endpoint.clone(),
            origin: None,
            problem: lost.to_string(),
            fix: "`treble doctor` asks the collector; or leave it empty".to_owned(),
        });
    }
}

/// A trace that begins here; of those, `sample_ratio` are kept.
pub(super) fn begin(sample_ratio: f64) -> Option<TraceContext> {
    let trace_id = (u128::from(draw()) << 64) | u128::from(draw());
    let flags = if lineage::is_sampled(trace_id, sample_ratio) { TraceContext::SAMPLED } else { 0 };
    TraceContext::new(trace_id.max(1), draw().max(1), flags)
}

/// The context of a span under `parent`.
pub(super) fn under(parent: TraceContext) -> Option<TraceContext> {
    parent.child(draw().max(1))
}

/// The standard library's hash keys are random, which is all that ids need.
fn draw() -> u64 {
    RandomState::new().hash_one(0_u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_differ_and_are_kept_as_asked() {
        let (one, other) = (begin(1.0).unwrap(), begin(0.0).unwrap());
        assert_ne!(one.trace_id(), other.trace_id());
        assert_eq!((one.sampled(), other.sampled()), (true, false));
        let below = under(one).unwrap();
        assert_eq!(below.trace_id(), one.trace_id());
        assert_ne!(below.parent_id(), one.parent_id());
    }
}
