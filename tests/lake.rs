//! The lake holds each record of the topic of events once, whoever is killed when and whoever else reads. On a real Kafka.

#[path = "lake/trial.rs"]
mod trial;

use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::PATIENCE;
use treble_test_support::process::Worker;
use trial::{RETENTION_DAYS, Schedule, Trial};

#[test]
fn events_of_a_real_run_are_stored_once_each_and_an_independent_reader_counts_the_same() -> Result<()> {
    let trial = Trial::start("stored")?;
    let mut analyse = trial.analyse("a1", &[])?;
    analyse.start()?;
    analyse.await_ready(PATIENCE)?;
    trial.publish(0..3)?;
    trial.nonsense(b"{\"not\": \"framed\"}")?;
    trial.nonsense(&[0, 0, 0, 0, 0, 1, 2, 3])?;
    trial.publish(3..6)?;
    trial.delivered(6)?;
    let found = trial.await_stored()?;
    ensure!(found.reports == 6, "a report a stream: {found:?}");
    ensure!(
        found.events >= 18 && found.unreadable == 2,
        "nonsense is kept, and costs nobody else: {found:?}"
    );
    let metrics = analyse.metrics().unwrap_or_default();
    let counted = format!("treble_lake_rows_written_total{{table=\"stream_reports\"}} {}", found.reports);
    ensure!(metrics.contains(&counted), "{counted} in\n{metrics}");
    analyse.terminate()?;
    trial.python_counts(&found)?;
    trial.ballista_counts(&found)
}

#[test]
fn killed_at_any_moment_it_loses_no_row_and_doubles_none() -> Result<()> {
    let trial = Trial::start("killed")?;
    let mut analyse = trial.analyse("a1", &[])?;
    let mut schedule = Schedule(0x1a4e);
    let mut kills = 0;
    thread::scope(|scope| {
        let publishing = scope.spawn(|| trial.publish_slowly(0..24));
        analyse.start()?;
        while kills < 12 {
            // From the middle of its start to the middle of any commit.
            thread::park_timeout(Duration::from_millis(300 + schedule.below(1_500)));
            analyse.kill()?;
            analyse.start()?;
            kills += 1;
        }
        publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))?
    })?;
    trial.delivered(24)?;
    let found = trial.await_stored()?;
    ensure!(found.reports == 24, "{found:?}");
    println!("kills={kills} rows={} lost=0 doubled=0", found.events + found.reports);
    analyse.terminate()
}

#[test]
fn of_two_owners_of_a_partition_the_one_that_was_overtaken_stores_nothing() -> Result<()> {
    let trial = Trial::start("owners")?;
    // It freezes with rows in its hands, and wants to store them once it wakes up.
    let mut zombie = trial.analyse("a1", &[("lake.flush_interval_ms", "5000".to_owned())])?;
    zombie.start()?;
    zombie.await_ready(PATIENCE)?;
    let mut heir = trial.analyse("a2", &[])?;
    thread::scope(|scope| {
        let publishing = scope.spawn(|| trial.publish_slowly(0..16));
        trial.await_rows_in_hand(&zombie)?;
        zombie.signal("STOP")?;
        heir.start()?;
        // It gets all partitions once the frozen one is missed, and stores on.
        heir.await_ready(PATIENCE)?;
        trial.await_partitions(&heir, 4)?;
        thread::park_timeout(Duration::from_secs(2));
        zombie.signal("CONT")?;
        publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))?
    })?;
    trial.delivered(16)?;
    let found = trial.await_stored()?;
    ensure!(found.reports == 16, "{found:?}");
    let overtaken = |worker: &Worker| -> Result<f64> {
        let metrics = Exposition::read(&worker.metrics().context("no answer")?)?;
        Ok(metrics.sum("treble_lake_commits_total", &[("outcome", "overtaken")]))
    };
    let (of_zombie, of_heir) = (overtaken(&zombie)?, overtaken(&heir)?);
    println!(
        "rows={} overtaken: the zombie {of_zombie} times, its heir {of_heir}",
        found.events + found.reports
    );
    ensure!(of_zombie >= 1.0 && of_heir == 0.0, "the zombie {of_zombie} times, its heir {of_heir}");
    heir.terminate()?;
    zombie.terminate()
}

#[test]
fn the_owner_of_the_lease_joins_past_days_and_drops_those_past_retention() -> Result<()> {
    const DAY_US: i64 = 86_400_000_000;
    let trial = Trial::start("tidied")?;
    let tidying = |instance: &str| {
        let settings =
            [("lake.upkeep_interval_ms", 1_000), ("lake.retention_days", u64::from(RETENTION_DAYS))];
        trial.analyse(instance, &settings.map(|(key, value)| (key, value.to_string())))
    };
    let now_us = SystemClock::new().unix_us();
    let mut analyse = trial.analyse("a1", &[("lake.upkeep_interval_ms", "0".to_owned())])?;
    analyse.start()?;
    analyse.await_ready(PATIENCE)?;
    for round in 1..=4 {
        trial.tell(now_us - 2 * DAY_US, 10)?;
        trial.tell(now_us - 30 * DAY_US, 5)?;
        trial.await_found(|found| found.events == 15 * round)?;
    }
    let before = trial.await_found(|_| true)?;
    ensure!(before.event_files >= 8, "each commit makes a file a day: {before:?}");
    analyse.terminate()?;
    let mut owners = [tidying("a1")?, tidying("a2")?];
    for owner in &mut owners {
        owner.start()?;
        owner.await_ready(PATIENCE)?;
    }
    let after = trial.await_found(|found| found.event_files == 1 && found.expired == 20)?;
    ensure!(after.events == 40, "{after:?}");
    // Positions outlive both, and what comes in later is stored behind them.
    trial.tell(now_us, 3)?;
    trial.await_found(|found| found.events == 43 && found.expired == 20)?;
    owners.iter_mut().try_for_each(Worker::terminate)
}
