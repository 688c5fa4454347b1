//! Every metric: name, help, labels, buckets. Nothing else may name one.
//!
//! Labels are closed sets, or names whose number the configuration bounds: a stage, an outcome, a topic; never a stream, a
//! key or an error's text. `treble metrics` prints this page for people; docs/metrics.md is what it prints.

use super::family::{Counter, Entry, Gauge, Histogram, Level, Sum, buckets, catalogue};
use super::labels::{
    Admission, Answered, Api, Asked, Backend, ConsumerGroup, Dependency, ErrorType, Execution, FactName,
    Fallback, Flush, Gpu, GpuFault, GroupState, LakeOutcome, LakeTable, LogLevel, Method, MetricName, Mode,
    Model, Outcome, Partition, Protocol, Queue, Reason, Rebalance, RecordResult, Revision, Sent, Stage,
    Status, StatusCode, Suppression, Throttle, Topic, Version,
};

/// From capture to committed output: dense around the objective of 5 s.
const END_TO_END: [f64; 16] =
    [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0, 5.5, 6.0, 7.5, 10.0, 15.0, 30.0, 60.0];
/// Stages, polls.
const SECONDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0];
/// Transactions: dense around the 15 ms that a commit may cost.
const COMMIT: [f64; 18] = [
    0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0,
];
/// Short waits.
const SHORT: [f64; 11] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Runs of the model.
const INFERENCE: [f64; 18] = [
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];
/// Whole clips.
const CLIP: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// Seconds of work for a second of audio: dense around the limits 0.8 and 1.
const FACTOR: [f64; 15] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.75, 0.8, 0.9, 1.0, 1.5, 2.0, 5.0];
/// Shares of a whole.
const RATIO: [f64; 8] = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0];
/// Statements: dense around the objective of 2 s.
const STATEMENT: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 30.0];
/// Windows in a run of the model.
const BATCH: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

