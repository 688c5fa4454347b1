//! The same clips on one partition and on four, and through one worker, two and four: what more of either brings on this machine, which
//! broker, publisher and reader share.

use anyhow::{Context, Result, ensure};
use std::thread;
use std::time::Duration;
use treble_bench_support::{Figure, timed};
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::configuration::PARTITIONS;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::verdict;

const CLIPS: usize = 24;
const SECONDS: u32 = 60;
const STAGES: &str = "decode,upscale,encode";
/// Each contender takes this many turns; the best counts.
const ROUNDS: usize = 2;

/// What is compared.
struct Case {
    name: &'static str,
    /// Partitions that the clips lie on.
    partitions: u32,
    workers: usize,
    /// Compute threads of each worker.
    threads: usize,
}

/// Of each pair the first is what the others are held against.
const CASES: [Case; 5] = [
    Case { name: "partitions_1", partitions: 1, workers: 1, threads: 2 },
    Case { name: "partitions_4", partitions: PARTITIONS, workers: 1, threads: 2 },
    Case { name: "workers_1", partitions: PARTITIONS, workers: 1, threads: 1 },
    Case { name: "workers_2", partitions: PARTITIONS, workers: 2, threads: 1 },
    Case { name: "workers_4", partitions: PARTITIONS, workers: 4, threads: 1 },
];

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    let mut best = [Duration::MAX; CASES.len()];
    for round in 0..ROUNDS {
        for (case, best) in CASES.iter().zip(&mut best) {
            *best = (*best).min(case.took(stack, round)?);
        }
    }
    let [one_partition, _, one_worker, _, _] = best;
    let mut figures = Vec::new();
    for (case, took) in CASES.iter().zip(best) {
        figures.push(Figure::speed(
            &format!("scale_{}_speed", case.name),
            CLIPS as f64 * f64::from(SECONDS),
            took,
        ));
        let (first, against) =
            if case.threads > 1 { (one_partition, "one partition") } else { (one_worker, "one worker") };
        figures.push(Figure::ratio(&format!("scale_{}_gain", case.name), took, first, against));
    }
    Ok(figures)
}

/// Waits until `worker` is ready with its share of the partitions: the group has settled then.
fn await_share(worker: &mut Worker, share: f64) -> Result<()> {
    worker.await_ready(kafka::PATIENCE)?;
    let clock = SystemClock::new();
    loop {
        let metrics = Exposition::read(&worker.metrics().context("the worker does not answer")?)?;
        if metrics.sum("treble_kafka_live_partitions", &[]) == share {
            return Ok(());
        }
        ensure!(clock.now() < kafka::PATIENCE, "no {share} partitions for this worker");
        thread::park_timeout(Duration::from_millis(50));
    }
}

impl Case {
    /// From the first record published to the last END, with every worker ready before, and the group at rest.
    fn took(&self, stack: &LocalStack, round: usize) -> Result<Duration> {
        let prefix = format!("scale-{}-{round}", self.name.replace('_', "-"));
        kafka::create_topics(stack, &prefix)?;
        let settings = [
            ("topology", "fused".to_owned()),
            ("flow.threads", self.threads.to_string()),
            ("events.loudness", "off".to_owned()),
        ];
        let mut workers = Vec::new();
        for number in 0..self.workers {
            let mut worker = Worker::new(stack, &prefix, STAGES, &format!("worker-{number}"), &settings)?;
            worker.start()?;
            workers.push(worker);
        }
        let share = f64::from(PARTITIONS) / self.workers as f64;
        workers.iter_mut().try_for_each(|worker| await_share(worker, share))?;
        let (clips, publisher) = (self.clips()?, Publisher::new(stack, &prefix)?);
        let took = timed(|| {
            clips.iter().try_for_each(|clip| publisher.clip(clip))?;
            publisher.flush()?;
            verdict::await_ends(stack, &prefix, clips.len())
        })?;
        workers.iter_mut().try_for_each(Worker::terminate)?;
        Ok(took)
    }

    /// Clips whose names spread them evenly.
    fn clips(&self) -> Result<Vec<Clip>> {
        let (mut clips, mut number) = (Vec::new(), 0);
        while clips.len() < CLIPS {
            let name = format!("clip-{number}");
            number += 1;
            if kafka::partition(&name)? == (clips.len() as u32 % self.partitions).cast_signed() {
                clips.push(clips::chirp(&name, 16_000, SECONDS));
            }
        }
        Ok(clips)
    }
}
