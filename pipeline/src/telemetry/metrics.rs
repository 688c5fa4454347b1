//! Every metric: name, help, labels, buckets. Nothing else may name one.
//!
//! Labels are closed sets: a stage, an outcome, an error's code; never a stream, a key or an error's text.

use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Stage times, transactions: dense around what a person waits for.
const SECONDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0];

/// Declares every metric once: its handle, and how it is registered.
macro_rules! metrics {
    ($($(#[$doc:meta])* $field:ident: $kind:ty = $declare:ident($($argument:expr),*);)*) => {
        /// The handles of all metrics of a process.
        #[derive(Debug, Clone)]
        pub struct Metrics {
            registry: Registry,
            $($(#[$doc])* pub $field: $kind,)*
        }

        impl Metrics {
            /// Registers everything.
            ///
            /// # Errors
            /// Only where a name is registered twice or illegal: a defect that the unit test finds.
            pub fn new() -> Result<Self, prometheus::Error> {
                let registry = Registry::new();
                let all = Declared { registry: &registry };
                Ok(Self { $($field: all.$declare($($argument),*)?,)* registry: registry.clone() })
            }
        }
    };
}

metrics! {
    /// Records read, by segment.
    records_received: IntCounterVec = counters("treble_records_received_total", "Records read.", &["stage"]);
    /// Records committed to the output topic, by segment.
    records_emitted: IntCounterVec = counters("treble_records_emitted_total", "Chunks emitted.", &["stage"]);
    /// Bytes of records read, by segment.
    input_bytes: IntCounterVec = counters("treble_audio_input_bytes_total", "Bytes of records read.", &["stage"]);
    /// Payload bytes emitted, by segment.
    output_bytes: IntCounterVec = counters("treble_audio_output_bytes_total", "Payload bytes emitted.", &["stage"]);
    /// Frames emitted, by segment.
    frames_emitted: IntCounterVec = counters("treble_audio_frames_total", "Frames emitted.", &["stage"]);
    /// Seconds that a stage was computing, by stage.
    busy_seconds: CounterVec = seconds("treble_busy_seconds_total", "Seconds spent computing.", &["stage"]);
    /// Time of one call of a stage, by stage.
    stage_duration_seconds: HistogramVec = histogram("treble_stage_duration_seconds", "Time of one call of a stage.", &["stage"]);
    /// Streams finished, by segment and status.
    files_processed: IntCounterVec = counters("audio_files_processed_total", "Streams finished.", &["stage", "status"]);
    /// Streams given up and records refused, by error code and segment.
    processing_errors: IntCounterVec = counters("processing_errors_total", "Streams given up and records refused.", &["error_type", "stage"]);
    /// Dead letters, by segment and reason.
    dlq_records: IntCounterVec = counters("treble_dlq_records_total", "Dead letters.", &["stage", "reason"]);
    /// Chunks dropped because they had been seen, or belong to a stream given up, by segment and reason.
    chunks_dropped: IntCounterVec = counters("treble_duplicates_dropped_total", "Chunks dropped: seen before, or of a stream that is over.", &["stage", "reason"]);
    /// What stages noticed, by stage and fact.
    facts: IntCounterVec = counters("treble_stage_facts_total", "What stages noticed.", &["stage", "fact"]);
    /// Streams in flight, by segment.
    streams_active: IntGaugeVec = gauges("treble_streams_active", "Streams in flight.", &["stage"]);
    /// Bytes read and not processed, by segment.
    queue_bytes: IntGaugeVec = gauges("treble_queue_bytes", "Bytes read and not processed.", &["stage"]);
    /// Transactions, by segment and outcome.
    transactions: IntCounterVec = counters("treble_kafka_transactions_total", "Transactions by outcome.", &["stage", "outcome"]);
    /// Time of a transaction, by segment.
    transaction_duration_seconds: HistogramVec = histogram("treble_kafka_transaction_duration_seconds", "Time from begin to the outcome of a transaction.", &["stage"]);
    /// Unix time of the last commit, by segment.
    last_commit_timestamp_seconds: GaugeVec = float_gauges("treble_kafka_last_commit_timestamp_seconds", "Unix time of the last commit.", &["stage"]);
    /// Partitions that are ours, by segment.
    assigned_partitions: IntGaugeVec = gauges("treble_kafka_assigned_partitions", "Partitions that are ours.", &["stage"]);
    /// Partitions restored and being read, by segment.
    live_partitions: IntGaugeVec = gauges("treble_kafka_live_partitions", "Partitions restored and being read.", &["stage"]);
    /// Rebalances and other turns of a worker's life, by segment and kind.
    worker_events: IntCounterVec = counters("treble_kafka_rebalances_total", "Rebalances and other turns of a worker's life.", &["stage", "kind"]);
    /// Questions to the registry that failed, by segment.
    registry_failures: IntCounterVec = counters("treble_registry_failures_total", "Questions to the schema registry that failed.", &["stage"]);
    /// Times that the model fell back to another device than asked for.
    gpu_fallback: IntCounter = counter("treble_gpu_fallback_total", "Times the model fell back to the CPU.");
    /// Unix time at which the process began.
    start_time_seconds: Gauge = gauge("process_start_time_seconds", "Unix time at which the process began.");
}

/// What becomes of a transaction, as a label.
pub const OUTCOMES: [&str; 4] = ["committed", "aborted", "fenced", "broken"];
/// How a stream ends, as a label.
pub const STATUSES: [&str; 2] = ["success", "failed"];
/// Why a chunk is dropped, as a label.
pub const DROPS: [&str; 2] = ["repeat", "given_up"];

impl Metrics {
    /// Makes the series of `segment` and its `stages` visible at 0 from the start: a rate over a series that begins
    /// with its first event misses that event.
    pub fn begin(&self, segment: &str, stages: &[&str]) {
        let by_segment = [
            &self.records_received,
            &self.records_emitted,
            &self.input_bytes,
            &self.output_bytes,
            &self.frames_emitted,
        ];
        for counter in by_segment.into_iter().chain([&self.registry_failures]) {
            counter.with_label_values(&[segment]);
        }
        let labelled = [
            (&self.transactions, &OUTCOMES[..]),
            (&self.files_processed, &STATUSES[..]),
            (&self.chunks_dropped, &DROPS[..]),
        ];
        for (counter, values) in labelled {
            values.iter().for_each(|value| drop(counter.with_label_values(&[segment, value])));
        }
        self.streams_active.with_label_values(&[segment]);
        for stage in stages {
            self.busy_seconds.with_label_values(&[stage]);
        }
    }

    /// The text exposition format, version 0.0.4.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

struct Declared<'a> {
    registry: &'a Registry,
}

impl Declared<'_> {
    fn add<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> Result<M, prometheus::Error> {
        self.registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.add(Gauge::new(name, help)?)
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn seconds(&self, name: &str, help: &str, labels: &[&str]) -> Result<CounterVec, prometheus::Error> {
        self.add(CounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn float_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
        self.add(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(&self, name: &str, help: &str, labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
        self.add(HistogramVec::new(options, labels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_registers_and_is_written_out() {
        let metrics = Metrics::new().unwrap();
        metrics.records_received.with_label_values(&["decode"]).inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("treble_records_received_total{stage=\"decode\"} 1"), "{text}");
    }

    #[test]
    fn a_segment_shows_its_series_before_anything_happened() {
        let metrics = Metrics::new().unwrap();
        metrics.begin("decode", &["decode"]);
        let text = metrics.encode().unwrap();
        let series = "treble_kafka_transactions_total{outcome=\"fenced\",stage=\"decode\"} 0";
        assert!(text.contains(series), "{text}");
        assert!(text.contains("audio_files_processed_total{stage=\"decode\",status=\"failed\"} 0"), "{text}");
    }
}
