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

/// The handles of all metrics of a process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Records read, by segment.
    pub records_received: IntCounterVec,
    /// Records committed to the output topic, by segment.
    pub records_emitted: IntCounterVec,
    /// Bytes of records read, by segment.
    pub input_bytes: IntCounterVec,
    /// Payload bytes emitted, by segment.
    pub output_bytes: IntCounterVec,
    /// Frames emitted, by segment.
    pub frames_emitted: IntCounterVec,
    /// Seconds that a stage was computing, by stage.
    pub busy_seconds: CounterVec,
    /// Time of one call of a stage, by stage.
    pub stage_duration_seconds: HistogramVec,
    /// Streams finished, by segment and status.
    pub files_processed: IntCounterVec,
    /// Streams given up and records refused, by error code and segment.
    pub processing_errors: IntCounterVec,
    /// Dead letters, by segment and reason.
    pub dlq_records: IntCounterVec,
    /// Chunks dropped because they had been seen, or belong to a stream given up, by segment and reason.
    pub chunks_dropped: IntCounterVec,
    /// What stages noticed, by stage and fact.
    pub facts: IntCounterVec,
    /// Streams in flight, by segment.
    pub streams_active: IntGaugeVec,
    /// Bytes read and not processed, by segment.
    pub queue_bytes: IntGaugeVec,
    /// Transactions, by segment and outcome.
    pub transactions: IntCounterVec,
    /// Time of a transaction, by segment.
    pub transaction_duration_seconds: HistogramVec,
    /// Unix time of the last commit, by segment.
    pub last_commit_timestamp_seconds: GaugeVec,
    /// Partitions that are ours, by segment.
    pub assigned_partitions: IntGaugeVec,
    /// Partitions restored and being read, by segment.
    pub live_partitions: IntGaugeVec,
    /// Rebalances and other turns of a worker's life, by segment and kind.
    pub worker_events: IntCounterVec,
    /// Questions to the registry that failed, by segment.
    pub registry_failures: IntCounterVec,
    /// Times that the model fell back to another device than asked for.
    pub gpu_fallback: IntCounter,
    /// Unix time at which the process began.
    pub start_time_seconds: Gauge,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Only where a name is registered twice or illegal: a defect that the unit test finds.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let all = Declared { registry: &registry };
        let metrics = Self {
            records_received: all.counters("treble_records_received_total", "Records read.", &["stage"])?,
            records_emitted: all.counters("treble_records_emitted_total", "Chunks emitted.", &["stage"])?,
            input_bytes: all.counters("treble_audio_input_bytes_total", "Bytes of records read.", &["stage"])?,
            output_bytes: all.counters("treble_audio_output_bytes_total", "Payload bytes emitted.", &["stage"])?,
            frames_emitted: all.counters("treble_audio_frames_total", "Frames emitted.", &["stage"])?,
            busy_seconds: all.seconds("treble_busy_seconds_total", "Seconds spent computing.", &["stage"])?,
            stage_duration_seconds: all.histogram(
                "treble_stage_duration_seconds",
                "Time of one call of a stage.",
                &["stage"],
            )?,
            files_processed: all.counters(
                "audio_files_processed_total",
                "Streams finished.",
                &["stage", "status"],
            )?,
            processing_errors: all.counters(
                "processing_errors_total",
                "Streams given up and records refused.",
                &["error_type", "stage"],
            )?,
            dlq_records: all.counters("treble_dlq_records_total", "Dead letters.", &["stage", "reason"])?,
            chunks_dropped: all.counters(
                "treble_duplicates_dropped_total",
                "Chunks dropped: seen before, or of a stream that is over.",
                &["stage", "reason"],
            )?,
            facts: all.counters("treble_stage_facts_total", "What stages noticed.", &["stage", "fact"])?,
            streams_active: all.gauges("treble_streams_active", "Streams in flight.", &["stage"])?,
            queue_bytes: all.gauges("treble_queue_bytes", "Bytes read and not processed.", &["stage"])?,
            transactions: all.counters(
                "treble_kafka_transactions_total",
                "Transactions by outcome.",
                &["stage", "outcome"],
            )?,
            transaction_duration_seconds: all.histogram(
                "treble_kafka_transaction_duration_seconds",
                "Time from begin to the outcome of a transaction.",
                &["stage"],
            )?,
            last_commit_timestamp_seconds: all.float_gauges(
                "treble_kafka_last_commit_timestamp_seconds",
                "Unix time of the last commit.",
                &["stage"],
            )?,
            assigned_partitions: all.gauges(
                "treble_kafka_assigned_partitions",
                "Partitions that are ours.",
                &["stage"],
            )?,
            live_partitions: all.gauges(
                "treble_kafka_live_partitions",
                "Partitions restored and being read.",
                &["stage"],
            )?,
            worker_events: all.counters(
                "treble_kafka_rebalances_total",
                "Rebalances and other turns of a worker's life.",
                &["stage", "kind"],
            )?,
            registry_failures: all.counters(
                "treble_registry_failures_total",
                "Questions to the schema registry that failed.",
                &["stage"],
            )?,
            gpu_fallback: all.counter("treble_gpu_fallback_total", "Times the model fell back to the CPU.")?,
            start_time_seconds: all.gauge("process_start_time_seconds", "Unix time at which the process began.")?,
            registry: registry.clone(),
        };
        Ok(metrics)
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
    fn add<M: prometheus::core::Collector + Clone + 'static>(&self, metric: M) -> Result<M, prometheus::Error> {
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
}
