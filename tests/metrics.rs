//! What `/metrics` says of a real run, by value: not that a name is there, but that it counted what happened.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_pipeline::telemetry::metrics::{LogMetrics, Metrics, ProcessMetrics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::{configuration, verdict};

/// Families that have nothing to count in a run without trouble, or that are back at 0 after it.
const STILL: &[&str] = &[
    "treble_retries_total",
    "treble_label_overflow_total",
    "treble_sequence_gaps_total",
    "treble_late_records_total",
    "treble_registry_failures_total",
    "treble_backpressure_seconds_total",
    "treble_kafka_paused_partitions",
    "treble_kafka_transaction_open_timestamp_seconds",
    "treble_gpu_fallback_total",
    // Nobody gathers spans here; tests/traces.rs holds what it counts.
    "treble_trace_export_spans_total",
    "treble_streams_active",
    "treble_queue_depth",
    "treble_queue_bytes",
    "treble_log_lines_suppressed_total",
    "treble_log_lines_dropped_total",
];

/// Reads `/metrics` until `enough`.
fn await_metrics(worker: &Worker, enough: impl Fn(&Exposition) -> bool) -> Result<Exposition> {
    let clock = SystemClock::new();
    loop {
        let answer = worker.metrics().context("the worker does not answer")?;
        let metrics = Exposition::read(&answer)?;
        if enough(&metrics) {
            return Ok(metrics);
        }
        ensure!(clock.now() < PATIENCE, "not reached:\n{answer}\n{}", worker.log_tail());
        thread::park_timeout(Duration::from_millis(50));
    }
}

fn not_audio(name: &str) -> Clip {
    Clip { name: name.to_owned(), media_type: "audio/flac", bytes: b"no audio ".repeat(40) }
}

/// A clip as one record, one in chunks of which one comes twice, one that is no audio, and a record without key.
fn publish(publisher: &Publisher) -> Result<f64> {
    publisher.clip(&clips::chirp("whole", 16_000, 2))?;
    let chunks = kafka::chunks(&clips::chirp("cut", 16_000, 1), 4_000)?;
    for (index, chunk) in chunks.iter().enumerate() {
        publisher.chunk(chunk)?;
        if index == 1 {
            publisher.chunk(chunk)?;
        }
    }
    publisher.clip(&not_audio("bad"))?;
    publisher.record(None, Some(b"no key"), rdkafka::message::OwnedHeaders::new())?;
    publisher.flush()?;
    Ok(chunks.len() as f64)
}

/// Replaces the readings of one simulated GPU in one step, as somebody would who lets it fail.
fn write_gpu(path: &Path, faults: &str, joules: f64) -> Result<()> {
    let whole = format!(
        "[[gpu]]\nmemory_used_bytes = 6\nmemory_total_bytes = 8\nmemory_pool_bytes = 5\nutilization_ratio = 0.5\n\
         temperature_celsius = 60.0\nclock_hertz = 1e9\nenergy_joules = {joules:.1}\n{faults}\n"
    );
    let new = path.with_extension("new");
    fs::write(&new, whole)?;
    Ok(fs::rename(&new, path)?)
}

/// The model with a simulated GPU beside it, and a lake that is written at once.
fn settings(lake: &Path, gpu: &Path) -> Result<Vec<(&'static str, String)>> {
    let mut settings = configuration::with_model()?;
    settings.push(("lake.url", lake.display().to_string()));
    settings.push(("lake.flush_interval_ms", "200".to_owned()));
    settings.push(("lake.logs", "true".to_owned()));
    settings.push(("gpu.readings_file", gpu.display().to_string()));
    Ok(settings)
}

/// When the canary of the log was written that is stored, in Unix time.
const CANARY_SECONDS: f64 = 2_000_000_000.0;

