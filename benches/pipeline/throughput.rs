//! Seconds of audio a second, from records that wait on the input to records that are committed on the output.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use treble_bench_support::{Figure, timed};
use treble_pipeline::config::Config;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::{configuration, verdict};

const SECONDS: u32 = 90;
/// Frames of a clip at the rate of the output.
const OUTPUT_FRAMES: u64 = 48_000 * SECONDS as u64;
const STAGES: &str = "decode,upscale,encode";
/// Each contender takes this many turns; the best counts.
const ROUNDS: usize = 2;

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    // Enough that the first poll and the last commit are a small part of a run.
    let many: Vec<Clip> =
        (0..96).map(|number| clips::chirp(&format!("clip-{number}"), 16_000, SECONDS)).collect();
    let baseline = Run { stack, clips: &many, mode: "baseline", more: Vec::new() };
    let mut figures = baseline.figures()?;
    let ai = Run { stack, clips: &many[..24], mode: "ai", more: configuration::with_model()? };
    figures.extend(ai.figures()?);
    Ok(figures)
}

struct Run<'a> {
    stack: &'a LocalStack,
    clips: &'a [Clip],
    mode: &'static str,
    more: Vec<(&'static str, String)>,
}

/// How the pipeline is run.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    topology: &'static str,
    /// Compute threads of a segment; 0 is one a core, as it comes.
    threads: &'static str,
    /// What the stages do by themselves has no loudness meter, so it is on the clock only where it is asked for.
    loudness: &'static str,
}

const FUSED: Way = Way { name: "fused", topology: "fused", threads: "1", loudness: "off" };
const DISTRIBUTED: Way = Way { name: "distributed", topology: "distributed", ..FUSED };
const METERED: Way = Way { name: "metered", loudness: "bulk", ..FUSED };
const ALL_CORES: Way = Way { name: "all-cores", threads: "0", ..FUSED };

impl Run<'_> {
    fn figures(&self) -> Result<Vec<Figure>> {
        let mut best = [Duration::MAX; 6];
        for round in 0..ROUNDS {
            best[0] = best[0].min(self.offline(round)?);
            best[1] = best[1].min(self.pipeline(round, FUSED)?);
            best[2] = best[2].min(self.pipeline(round, DISTRIBUTED)?);
            if self.mode == "ai" {
                best[3] = best[3].min(self.python(round)?);
                best[4] = best[4].min(self.pipeline(round, ALL_CORES)?);
            } else {
                best[5] = best[5].min(self.pipeline(round, METERED)?);
            }
        }
        let [offline, fused, distributed, python, all_cores, metered] = best;
        let (mode, seconds) = (self.mode, self.clips.len() as f64 * f64::from(SECONDS));
        let stages = "the stages offline, one thread";
        let mut figures = vec![
            Figure::speed(&format!("offline_{mode}_speed"), seconds, offline),
            Figure::speed(&format!("fused_{mode}_speed"), seconds, fused),
            Figure::ratio(&format!("fused_{mode}_efficiency"), fused, offline, stages),
            Figure::speed(&format!("distributed_{mode}_speed"), seconds, distributed),
            Figure::ratio(&format!("distributed_{mode}_efficiency"), distributed, offline, stages),
        ];
        if mode == "baseline" {
            let plain = "the same without a loudness meter";
            figures.push(Figure::ratio("fused_baseline_metered", metered, fused, plain));
        }
        if mode == "ai" {
            figures.push(Figure::speed("python_peer_speed", seconds, python));
            let peer = "the same job in Python";
            figures.push(Figure::ratio("fused_against_python", fused, python, peer));
            figures.push(Figure::ratio("distributed_against_python", distributed, python, peer));
            figures.push(Figure::speed("fused_ai_all_cores_speed", seconds, all_cores));
            figures.push(Figure::ratio("all_cores_against_python", all_cores, python, peer));
        }
        Ok(figures)
    }

    fn config(&self, prefix: &str) -> Result<Config> {
        configuration::config(&[configuration::settings(self.stack, prefix), self.more.clone()].concat())
    }

    /// The stages over the same clips, in this process and on one thread.
    fn offline(&self, round: usize) -> Result<Duration> {
        let config = self.config(&format!("offline{round}"))?;
        timed(|| {
            for clip in self.clips {
                verdict::offline(&config, clip)?.map_err(anyhow::Error::msg)?;
            }
            Ok(())
        })
    }

    /// From ready to the last END.
    fn pipeline(&self, round: usize, way: Way) -> Result<Duration> {
        let prefix = format!("{}-{}-{round}", self.mode, way.name);
        self.publish(&prefix)?;
        let mut settings = self.more.clone();
        settings.push(("topology", way.topology.to_owned()));
        settings.push(("flow.threads", way.threads.to_owned()));
        settings.push(("events.loudness", way.loudness.to_owned()));
        let mut worker = Worker::new(self.stack, &prefix, STAGES, "bench", &settings)?;
        worker.start()?;
        worker.await_ready(kafka::PATIENCE)?;
        let took = timed(|| {
            let frames = verdict::await_ends(self.stack, &prefix, self.clips.len())?;
            ensure!(frames == self.clips.len() as u64 * OUTPUT_FRAMES, "{frames} frames came out");
            Ok(())
        })?;
        worker.terminate()?;
        Ok(took)
    }

    fn publish(&self, prefix: &str) -> Result<()> {
        kafka::create_topics(self.stack, prefix)?;
        let publisher = Publisher::new(self.stack, prefix)?;
        self.clips.iter().try_for_each(|clip| publisher.clip(clip))?;
        publisher.flush()
    }

    /// `benches/python_peer/peer.py` on the same topics; it says how long it took from its first record to its last commit.
    fn python(&self, round: usize) -> Result<Duration> {
        let prefix = format!("peer-{round}");
        self.publish(&prefix)?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let packages: Vec<PathBuf> = vec![root.join(".treble/peer"), root.join("stages/upscale/model")];
        let output = Command::new("python3")
            .arg(root.join("benches/python_peer/peer.py"))
            .args(["--bootstrap", self.stack.bootstrap_servers(), "--prefix", &prefix])
            .args(["--clips", &self.clips.len().to_string()])
            .arg("--model")
            .arg(root.join("stages/upscale/model/treble.onnx"))
            .env("PYTHONPATH", std::env::join_paths(packages)?)
            .env("OMP_NUM_THREADS", "1")
            .output()
            .context("python3")?;
        ensure!(output.status.success(), "the peer: {}", String::from_utf8_lossy(&output.stderr));
        let seconds: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
        Ok(Duration::from_secs_f64(seconds))
    }
}