catalogue! {
    /// What a process that runs stages exports.
    Metrics {
        /// Wall time from a clip's first record in a stage to its end there.
        processing_duration: Histogram<(Status, Mode, Stage)> = "audio_processing_duration_seconds", CLIP;
        /// Clips that left the pipeline; one that became a dead letter is `failed`.
        files_processed: Counter<(Status, Mode)> = "audio_files_processed_total";
        /// Clips given up and records refused.
        processing_errors: Counter<(ErrorType, Stage)> = "processing_errors_total";

        /// Records read for the first time.
        records_received: Counter<(Stage,)> = "treble_records_received_total";
        /// Chunks emitted.
        records_emitted: Counter<(Stage,)> = "treble_records_emitted_total";
        /// Records looked at, by what became of them.
        records_processed: Counter<(Stage, RecordResult)> = "treble_records_processed_total";
        /// Streams in flight.
        streams_active: Level<(Stage,)> = "treble_streams_active";
        /// Items that wait inside the process: records, windows.
        queue_depth: Level<(Stage, Queue)> = "treble_queue_depth";
        /// Bytes that wait inside the process.
        queue_bytes: Level<(Stage, Queue)> = "treble_queue_bytes";
        /// From the poll of a record to its stage.
        queue_wait: Histogram<(Stage,)> = "treble_queue_wait_seconds", SHORT;
        /// One call of a stage.
        stage_duration: Histogram<(Stage,)> = "treble_stage_duration_seconds", SECONDS;
        /// From the capture of a clip's last chunk to the end of its output.
        end_to_end_latency: Histogram<(Mode,)> = "treble_end_to_end_latency_seconds", END_TO_END;
        /// Seconds of work for a second of audio, of each clip; under 1 is faster than real time.
        real_time_factor: Histogram<(Stage, Mode)> = "treble_real_time_factor", FACTOR;
        /// Event time up to which everything is committed: delay is time() - x.
        watermark: Gauge<(Stage,)> = "treble_watermark_timestamp_seconds";
        /// When a record was last committed.
        last_processed: Gauge<(Stage,)> = "treble_last_processed_timestamp_seconds";
        /// Seconds of audio that a stage emitted.
        audio_seconds: Sum<(Stage, Mode)> = "treble_audio_seconds_total";
        /// Seconds that a stage was computing, its waits for the model left out.
        busy_seconds: Sum<(Stage, Mode)> = "treble_busy_seconds_total";
        /// Bytes of records read for the first time.
        input_bytes: Counter<(Stage,)> = "treble_audio_input_bytes_total";
        /// Payload bytes emitted.
        output_bytes: Counter<(Stage,)> = "treble_audio_output_bytes_total";
        /// Seconds in which reading was paused because too much was in flight.
        backpressure: Sum<(Stage,)> = "treble_backpressure_seconds_total";
        /// Dead letters.
        dlq_records: Counter<(Stage, Reason)> = "treble_dlq_records_total";
        /// Work that was done again: transactions, restores.
        retries: Counter<(Stage, Reason)> = "treble_retries_total";
        /// Values that a label does not know, counted as `other`.
        label_overflow: Counter<(MetricName,)> = "treble_label_overflow_total";
        /// Chunks that came before and were dropped.
        duplicates: Counter<(Stage,)> = "treble_duplicates_dropped_total";
        /// Streams given up because chunks are missing.
        sequence_gaps: Counter<(Stage,)> = "treble_sequence_gaps_total";
        /// Chunks that came after their stream was over or given up.
        late_records: Counter<(Stage,)> = "treble_late_records_total";
        /// What stages noticed.
        facts: Counter<(Stage, FactName)> = "treble_stage_facts_total";
        /// Questions to the schema registry that failed.
        registry_failures: Counter<(Stage,)> = "treble_registry_failures_total";
        /// Whether what the process needs answered when it was last asked: 1, or 0.
        dependency_up: Level<(Dependency,)> = "treble_dependency_up";
        /// Spans by what became of them on their way to the collector.
        trace_spans: Counter<(Sent,)> = "treble_trace_export_spans_total";
        /// The model that is loaded; always 1.
        model_info: Level<(Model, Version)> = "treble_model_info";

        /// Records polled, those read again included.
        consumed_records: Counter<(Topic,)> = "treble_kafka_consumed_records_total";
        /// Bytes of records polled.
        consumed_bytes: Counter<(Topic,)> = "treble_kafka_consumed_bytes_total";
        /// Records in committed transactions.
        produced_records: Counter<(Topic,)> = "treble_kafka_produced_records_total";
        /// Bytes of records in committed transactions.
        produced_bytes: Counter<(Topic,)> = "treble_kafka_produced_bytes_total";
        /// Transactions by outcome.
        transactions: Counter<(Stage, Outcome)> = "treble_kafka_transactions_total";
        /// From the begin of a transaction to its outcome.
        transaction_duration: Histogram<(Stage, Outcome)> = "treble_kafka_transaction_duration_seconds", COMMIT;
        /// When the open transaction was begun; 0 where none is open.
        transaction_open: Gauge<(Stage,)> = "treble_kafka_transaction_open_timestamp_seconds";
        /// After how long a broker aborts a transaction.
        transaction_timeout: Gauge<(Stage,)> = "treble_kafka_transaction_timeout_seconds";
        /// What the group told this member.
        rebalances: Counter<(Stage, Rebalance)> = "treble_kafka_rebalances_total";
        /// Whether any broker answers: 1, or 0.
        reachable: Level<(Stage,)> = "treble_kafka_reachable";
        /// Partitions that are ours.
        assigned_partitions: Level<(Topic,)> = "treble_kafka_assigned_partitions";
        /// Partitions that are ours, restored and read.
        live_partitions: Level<(Topic,)> = "treble_kafka_live_partitions";
        /// Partitions that are ours and paused, because too much is in flight.
        paused_partitions: Level<(Topic,)> = "treble_kafka_paused_partitions";
        /// When a position was last committed, of the partitions that are ours.
        last_commit: Gauge<(Topic, Partition)> = "treble_kafka_last_commit_timestamp_seconds";
        /// Time between two polls; `max.poll.interval.ms` is its limit.
        poll_interval: Histogram<(Stage,)> = "treble_kafka_poll_interval_seconds", SECONDS;

        /// One run of the model.
        inference_duration: Histogram<(Model, Backend)> = "treble_inference_duration_seconds", INFERENCE;
        /// Callers' requests answered by the model; with executions, the average number that share a run.
        inference_requests: Counter<(Model, Execution)> = "treble_inference_requests_total";
        /// Runs of the model.
        inference_executions: Counter<(Model, Execution)> = "treble_inference_executions_total";
        /// Windows in a run.
        batch_size: Histogram<(Model,)> = "treble_batch_size", BATCH;
        /// From the first request of a batch to its run.
        batch_wait: Histogram<(Model,)> = "treble_batch_wait_seconds", SHORT;
        /// Windows in a run, as a share of those that fit.
        batch_occupancy: Histogram<(Model,)> = "treble_batch_occupancy_ratio", RATIO;
        /// Why batches were closed.
        batch_flush: Counter<(Flush,)> = "treble_batch_flush_total";
        /// Times that the model fell back to the CPU.
        gpu_fallback: Counter<(Fallback,)> = "treble_gpu_fallback_total";

        /// Memory of a GPU in use, by whomever.
        gpu_memory_used: Level<(Gpu,)> = "treble_gpu_memory_used_bytes";
        /// Memory that a GPU has.
        gpu_memory_total: Level<(Gpu,)> = "treble_gpu_memory_total_bytes";
        /// Memory of a GPU that this process holds: the pool of the model's engine, and the context around it.
        gpu_memory_pool: Level<(Gpu,)> = "treble_gpu_memory_pool_bytes";
        /// Share of the time in which a GPU ran anything.
        gpu_utilization: Gauge<(Gpu,)> = "treble_gpu_utilization_ratio";
        /// Temperature of a GPU's chip.
        gpu_temperature: Gauge<(Gpu,)> = "treble_gpu_temperature_celsius";
        /// Clock of a GPU's multiprocessors.
        gpu_clock: Gauge<(Gpu,)> = "treble_gpu_clock_hertz";
        /// Energy that a GPU has used since this process began.
        gpu_energy: Sum<(Gpu,)> = "treble_gpu_energy_joules_total";
        /// Runs of the model, and other allocations, that found no memory.
        gpu_oom: Counter<(Gpu,)> = "treble_gpu_oom_total";
        /// Seconds in which a GPU's clock was held down.
        gpu_throttled: Sum<(Gpu, Throttle)> = "treble_gpu_throttled_seconds_total";
        /// Faults that the driver told of, by what its number (XID) means.
        gpu_errors: Counter<(Gpu, GpuFault)> = "treble_gpu_errors_total";

        /// Commits to the lake by outcome.
        lake_commits: Counter<(LakeTable, LakeOutcome)> = "treble_lake_commits_total";
        /// Rows committed to the lake.
        lake_rows: Counter<(LakeTable,)> = "treble_lake_rows_written_total";
        /// From sorting the rows of a commit to its place in the table's log.
        lake_commit_duration: Histogram<(LakeTable,)> = "treble_lake_commit_duration_seconds", SECONDS;
        /// When rows or positions were last committed to the lake.
        lake_last_commit: Gauge<(LakeTable,)> = "treble_lake_last_commit_timestamp_seconds";
        /// Files that the table is made of.
        lake_files: Level<(LakeTable,)> = "treble_lake_files";
        /// When the newest canary of the log was written that is stored in the lake, or since when it is waited for.
        log_canary_stored: Gauge<()> = "treble_log_canary_stored_timestamp_seconds";
    }
}