fn publish_canary(stack: &LocalStack, prefix: &str) -> Result<()> {
    let lines = Publisher::new(stack, prefix)?.onto(&format!("{prefix}.logs"));
    lines.line(br#"{"time":"2033-05-18T03:33:20Z","event":"log_canary"}"#, 0)?;
    lines.flush()
}

/// Whether all streams are through, and the lake and the GPU have told of what happened.
fn is_told(metrics: &Exposition) -> bool {
    let rows = |table| metrics.sum("treble_lake_rows_written_total", &[("table", table)]);
    let throttled = metrics.sum("treble_gpu_throttled_seconds_total", &[("reason", "thermal")]);
    let finished = metrics.sum("audio_files_processed_total", &[]);
    finished >= 3.0 && rows("stream_reports") >= 3.0 && rows("logs") >= 1.0 && throttled > 0.0
}

#[test]
fn a_run_is_counted_as_it_happened() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "counted");
    kafka::create_topics(stack, prefix)?;
    let lake = tempfile::tempdir()?;
    let gpu = lake.path().join("gpu.toml");
    write_gpu(&gpu, "", 1_000.0)?;
    let settings = settings(&lake.path().join("lake"), &gpu)?;
    let mut worker = Worker::new(stack, prefix, "decode,upscale,encode,analyse", "only", &settings)?;
    worker.start()?;
    worker.await_ready(PATIENCE)?;
    write_gpu(&gpu, "throttled = [\"thermal\"]\nxids = [79, 13, 31]\nout_of_memory = 2", 1_250.0)?;
    let chunks = publish(&Publisher::new(stack, prefix)?)?;
    publish_canary(stack, prefix)?;
    verdict::delivered(stack, prefix, 3)?;
    let metrics = await_metrics(&worker, is_told)?;

    let equal = |name: &str, labels: &[(&str, &str)], expect: f64| {
        let found = metrics.sum(name, labels);
        ensure!(found == expect, "{name}{labels:?} is {found}, not {expect}\n{}", metrics.family(name));
        Ok(())
    };
    let decode = ("stage", "decode");
    equal("treble_records_received_total", &[decode], chunks + 4.0)?;
    equal("treble_records_processed_total", &[decode, ("result", "ok")], chunks + 2.0)?;
    equal("treble_records_processed_total", &[decode, ("result", "dropped")], 1.0)?;
    equal("treble_records_processed_total", &[decode, ("result", "dlq")], 1.0)?;
    equal("treble_duplicates_dropped_total", &[], 1.0)?;
    equal("treble_dlq_records_total", &[decode, ("reason", "decode_error")], 1.0)?;
    equal("treble_dlq_records_total", &[decode, ("reason", "validation")], 1.0)?;
    equal("processing_errors_total", &[decode], 2.0)?;
    equal("audio_files_processed_total", &[("status", "success"), ("mode", "ai")], 2.0)?;
    equal("audio_files_processed_total", &[("status", "failed")], 1.0)?;
    equal("audio_files_processed_total", &[("status", "cancelled")], 0.0)?;
    equal("treble_end_to_end_latency_seconds_count", &[("mode", "ai")], 2.0)?;
    equal("audio_processing_duration_seconds_count", &[("stage", "encode"), ("status", "success")], 2.0)?;
    equal("treble_kafka_consumed_records_total", &[("topic", "counted.audio.in")], chunks + 4.0)?;
    equal("treble_kafka_produced_records_total", &[("topic", "counted.dlq")], 2.0)?;
    equal("treble_kafka_transactions_total", &[("outcome", "fenced")], 0.0)?;
    equal("treble_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1.0)?;
    let partitions = f64::from(configuration::PARTITIONS);
    equal("treble_kafka_assigned_partitions", &[("topic", "counted.audio.in")], partitions)?;
    equal("treble_kafka_live_partitions", &[], 5.0 * partitions)?;
    equal("treble_lake_rows_written_total", &[("table", "stream_reports")], 3.0)?;
    equal("treble_lake_rows_written_total", &[("table", "unreadable")], 0.0)?;
    equal("treble_lake_rows_written_total", &[("table", "logs")], 1.0)?;
    equal("treble_log_canary_stored_timestamp_seconds", &[], CANARY_SECONDS)?;
    let analyse = ("stage", "analyse");
    let stored = metrics.sum("treble_lake_rows_written_total", &[]);
    equal("treble_records_processed_total", &[analyse, ("result", "ok")], stored)?;
    let emitted = metrics.sum("treble_records_emitted_total", &[decode]);
    equal("treble_records_received_total", &[("stage", "upscale")], emitted + 3.0)?;
    for stage in ["decode", "upscale", "encode"] {
        let seconds = metrics.sum("treble_audio_seconds_total", &[("stage", stage)]);
        ensure!((seconds - 3.0).abs() < 0.2, "{stage} emitted {seconds} s of audio, not 3");
    }
    let executions = metrics.sum("treble_inference_executions_total", &[]);
    ensure!(executions > 0.0 && metrics.sum("treble_batch_size_count", &[]) == executions);
    let now = SystemClock::new().unix_us() as f64 / 1e6;
    for stage in ["decode", "upscale", "encode"] {
        let age = now - metrics.sum("treble_watermark_timestamp_seconds", &[("stage", stage)]);
        ensure!((0.0..300.0).contains(&age), "the watermark of {stage} is {age} s old");
    }
    gpu_was_told_of(&metrics)?;
    all_move(&metrics)?;
    println!("series={} bytes={}", metrics.series(), metrics.bytes());
    ensure!(metrics.series() <= 4_000, "{} series", metrics.series());
    worker.terminate()
}

