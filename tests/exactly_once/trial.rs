//! A private pipeline on a real Kafka, clips of every format to flow through it, and the verdict.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::config::Config;
use treble_pipeline::ports::Clock;
use treble_schemas::{AudioChunk, ChunkBody, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::{configuration, verdict};

/// The three stages, each a process of its own.
pub(crate) const DISTRIBUTED: [(&str, &str); 3] = [("decode", "d1"), ("upscale", "u1"), ("encode", "e1")];

/// Where a trial takes place.
pub(crate) enum Cluster {
    /// One for all trials that leave it alone.
    Shared(&'static LocalStack),
    /// One that is tormented.
    Own(LocalStack),
}

impl Deref for Cluster {
    type Target = LocalStack;

    fn deref(&self) -> &LocalStack {
        match self {
            Self::Shared(stack) => stack,
            Self::Own(stack) => stack,
        }
    }
}

/// xorshift64*: a schedule that is the same in every run.
pub(crate) struct Schedule(pub(crate) u64);

impl Schedule {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// Time-outs short enough that a member that left is missed for seconds only.
pub(crate) fn timeouts() -> Vec<(&'static str, String)> {
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
pub(crate) fn kill_all_over(workers: &mut [Worker], kills: u32, schedule: &mut Schedule) -> Result<u32> {
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
pub(crate) struct Trial {
    // Before the cluster: processes are gone when it goes.
    pub(crate) workers: Vec<Worker>,
    pub(crate) publisher: Publisher,
    pub(crate) cluster: Cluster,
    pub(crate) prefix: &'static str,
    pub(crate) settings: Vec<(&'static str, String)>,
    good: Vec<Clip>,
    bad: Vec<Clip>,
    /// Trials run one at a time: each wants the machine's cores for itself.
    _turn: MutexGuard<'static, ()>,
}

impl Trial {
    /// Topics and processes, ready, on the cluster that all share.
    pub(crate) fn start(
        prefix: &'static str,
        plans: &[(&'static str, &str)],
        more: &[(&'static str, String)],
    ) -> Result<Self> {
        let turn = take_turn();
        Self::begin(turn, Cluster::Shared(LocalStack::shared()?), prefix, plans, more)
    }

    /// The three stages on a cluster of `nodes` brokers that belongs to this trial.
    pub(crate) fn start_alone(nodes: u8, prefix: &'static str) -> Result<Self> {
        let turn = take_turn();
        Self::begin(turn, Cluster::Own(LocalStack::start(nodes)?), prefix, &DISTRIBUTED, &[])
    }

    fn begin(
        turn: MutexGuard<'static, ()>,
        cluster: Cluster,
        prefix: &'static str,
        plans: &[(&'static str, &str)],
        more: &[(&'static str, String)],
    ) -> Result<Self> {
        kafka::create_topics(&cluster, prefix)?;
        let publisher = Publisher::new(&cluster, prefix)?;
        let mut settings = timeouts();
        settings.extend(more.iter().cloned());
        let mut workers = Vec::new();
        for (stages, instance) in plans {
            workers.push(Worker::new(&cluster, prefix, stages, instance, &settings)?);
        }
        workers.iter_mut().try_for_each(Worker::start)?;
        workers.iter_mut().try_for_each(|worker| worker.await_ready(kafka::PATIENCE))?;
        Ok(Self {
            _turn: turn,
            workers,
            publisher,
            cluster,
            prefix,
            settings,
            good: good_clips()?,
            bad: bad_clips(),
        })
    }

    /// Publishes everything over 20 s while `torment` runs; what it returns.
    pub(crate) fn while_flowing<T>(
        &mut self,
        torment: impl FnOnce(&LocalStack, &mut Vec<Worker>) -> Result<T>,
    ) -> Result<T> {
        let all: Vec<Clip> = self.good.iter().chain(&self.bad).cloned().collect();
        let (publisher, cluster, workers) = (&self.publisher, &*self.cluster, &mut self.workers);
        thread::scope(|scope| {
            let publishing = scope.spawn(|| publish_interleaved(publisher, &all, 20));
            let outcome = torment(cluster, workers)?;
            publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))??;
            Ok(outcome)
        })
    }

    /// How long each process takes from SIGKILL to ready again, in the order of the processes.
    pub(crate) fn recoveries(&mut self) -> Result<Vec<Duration>> {
        let clock = SystemClock::new();
        let recover = |worker: &mut Worker| {
            let began = clock.now();
            worker.kill()?;
            worker.start()?;
            worker.await_ready(kafka::PATIENCE)?;
            Ok(clock.now() - began)
        };
        self.workers.iter_mut().map(recover).collect()
    }

    /// Waits for every stream's end, drains the processes, and judges; a line that says what was found.
    pub(crate) fn judge(self) -> Result<String> {
        self.judge_by("identical", verdict::identical)
    }

    /// As [`Self::judge`], by samples: another version may write the same samples in other bytes.
    pub(crate) fn judge_by_ear(self) -> Result<String> {
        self.judge_by("sounds_identical", verdict::sounds_identical)
    }

    fn judge_by(mut self, what: &str, compare: Comparison) -> Result<String> {
        let count = self.good.len() + self.bad.len();
        let streams = verdict::delivered(&self.cluster, self.prefix, count)?;
        self.workers.iter_mut().try_for_each(Worker::terminate)?;
        ensure!(streams.len() == count, "{} streams came out of {count}", streams.len());
        let config = configuration::config(
            &[configuration::settings(&self.cluster, self.prefix), self.settings.clone()].concat(),
        )?;
        let identical = compare(&config, &self.good, &streams)?;
        judge_bad(&self.cluster, self.prefix, &self.bad, &streams)?;
        let letters = self.bad.len();
        Ok(format!("streams={count} lost=0 doubled=0 {what}={identical} dead_letters={letters}"))
    }
}

/// Compares what came out with the offline path; how many streams are alike.
type Comparison = fn(&Config, &[Clip], &BTreeMap<String, verdict::Delivered>) -> Result<usize>;

fn take_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every bad clip ends in ABORT and in exactly one dead letter that keeps its key.
fn judge_bad(
    stack: &LocalStack,
    prefix: &str,
    bad: &[Clip],
    streams: &BTreeMap<String, verdict::Delivered>,
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