catalogue! {
    /// What the doors of analysts export.
    SqlMetrics {
        /// Open sessions; a door without sessions counts requests under way.
        sessions_active: Level<(Protocol,)> = "treble_sql_sessions_active";
        /// Sessions that a door may have.
        sessions_limit: Level<(Protocol,)> = "treble_sql_sessions_limit";
        /// Statements by what was asked and how it ended.
        queries: Counter<(Asked, Answered)> = "treble_sql_queries_total";
        /// From a statement's text to its last row.
        query_duration: Histogram<(Asked,)> = "database_query_duration_seconds", STATEMENT;
        /// Memory that running statements have reserved.
        memory: Level<()> = "treble_sql_memory_reserved_bytes";
        /// Memory of rows that the lake does not hold yet.
        recent: Level<()> = "treble_sql_recent_bytes";
        /// Clients that came to a door, by whether they were let in.
        admissions: Counter<(Protocol, Admission)> = "treble_auth_attempts_total";
        /// Answers over HTTP.
        http_requests: Counter<(StatusCode,)> = "http_requests_total";
        /// From a request over HTTP to the last byte of its answer.
        http_duration: Histogram<()> = "http_request_duration_seconds", SECONDS;
    }
}

catalogue! {
    /// What became of the clips that `treble canary` sends.
    CanaryMetrics {
        /// Clips sent through all stages.
        sent: Counter<()> = "treble_canary_sent_total";
        /// Those that came back in time, whole, and as what was sent.
        ok: Counter<()> = "treble_canary_ok_total";
        /// Those that did not come back in time, or were given up.
        lost: Counter<()> = "treble_canary_lost_total";
        /// Those that came back as something else.
        corrupt: Counter<()> = "treble_canary_corrupt_total";
        /// From sending a clip to having all of it back.
        latency: Histogram<()> = "treble_canary_latency_seconds", END_TO_END;
        /// When a stage last told of such a clip.
        heartbeat: Gauge<(Stage,)> = "treble_heartbeat_seen_timestamp_seconds";
    }
}