/// The readings of [`write_gpu`], the first ones and those after them.
fn gpu_was_told_of(metrics: &Exposition) -> Result<()> {
    for (name, label, expect) in [
        ("treble_gpu_oom_total", ("gpu", "0"), 2.0),
        ("treble_gpu_errors_total", ("class", "fatal"), 1.0),
        ("treble_gpu_errors_total", ("class", "app"), 2.0),
        ("treble_gpu_energy_joules_total", ("gpu", "0"), 250.0),
        ("treble_gpu_throttled_seconds_total", ("reason", "power"), 0.0),
        ("treble_gpu_memory_used_bytes", ("gpu", "0"), 6.0),
    ] {
        let found = metrics.sum(name, &[label]);
        ensure!(found == expect, "{name}{label:?} is {found}, not {expect}");
    }
    Ok(())
}

/// Every family of the catalogue is there, and has counted something unless it is known to have nothing to count.
fn all_move(metrics: &Exposition) -> Result<()> {
    for entry in [Metrics::catalogue(), ProcessMetrics::catalogue(), LogMetrics::catalogue()].concat() {
        let name =
            if entry.kind == "histogram" { format!("{}_count", entry.name) } else { entry.name.to_owned() };
        ensure!(metrics.has(&name), "{name} has no series");
        let moved = metrics.sum(&name, &[]) > 0.0;
        ensure!(
            moved || STILL.contains(&entry.name),
            "{name} has counted nothing\n{}",
            metrics.family(&name)
        );
    }
    Ok(())
}

#[test]
fn ten_thousand_streams_and_as_many_errors_add_no_series() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "crowded");
    kafka::create_topics(stack, prefix)?;
    let settings = [("flow.dead_letters_per_minute", "1000000".to_owned())];
    let mut worker = Worker::new(stack, prefix, "decode", "only", &settings)?;
    worker.start()?;
    worker.await_ready(PATIENCE)?;
    let publisher = Publisher::new(stack, prefix)?;
    let publish = |streams: std::ops::Range<usize>| -> Result<Exposition> {
        let all = streams.end as f64;
        for number in streams {
            let mut clip = not_audio(&format!("stream-{number}"));
            clip.bytes.extend(number.to_le_bytes());
            publisher.clip(&clip)?;
        }
        publisher.flush()?;
        await_metrics(&worker, |metrics| {
            let committed = metrics.sum("treble_kafka_produced_records_total", &[("topic", "crowded.dlq")]);
            committed >= all
        })
    };
    let few = publish(0..100)?;
    let many = publish(100..10_000)?;
    println!("series={} bytes={}", many.series(), many.bytes());
    ensure!(few.series() == many.series(), "{} series became {}", few.series(), many.series());
    ensure!(many.series() <= 1_500, "{} series", many.series());
    ensure!(many.bytes() < 300_000, "{} bytes", many.bytes());
    ensure!(!many.text().contains("stream-"), "a stream's name is a label");
    let lines = |name: &str| many.sum(name, &[("level", "warn")]);
    let (written, suppressed) = (lines("treble_log_lines_total"), lines("treble_log_lines_suppressed_total"));
    ensure!(
        written < 2_000.0 && suppressed > 5_000.0,
        "{written} warnings are written, {suppressed} suppressed"
    );
    worker.terminate()
}
