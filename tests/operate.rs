//! Operating it: a drain under load ends in time and leaves nothing of what was read undone.

use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_schemas::Topics;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::{configuration, verdict};

const DEADLINE: Duration = Duration::from_secs(10);

/// Everything that a process had read when SIGTERM came is committed when it ends, within `commit.deadline_ms`.
#[test]
fn a_drain_under_load_ends_within_its_deadline_with_everything_that_was_read_committed() -> Result<()> {
    let (stack, prefix, stages) = (LocalStack::shared()?, "drained", "decode,upscale,encode");
    kafka::create_topics(stack, prefix)?;
    let publisher = Publisher::new(stack, prefix)?;
    let clips: Vec<Clip> =
        (0..12).map(|number| clips::chirp(&format!("clip-{number}"), 16_000, 40)).collect();
    clips.iter().try_for_each(|clip| publisher.chunks(clip, 50_000))?;
    publisher.flush()?;
    let settings =
        [("topology", "fused".to_owned()), ("commit.deadline_ms", DEADLINE.as_millis().to_string())];
    let mut worker = Worker::new(stack, prefix, stages, "w1", &settings)?;
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)?;
    let read = await_some(&worker)?;

    let clock = SystemClock::new();
    worker.terminate()?;
    let took = clock.now();
    ensure!(took < DEADLINE + Duration::from_secs(5), "the drain took {took:?}");
    let topics = Topics::new(prefix)?;
    let committed =
        kafka::committed_positions(stack, &format!("{prefix}.decode-upscale-encode"), &topics.audio_in())?;
    let committed: i64 = committed.iter().sum();
    ensure!(committed >= read, "{read} records were read before the drain, {committed} are committed");

    worker.start()?;
    let streams = verdict::delivered(stack, prefix, clips.len())?;
    worker.terminate()?;
    let config = configuration::config(&configuration::settings(stack, prefix))?;
    ensure!(verdict::identical(&config, &clips, &streams)? == clips.len(), "not all came out");
    Ok(())
}

/// A broker whose disk is full ends itself. The process says so on `/readyz`, in its metrics and in its log, and goes on once the broker
/// has space again.
#[test]
fn a_broker_with_a_full_disk_is_told_of_and_needs_no_human_at_the_pipeline() -> Result<()> {
    let (stack, prefix) = (LocalStack::start(1)?, "full");
    kafka::create_topics(&stack, prefix)?;
    let publisher = Publisher::new(&stack, prefix)?;
    let clips = [clips::chirp("before", 16_000, 3), clips::chirp("after", 16_000, 3)];
    let settings = [("topology", "fused".to_owned())];
    let mut worker = Worker::new(&stack, prefix, "decode,upscale,encode", "w1", &settings)?;
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)?;
    publisher.clip(&clips[0])?;
    publisher.flush()?;
    verdict::delivered(&stack, prefix, 1)?;

    stack.fill_disk(1)?;
    let filler = Topics::new(prefix)?.dlq();
    ensure!(kafka::fill(&stack, &filler, 16 << 20).is_err(), "the disk is not full");
    await_text(&worker, "503", "no broker answers")?;
    let metrics = worker.metrics().context("the worker does not answer")?;
    ensure!(metrics.lines().any(|line| line.starts_with("treble_kafka_reachable") && line.ends_with(" 0")));
    ensure!(
        metrics.contains("treble_dependency_up{dependency=\"kafka\"} 0"),
        "the alert on it rests on that"
    );
    ensure!(worker.log_tail().contains("no broker answers"), "{}", worker.log_tail());

    stack.start_node(1)?;
    publisher.clip(&clips[1])?;
    publisher.flush()?;
    let streams = verdict::delivered(&stack, prefix, 2)?;
    worker.await_ready(kafka::PATIENCE)?;
    let metrics = worker.metrics().context("the worker does not answer")?;
    ensure!(
        metrics.contains("treble_dependency_up{dependency=\"kafka\"} 1"),
        "they answer, and it does not say so"
    );
    worker.terminate()?;
    let config = configuration::config(&configuration::settings(&stack, prefix))?;
    ensure!(verdict::identical(&config, &clips, &streams)? == 2, "not all came out");
    Ok(())
}

/// Waits until `/readyz` answers with this status and these words.
fn await_text(worker: &Worker, status: &str, words: &str) -> Result<()> {
    let clock = SystemClock::new();
    loop {
        let answer = worker.readiness().context("the worker does not answer")?;
        if answer.lines().next().is_some_and(|line| line.contains(status)) && answer.contains(words) {
            return Ok(());
        }
        ensure!(clock.now() < kafka::PATIENCE, "/readyz says {answer}\n{}", worker.log_tail());
        thread::park_timeout(Duration::from_millis(100));
    }
}

/// Waits until the process is in the middle of its work; how many records it has read.
fn await_some(worker: &Worker) -> Result<i64> {
    let clock = SystemClock::new();
    loop {
        let metrics = worker.metrics().context("the worker does not answer")?;
        let counts = metrics.lines().filter_map(|line| line.strip_prefix("treble_records_received_total{"));
        let read: f64 = counts.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum();
        #[expect(clippy::cast_possible_truncation, reason = "a count of records")]
        if read > 30.0 {
            return Ok(read as i64);
        }
        ensure!(clock.now() < kafka::PATIENCE, "nothing was read");
        thread::park_timeout(Duration::from_millis(20));
    }
}