catalogue! {
    /// What every process exports of itself.
    ProcessMetrics {
        /// Version and commit of the program; always 1.
        build_info: Level<(Version, Revision)> = "treble_build_info";
        /// Processor time of the process.
        cpu: Sum<()> = "process_cpu_seconds_total";
        /// Memory that the process holds.
        resident: Level<()> = "process_resident_memory_bytes";
        /// Address space of the process.
        virtual_memory: Level<()> = "process_virtual_memory_bytes";
        /// Open file descriptors.
        open_fds: Level<()> = "process_open_fds";
        /// The limit on them.
        max_fds: Level<()> = "process_max_fds";
        /// Threads.
        threads: Level<()> = "process_threads";
        /// Unix time at which the process began.
        start: Gauge<()> = "process_start_time_seconds";
    }
}

catalogue! {
    /// What a process exports of its own log.
    LogMetrics {
        /// Lines written to the log.
        lines: Counter<(LogLevel,)> = "treble_log_lines_total";
        /// Lines that were not written, and that a later line stands for with their number.
        suppressed: Counter<(LogLevel, Suppression)> = "treble_log_lines_suppressed_total";
        /// Lines that were lost: they came faster than they could be written, or the disk is full.
        dropped: Counter<(LogLevel,)> = "treble_log_lines_dropped_total";
    }
}

catalogue! {
    /// What the lag collector found; the names are those of kafka_exporter, which dashboards know.
    LagMetrics {
        /// Records to go, up to the last stable offset.
        lag: Level<(ConsumerGroup, Topic, Partition)> = "kafka_consumergroup_lag";
        /// Age of the record at the committed position; 0 where nothing readable is left, absent where nobody knows.
        lag_seconds: Gauge<(ConsumerGroup, Topic, Partition)> = "kafka_consumergroup_lag_seconds";
        /// The committed position.
        current: Level<(ConsumerGroup, Topic, Partition)> = "kafka_consumergroup_current_offset";
        /// 1 OK, 2 WARN, 4 STOP, 5 STALL, 6 REWIND.
        partition_status: Level<(ConsumerGroup, Topic, Partition)> = "kafka_consumergroup_partition_status";
        /// Time until the record at the committed position is deleted, where the topic deletes.
        retention_margin: Gauge<(ConsumerGroup, Topic, Partition)> = "kafka_consumergroup_retention_margin_seconds";
        /// 0 not found, 1 OK, 2 WARN, 3 ERR: the worst partition.
        group_status: Level<(ConsumerGroup,)> = "kafka_consumergroup_status";
        /// How full the emptiest window is; under 0.5 the status says OK.
        window_complete: Gauge<(ConsumerGroup,)> = "kafka_consumergroup_window_complete_ratio";
        /// Members.
        members: Level<(ConsumerGroup,)> = "kafka_consumergroup_members";
        /// Members without a partition.
        empty_members: Level<(ConsumerGroup,)> = "kafka_consumergroup_empty_members";
        /// Partitions that members have.
        assigned: Level<(ConsumerGroup,)> = "kafka_consumergroup_assigned_partitions";
        /// 1 for the state that the group is in, 0 for the others.
        state: Level<(ConsumerGroup, GroupState)> = "kafka_consumergroup_state";
        /// Partitions whose lag in seconds was found this way.
        method: Level<(ConsumerGroup, Topic, Method)> = "kafka_consumergroup_lag_seconds_method";
        /// Records deleted before the group read them.
        records_lost: Counter<(ConsumerGroup, Topic)> = "kafka_consumergroup_records_lost_total";
        /// The high watermark.
        topic_current: Level<(Topic, Partition)> = "kafka_topic_partition_current_offset";
        /// The first offset.
        topic_oldest: Level<(Topic, Partition)> = "kafka_topic_partition_oldest_offset";
        /// The last stable offset.
        topic_stable: Level<(Topic, Partition)> = "kafka_topic_partition_last_stable_offset";
        /// Partitions of the topic.
        topic_partitions: Level<(Topic,)> = "kafka_topic_partitions";
        /// How long the topic keeps records; absent where it keeps them for ever.
        topic_retention: Gauge<(Topic,)> = "kafka_topic_retention_seconds";
        /// Dead letters on their topic, up to 100,000; `treble dlq purge` takes away those that were dealt with.
        dlq_depth: Level<(Stage,)> = "treble_dlq_depth";
        /// When the oldest of them was written; absent where there is none.
        dlq_oldest: Gauge<(Stage,)> = "treble_dlq_oldest_timestamp_seconds";
    }
}

