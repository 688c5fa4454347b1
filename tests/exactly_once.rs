//! Exactly once (invariants 4 and 5): stage processes are killed with SIGKILL while streams of every format flow, and
//! what comes out is what came in, once, byte for byte as the offline path writes it.

#![expect(clippy::print_stdout, reason = "a suite tells what it counted; libtest shows it on demand")]

use anyhow::{Context, Result, ensure};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use treble_schemas::{AudioChunk, ChunkBody, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::{configuration, verdict};

/// xorshift64*: a schedule that is the same in every run.
struct Schedule(u64);

impl Schedule {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// Time-outs short enough that a member that left is missed for seconds only.
fn timeouts() -> Vec<(&'static str, String)> {
    [
        ("kafka.message_timeout_ms", "5000"),
        ("commit.transaction_timeout_ms", "6000"),
        ("kafka.session_timeout_ms", "7000"),
        ("commit.deadline_ms", "4000"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
    .to_vec()
}

/// Clips that play for a while, in every format.
fn good_clips() -> Result<Vec<Clip>> {
    let mut all = clips::every_format()?;
    for (index, rate_hz) in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000].into_iter().enumerate() {
        all.push(clips::chirp(&format!("chirp-{index}"), rate_hz, 30));
    }
    Ok(all)
}

/// Clips that no decoder can take.
fn bad_clips() -> Vec<Clip> {
    let noise: Vec<u8> =
        (0..20_000_u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bad = |name: &str, bytes: Vec<u8>| Clip { name: name.to_owned(), media_type: "audio/flac", bytes };
    vec![
        bad("bad-noise", noise),
        bad("bad-text", b"this is not audio".repeat(50)),
        bad("bad-empty", Vec::new()),
    ]
}

/// The clip's chunks; every other stream is a live one.
fn chunks_of(clip: &Clip, live: bool) -> Result<Vec<AudioChunk>> {
    let mut chunks = kafka::chunks(clip, (clip.bytes.len() / 60).clamp(500, 60_000))?;
    if let Some(AudioChunk { body: ChunkBody::Start { format, .. }, .. }) = chunks.first_mut() {
        format.live = live;
    }
    Ok(chunks)
}

/// Publishes everything over about `seconds`: every third clip as one record, the others chunk by chunk in turn.
fn publish_interleaved(publisher: &Publisher, clips: &[Clip], seconds: u64) -> Result<()> {
    let mut streams: Vec<_> = Vec::new();
    for (index, clip) in clips.iter().enumerate() {
        if index % 3 == 0 {
            publisher.clip(clip)?;
        } else {
            streams.push(chunks_of(clip, index % 2 == 0)?.into_iter());
        }
    }
    let pause = Duration::from_millis(seconds * 1000 / 62);
    loop {
        let mut published = false;
        for stream in &mut streams {
            if let Some(chunk) = stream.next() {
                publisher.chunk(&chunk)?;
                published = true;
            }
        }
        if !published {
            return publisher.flush();
        }
        thread::park_timeout(pause);
    }
}

/// Kills `kills` times: every worker in turn first, then whoever the schedule picks, sometimes two at once.
fn kill_all_over(workers: &mut [Worker], kills: u32, schedule: &mut Schedule) -> Result<u32> {
    let mut killed = 0;
    while killed < kills {
        thread::park_timeout(Duration::from_millis(100 + schedule.below(1_400)));
        let count = workers.len();
        let victim =
            if (killed as usize) < count { killed as usize } else { schedule.below(count as u64) as usize };
        workers[victim].kill()?;
        killed += 1;
        if count > 1 && schedule.below(4) == 0 {
            let other = (victim + 1) % count;
            workers[other].kill()?;
            killed += 1;
            workers[other].start()?;
        }
        workers[victim].start()?;
    }
    Ok(killed)
}

/// A private pipeline with clips to publish, and processes to torment.
struct Trial {
    /// Trials run one at a time: each wants the machine's cores for itself.
    _turn: MutexGuard<'static, ()>,
    stack: &'static LocalStack,
    prefix: &'static str,
    settings: Vec<(&'static str, String)>,
    publisher: Publisher,
    good: Vec<Clip>,
    bad: Vec<Clip>,
    workers: Vec<Worker>,
}

impl Trial {
    fn start(
        prefix: &'static str,
        plans: &[(&'static str, &str)],
        more: &[(&'static str, String)],
    ) -> Result<Self> {
        let stack = LocalStack::shared()?;
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        kafka::create_topics(stack, prefix)?;
        let publisher = Publisher::new(stack, prefix)?;
        let mut settings = timeouts();
        settings.extend(more.iter().cloned());
        let mut workers = Vec::new();
        for (stages, instance) in plans {
            workers.push(Worker::new(stack, prefix, stages, instance, &settings)?);
        }
        workers.iter_mut().try_for_each(Worker::start)?;
        workers.iter_mut().try_for_each(|worker| worker.await_ready(kafka::PATIENCE))?;
        Ok(Self {
            _turn: turn,
            stack,
            prefix,
            settings,
            publisher,
            good: good_clips()?,
            bad: bad_clips(),
            workers,
        })
    }

    /// Publishes everything while `torment` runs; what it returns.
    fn while_flowing<T>(&mut self, torment: impl FnOnce(&mut Vec<Worker>) -> Result<T>) -> Result<T> {
        let all: Vec<Clip> = self.good.iter().chain(&self.bad).cloned().collect();
        let (publisher, workers) = (&self.publisher, &mut self.workers);
        thread::scope(|scope| {
            let publishing = scope.spawn(|| publish_interleaved(publisher, &all, 20));
            let outcome = torment(workers)?;
            publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
            Ok(outcome)
        })
    }

    /// Waits for every stream's end, drains the processes, and judges; a line that says what was found.
    fn judge(mut self) -> Result<String> {
        let count = self.good.len() + self.bad.len();
        let streams = verdict::delivered(self.stack, self.prefix, count)?;
        self.workers.iter_mut().try_for_each(Worker::terminate)?;
        ensure!(streams.len() == count, "{} streams came out of {count}", streams.len());
        let config = configuration::config(
            &[configuration::settings(self.stack, self.prefix), self.settings].concat(),
        )?;
        let identical = verdict::identical(&config, &self.good, &streams)?;
        judge_bad(self.stack, self.prefix, &self.bad, &streams)?;
        let letters = self.bad.len();
        Ok(format!("streams={count} lost=0 doubled=0 identical={identical} dead_letters={letters}"))
    }
}

/// Kills while everything flows, and judges.
fn survive(
    prefix: &'static str,
    plans: &[(&'static str, &str)],
    more: &[(&'static str, String)],
    kills: u32,
) -> Result<()> {
    let mut trial = Trial::start(prefix, plans, more)?;
    let killed = trial.while_flowing(|workers| kill_all_over(workers, kills, &mut Schedule(0x5eed)))?;
    trial.workers.iter_mut().try_for_each(|worker| worker.await_ready(kafka::PATIENCE))?;
    println!("kills={killed} {}", trial.judge()?);
    Ok(())
}

/// Every bad clip ends in ABORT and in exactly one dead letter that keeps its key.
fn judge_bad(
    stack: &LocalStack,
    prefix: &str,
    bad: &[Clip],
    streams: &std::collections::BTreeMap<String, verdict::Delivered>,
) -> Result<()> {
    let letters =
        kafka::read_committed(stack, &Topics::new(prefix)?.dlq(), |records| records.len() >= bad.len())?;
    ensure!(letters.len() == bad.len(), "{} dead letters for {} bad clips", letters.len(), bad.len());
    for clip in bad {
        let stream = streams.get(&clip.name).context("a bad clip")?;
        ensure!(stream.aborted.is_some(), "{}: not given up", clip.name);
        let own = letters.iter().filter(|letter| letter.key == clip.name.as_bytes()).count();
        ensure!(own == 1, "{}: {own} dead letters", clip.name);
    }
    Ok(())
}

#[test]
fn three_stage_processes_survive_kills_with_every_stream_whole_single_and_identical() -> Result<()> {
    survive("killed", &[("decode", "d1"), ("upscale", "u1"), ("encode", "e1")], &[], 20)
}

#[test]
fn a_fused_process_with_the_model_survives_kills_with_every_stream_whole_single_and_identical() -> Result<()>
{
    let mut settings = configuration::with_model()?;
    settings.push(("topology", "fused".to_owned()));
    survive("fusedkill", &[("decode,upscale,encode", "f1")], &settings, 5)
}

#[test]
fn a_second_process_joins_and_leaves_while_streams_flow() -> Result<()> {
    let plans = [("decode", "d1"), ("upscale", "u1"), ("encode", "e1"), ("decode,upscale,encode", "all-2")];
    let mut trial = Trial::start("joined", &plans[..3], &[])?;
    let mut second = Worker::new(trial.stack, trial.prefix, plans[3].0, plans[3].1, &timeouts())?;
    trial.while_flowing(|_| {
        thread::park_timeout(Duration::from_secs(3));
        second.start()?;
        second.await_ready(kafka::PATIENCE)?;
        thread::park_timeout(Duration::from_secs(4));
        second.terminate()
    })?;
    println!("rebalances=2 {}", trial.judge()?);
    Ok(())
}

/// A frozen process whose successor takes over before it wakes up.
#[test]
fn a_zombie_changes_nothing() -> Result<()> {
    let plans = [("decode", "d1"), ("upscale", "u1"), ("encode", "e1")];
    let mut trial = Trial::start("zombie", &plans, &[])?;
    let (stack, prefix) = (trial.stack, trial.prefix);
    let mut successor = Worker::new(stack, prefix, "upscale", "u1", &timeouts())?;
    trial.while_flowing(|workers| {
        thread::park_timeout(Duration::from_secs(2));
        workers[1].signal("STOP")?;
        successor.start()?;
        successor.await_ready(kafka::PATIENCE)?;
        workers[1].signal("CONT")
    })?;
    workers_fenced(&mut trial.workers[1], &mut successor)?;
    std::mem::swap(&mut trial.workers[1], &mut successor);
    println!("zombies=1 {}", trial.judge()?);
    Ok(())
}

/// The zombie has ended by itself and says why; its successor goes on.
fn workers_fenced(zombie: &mut Worker, successor: &mut Worker) -> Result<()> {
    let step = Duration::from_millis(100);
    let mut waited = Duration::ZERO;
    while !zombie.has_ended()? {
        ensure!(waited < kafka::PATIENCE, "the zombie still runs\n{}", zombie.log_tail());
        thread::park_timeout(step);
        waited += step;
    }
    ensure!(!successor.has_ended()?, "the successor ended\n{}", successor.log_tail());
    Ok(())
}
