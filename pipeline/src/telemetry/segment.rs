//! The series of one segment, looked up once: visible at 0 from the start, and cheap to count into.

use super::family::Each;
use super::labels::{
    ErrorType, MetricName, Mode, Outcome, Queue, Reason, Rebalance, RecordResult, Stage, Status, Topic,
};
use super::membership::Membership;
use super::metrics::Metrics;
use prometheus::{Counter, Gauge, Histogram, IntCounter, IntGauge};

/// What a segment is, for its labels.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its name: its stage's, or several joined by `-`.
    pub name: String,
    /// Its consumer group.
    pub group: String,
    /// The topic that it reads.
    pub input_topic: String,
    /// The topics that it writes.
    pub output_topics: Vec<String>,
    /// Whether what it writes leaves the pipeline.
    pub ends_pipeline: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct SegmentMetrics {
    pub(super) received: IntCounter,
    pub(super) emitted: IntCounter,
    pub(super) processed: Each<RecordResult, IntCounter>,
    pub(super) input_bytes: IntCounter,
    pub(super) output_bytes: IntCounter,
    pub(super) streams: IntGauge,
    pub(super) queue_depth: Each<Queue, IntGauge>,
    pub(super) queue_bytes: Each<Queue, IntGauge>,
    pub(super) queue_wait: Histogram,
    pub(super) finished: Option<Each<Status, Each<Mode, IntCounter>>>,
    pub(super) duration: Each<Status, Each<Mode, Histogram>>,
    pub(super) latency: Option<Each<Mode, Histogram>>,
    pub(super) factor: Each<Mode, Histogram>,
    pub(super) errors: Each<ErrorType, IntCounter>,
    pub(super) dead_letters: Each<ErrorType, IntCounter>,
    pub(super) retries: Each<ErrorType, IntCounter>,
    pub(super) unknown_errors: IntCounter,
    pub(super) duplicates: IntCounter,
    pub(super) gaps: IntCounter,
    pub(super) late: IntCounter,
    pub(super) registry_failures: IntCounter,
    pub(super) watermark: Gauge,
    pub(super) last_processed: Gauge,
    pub(super) backpressure: Counter,
    pub(super) consumed: (IntCounter, IntCounter),
    pub(super) transactions: Each<Outcome, IntCounter>,
    pub(super) transaction_duration: Each<Outcome, Histogram>,
    pub(super) transaction_open: Gauge,
    pub(super) rebalances: Each<Rebalance, IntCounter>,
    pub(super) membership: Membership,
    pub(super) paused: IntGauge,
    pub(super) poll_interval: Histogram,
}

impl SegmentMetrics {
    pub(super) fn new(all: &Metrics, identity: &Identity) -> Self {
        let stage = || Stage::from(identity.name.as_str());
        let topic = || Topic::from(identity.input_topic.as_str());
        for topic in &identity.output_topics {
            all.produced_records.of((Topic::from(topic.as_str()),));
            all.produced_bytes.of((Topic::from(topic.as_str()),));
        }
        // A point in time that never came is no time at all: these appear with their first event.
        let ends = identity.ends_pipeline;
        Self {
            received: all.records_received.of((stage(),)),
            emitted: all.records_emitted.of((stage(),)),
            processed: Each::new(|result| all.records_processed.of((stage(), result))),
            input_bytes: all.input_bytes.of((stage(),)),
            output_bytes: all.output_bytes.of((stage(),)),
            streams: all.streams_active.of((stage(),)),
            queue_depth: Each::new(|queue| all.queue_depth.of((stage(), queue))),
            queue_bytes: Each::new(|queue| all.queue_bytes.of((stage(), queue))),
            queue_wait: all.queue_wait.of((stage(),)),
            finished: ends
                .then(|| Each::new(|status| Each::new(|mode| all.files_processed.of((status, mode))))),
            duration: Each::new(|status| {
                Each::new(|mode| all.processing_duration.of((status, mode, stage())))
            }),
            latency: ends.then(|| Each::new(|mode| all.end_to_end_latency.of((mode,)))),
            factor: Each::new(|mode| all.real_time_factor.of((stage(), mode))),
            errors: Each::new(|kind| all.processing_errors.of((kind, stage()))),
            dead_letters: Each::new(|kind| all.dlq_records.of((stage(), Reason(kind)))),
            retries: Each::new(|kind| all.retries.of((stage(), Reason(kind)))),
            unknown_errors: all.label_overflow.of((MetricName::from(PROCESSING_ERRORS),)),
            duplicates: all.duplicates.of((stage(),)),
            gaps: all.sequence_gaps.of((stage(),)),
            late: all.late_records.of((stage(),)),
            registry_failures: all.registry_failures.of((stage(),)),
            watermark: all.watermark.of((stage(),)),
            last_processed: all.last_processed.of((stage(),)),
            backpressure: all.backpressure.of((stage(),)),
            consumed: (all.consumed_records.of((topic(),)), all.consumed_bytes.of((topic(),))),
            transactions: Each::new(|outcome| all.transactions.of((stage(), outcome))),
            transaction_duration: Each::new(|outcome| all.transaction_duration.of((stage(), outcome))),
            transaction_open: all.transaction_open.of((stage(),)),
            rebalances: Each::new(|kind| all.rebalances.of((stage(), kind))),
            membership: Membership::new(
                &identity.name,
                all.reachable.of((stage(),)),
                all.assigned_partitions.of((topic(),)),
                all.live_partitions.of((topic(),)),
            ),
            paused: all.paused_partitions.of((topic(),)),
            poll_interval: all.poll_interval.of((stage(),)),
        }
    }
}

/// The value of label `metric` for errors of unknown type.
const PROCESSING_ERRORS: &str = "processing_errors";