catalogue! {
    /// What the lag collector says of itself.
    LagSelfMetrics {
        /// When a collection last succeeded.
        last_success: Gauge<()> = "kafka_lag_exporter_last_success_timestamp_seconds";
        /// How long a collection takes.
        duration: Histogram<()> = "kafka_lag_exporter_collection_duration_seconds", SECONDS;
        /// Questions that the cluster did not answer.
        errors: Counter<(Api,)> = "kafka_lag_exporter_errors_total";
        /// Records from the future: a producer's clock is ahead of ours.
        negative_age: Counter<(Topic,)> = "kafka_lag_exporter_negative_age_total";
    }
}

impl Metrics {
    /// Something outside was asked, and whether it answered; what was never asked has no series.
    pub(super) fn needs(&self, dependency: Dependency, answers: bool) {
        self.dependency_up.of((dependency,)).set(i64::from(answers));
    }
}

/// The catalogue as Markdown: what docs/metrics.md holds.
#[must_use]
pub fn markdown() -> String {
    let mut page = String::from(HEAD);
    page.push_str(&table("`treble run`", &Metrics::catalogue()));
    page.push_str(&table("`treble serve`", &SqlMetrics::catalogue()));
    page.push_str(&table("`treble canary --listen`", &CanaryMetrics::catalogue()));
    page.push_str(&table("Every process", &[ProcessMetrics::catalogue(), LogMetrics::catalogue()].concat()));
    let lag = [LagMetrics::catalogue(), LagSelfMetrics::catalogue()].concat();
    page.push_str(&table("`treble lag --listen`", &lag));
    page
}

const HEAD: &str = "# Metrics

<!-- Written by `treble metrics`; change pipeline/src/telemetry/metrics.rs instead. -->

Text exposition 0.0.4 on `/metrics`. Units are base units. A histogram `x` has the series `x_bucket`, `x_sum` and `x_count`. Series of
closed sets are there from the start, at 0. No label holds a stream, a key, a host or an error's text.
";

fn table(command: &str, entries: &[Entry]) -> String {
    let row = |entry: &Entry| {
        let labels = entry.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {labels} | {} |\n", entry.name, entry.kind, entry.help)
    };
    let rows: String = entries.iter().map(row).collect();
    format!("\n## {command}\n\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_their_kind_and_help_is_a_sentence() {
        let all = [
            Metrics::catalogue(),
            SqlMetrics::catalogue(),
            CanaryMetrics::catalogue(),
            ProcessMetrics::catalogue(),
            LogMetrics::catalogue(),
            LagMetrics::catalogue(),
            LagSelfMetrics::catalogue(),
        ]
        .concat();
        for entry in all {
            assert_eq!(entry.kind == "counter", entry.name.ends_with("_total"), "{}", entry.name);
            assert!(entry.help.ends_with('.') && entry.help.len() > 5, "{}: {}", entry.name, entry.help);
            let milli = ["_ms", "_millis", "_percent"].iter().any(|unit| entry.name.contains(unit));
            assert!(!milli, "{}: base units only", entry.name);
        }
    }

    #[test]
    fn a_series_is_written_out_with_its_labels() {
        let metrics = Metrics::new().unwrap();
        metrics.records_received.of((Stage::from("decode"),)).inc();
        let text = metrics.encode().unwrap();
        assert!(text.contains("treble_records_received_total{stage=\"decode\"} 1"), "{text}");
    }

    #[test]
    fn the_page_of_the_documentation_is_what_is_exported() {
        let kept = include_str!("../../../docs/metrics.md");
        assert!(kept == markdown(), "write it anew: treble metrics > docs/metrics.md");
    }
}
