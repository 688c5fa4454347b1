//! `treble upscale`.

use super::destination::Destination;
use super::input::Input;
use super::progress::{Progress, Step};
use super::{Context, Exit, Failure};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::offline::{self, Report};
use crate::ports::Clock;
use clap::Args;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use treble_core::{Codec, Fact};

/// Upscales a file without Kafka: the same stages, byte for byte
#[derive(Debug, Args)]
#[command(after_help = "Example: treble upscale song.mp3 -o song.flac")]
pub(super) struct Upscale {
    /// The audio file; - reads standard input
    input: PathBuf,
    /// The file to write, whose extension (flac, opus, wav) chooses the codec; - writes standard output
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    to: PathBuf,
    /// baseline: rate conversion only; ai: with the model
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
    /// flac, opus or wav, whatever the extension says
    #[arg(long, value_name = "CODEC")]
    codec: Option<String>,
}

impl Upscale {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = self.config(context)?;
        let input = Input::of(&self.input);
        let (mut reader, length) = input.open()?;
        let mut partial = Destination::open(&self.to, &self.input)?;
        let clock = SystemClock::new();
        let mut progress = Progress::new(context.options.progress, &input.name());
        let mut last = Step::default();
        let mut show = |at: offline::Progress| {
            last = step(at, length, clock.now());
            progress.update(&last);
        };
        let report = offline::upscale(&config, input.media_type(), &mut reader, partial.writer(), &mut show)?;
        progress.finish(&last);
        partial.keep(&self.to)?;
        self.tell(context, &report, clock.now())
    }

    fn config(&self, context: &Context) -> Result<Config, Failure> {
        let mut request = context.options.request();
        let by_name = codec_of(&self.to).map(|codec| codec.name().to_owned());
        let flags = [
            ("encode.codec", by_name, "-o"),
            ("encode.codec", self.codec.clone(), "--codec"),
            ("upscale.mode", self.mode.clone(), "--mode"),
        ];
        for (key, value, flag) in flags {
            if let Some(value) = value {
                request.set(key, value, flag);
            }
        }
        Ok(context.load(&request)?.config)
    }

    fn tell(&self, context: &Context, report: &Report, elapsed: Duration) -> Result<Exit, Failure> {
        let summary = summary(report, elapsed);
        if self.to == Path::new("-") {
            // Standard output carries the audio, so the summary is talk.
            context.output.say(&text(&summary, &self.to));
        } else {
            context.output.document("upscaled", &summary, || text(&summary, &self.to))?;
        }
        Ok(Exit::Success)
    }
}

/// The codec that the extension of `path` stands for.
fn codec_of(path: &Path) -> Option<Codec> {
    let extension = path.extension()?.to_string_lossy().to_lowercase();
    match extension.as_str() {
        "flac" => Some(Codec::Flac),
        "opus" | "ogg" | "oga" => Some(Codec::Opus),
        "wav" | "wave" => Some(Codec::Wav),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole, for people")]
fn step(at: offline::Progress, length: Option<u64>, elapsed: Duration) -> Step {
    let part = length.filter(|length| *length > 0).map(|length| at.input_bytes as f64 / length as f64);
    Step { part, audio_seconds: seconds(at), bytes: at.output_bytes, elapsed }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 frames are 6,000 years at 48 kHz")]
fn seconds(at: offline::Progress) -> f64 {
    if at.rate_hz == 0 { 0.0 } else { at.frames as f64 / f64::from(at.rate_hz) }
}

fn summary(report: &Report, elapsed: Duration) -> Value {
    let at = report.progress;
    let mut summary = json!({
        "audio_seconds": seconds(at),
        "frames": at.frames,
        "rate_hz": at.rate_hz,
        "input_bytes": at.input_bytes,
        "output_bytes": at.output_bytes,
        "elapsed_seconds": elapsed.as_secs_f64(),
        "speed": seconds(at) / elapsed.as_secs_f64().max(1e-9),
        "full_band": report.facts.iter().any(|(_, fact)| *fact == Fact::AlreadyFullBand),
        "skipped_packets": count(report, |fact| matches!(fact, Fact::PacketSkipped { .. })),
    });
    for (_, fact) in &report.facts {
        match fact {
            Fact::SourceIdentified { codec, spec } => {
                summary["source"] = json!({
                    "codec": codec, "rate_hz": spec.rate.hz(), "channels": u32::from(spec.channels),
                });
            }
            Fact::BandwidthDetected { hz } => summary["source_bandwidth_hz"] = json!(hz),
            _ => {}
        }
    }
    summary
}

fn count(report: &Report, wanted: impl Fn(&Fact) -> bool) -> usize {
    report.facts.iter().filter(|(_, fact)| wanted(fact)).count()
}

fn text(summary: &Value, to: &Path) -> String {
    let number = |key: &str| summary[key].as_f64().unwrap_or_default();
    let skipped = match summary["skipped_packets"].as_u64() {
        None | Some(0) => String::new(),
        Some(count) => format!(", {count} damaged packets skipped"),
    };
    format!(
        "{}: {:.1} s of audio at {} Hz, {} bytes, {:.1}× real time{skipped}",
        to.display(),
        number("audio_seconds"),
        number("rate_hz"),
        number("output_bytes"),
        number("speed"),
    )
}
