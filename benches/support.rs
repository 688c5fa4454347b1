//! What benchmarks share: a clip, a stopwatch that is fair to both sides of a comparison, and the report.
//!
//! Every figure is taken in one process and one run, beside what it is compared with. On a busy machine both sides
//! suffer, and the ratio stays.

pub mod events;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use treble_core::{Assets, ChannelCount, Outbox, Pace, PcmBlock, PcmSpec, SampleDepth, SampleRate, Stage};

/// Rounds of each comparison; the fastest counts, since nothing makes code faster than it is.
const ROUNDS: usize = 5;

/// One measured number.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What was measured; stable, so that it can be tracked.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// Which way is better: `higher` or `lower`.
    pub better: &'static str,
    /// What it was compared with, in the same run; `None` for a speed on its own.
    pub against: Option<String>,
}

impl Figure {
    /// How many seconds of audio one second of work handles.
    #[must_use]
    pub fn speed(name: &str, audio_seconds: f64, took: Duration) -> Self {
        let value = audio_seconds / took.as_secs_f64();
        Self { name: name.to_owned(), value, unit: "× real time", better: "higher", against: None }
    }

    /// The speed of one thing as a part of the speed of another; 1 is as fast.
    #[must_use]
    pub fn ratio(name: &str, took: Duration, limit: Duration, against: &str) -> Self {
        let value = limit.as_secs_f64() / took.as_secs_f64();
        Self {
            name: name.to_owned(),
            value,
            unit: "ratio",
            better: "higher",
            against: Some(against.to_owned()),
        }
    }
}

/// One side of a comparison: prepares what it needs, does its work on the clock ([`timed`]), says how long that took.
pub type Contender<'a> = &'a dyn Fn() -> Result<Duration>;

/// How long `work` takes; its result is dropped off the clock.
#[expect(clippy::disallowed_methods, reason = "a stopwatch: what is measured is this machine's time")]
pub fn timed<R>(work: impl FnOnce() -> Result<R>) -> Result<Duration> {
    let began = Instant::now();
    let made = black_box(work()?);
    let took = began.elapsed();
    drop(made);
    Ok(took)
}

/// What `work` answers, and how long that takes.
#[expect(clippy::disallowed_methods, reason = "a stopwatch: what is measured is this machine's time")]
pub async fn timed_answer<R>(work: impl Future<Output = Result<R>>) -> Result<(Duration, R)> {
    let began = Instant::now();
    let made = black_box(work.await?);
    Ok((began.elapsed(), made))
}

/// The best time of each contender. They take turns, so that a slow moment of the machine hits all.
pub fn race<const N: usize>(contenders: [Contender<'_>; N]) -> Result<[Duration; N]> {
    let mut best = [Duration::MAX; N];
    for _ in 0..ROUNDS {
        for (contender, best) in contenders.iter().zip(&mut best) {
            *best = contender()?.min(*best);
        }
    }
    Ok(best)
}

/// Drives one stage without a model over `inputs`.
pub fn drive<S: Stage>(config: &S::Config, inputs: Vec<S::In>) -> Result<Vec<S::Out>> {
    let mut stage = S::new(config, &Assets::default())?;
    let mut out = Outbox::default();
    for input in inputs {
        stage.push(input, &mut out)?;
    }
    stage.finish(&mut out)?;
    Ok(out.items)
}

/// Stereo at 44.1 kHz and 16 bits in blocks of a second: two sweeps over soft noise, which a codec can neither
/// skip nor fail to compress.
#[must_use]
pub fn clip(seconds: u32) -> Vec<PcmBlock> {
    let channels = ChannelCount::new(2).expect("in range");
    let rate = SampleRate::new(44_100).expect("in range");
    let spec = PcmSpec { rate, channels, depth: SampleDepth::S16, pace: Pace::Bulk };
    let mut noise = 1_u32;
    let mut sample = |channel: u32, frame: u32| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let at = f64::from(frame % (10 * rate.hz())) / f64::from(rate.hz());
        let phase = std::f64::consts::TAU * (200.0 + 900.0 * at + 50.0 * f64::from(channel)) * at;
        let value = phase.sin() * 0.5 + f64::from(noise >> 8) / 16_777_216.0 * 0.02;
        #[expect(clippy::cast_possible_truncation, reason = "below 1 and on the grid of 16 bits")]
        let on_grid = ((value * 32_768.0).round() / 32_768.0) as f32;
        on_grid
    };
    let mut block = |second: u32| {
        let frames = second * rate.hz()..(second + 1) * rate.hz();
        let planes = (0..2).map(|channel| frames.clone().map(|frame| sample(channel, frame)).collect());
        PcmBlock::new(spec, u64::from(frames.start), planes.collect()).0
    };
    std::iter::once(PcmBlock::announce(spec, 0)).chain((0..seconds).map(&mut block)).collect()
}

/// Prints the figures as a table and adds them to `target/bench/summary.json` of the workspace, in place of earlier ones
/// of the same names.
pub fn report(figures: &[Figure]) -> Result<()> {
    let mut table = String::new();
    for Figure { name, value, unit, against, .. } in figures {
        let against = against.as_ref().map(|against| format!("against {against}")).unwrap_or_default();
        writeln!(table, "{name:<36} {value:>9.2}  {unit:<12} {against}")?;
    }
    std::io::stdout().write_all(table.as_bytes())?;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join("summary.json");
    let mut all: Vec<Value> = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))?,
        Err(_) => Vec::new(),
    };
    all.retain(|known| figures.iter().all(|figure| known["name"] != figure.name.as_str()));
    for figure in figures {
        all.push(serde_json::to_value(figure)?);
    }
    let text = serde_json::to_string_pretty(&all)?;
    std::fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
