//! `treble canary`.

mod clip;
mod round;

use super::served::Served;
use super::{Context, Exit, Failure};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::flow::readiness::Readiness;
use crate::ports::Clock;
use crate::runtime::RunError;
use crate::telemetry::canary::CanaryTelemetry;
use crate::telemetry::log::event::Event;
use crate::telemetry::log::{self, Component};
use clap::Args;
use round::{Fate, Round};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Sends a short clip through all stages again and again, and judges what comes back
#[derive(Debug, Args)]
#[command(after_help = "\
The clip is a second of rising tone, published as any producer does and fetched as any consumer does, by clients that come anew each \
time. Back in time, whole, and the tone that was sent: ok. Not back, or given up: lost. Anything else: corrupt. Its streams are called \
canary-..., in the lake too.")]
pub(super) struct Canary {
    /// Seconds from one clip to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Seconds after which a clip that is not back is lost
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    within: u64,
    /// Ends after so many clips: with exit code 75 if one was lost, 65 if one was corrupt
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Serves /metrics, /livez and /readyz on this address and prints nothing
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Canary {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let telemetry = CanaryTelemetry::new().map_err(|error| RunError::Metrics(error.to_string()))?;
        let telemetry = Arc::new(telemetry);
        let served = match self.listen {
            Some(address) => {
                let log = log::start(&config, Component::Canary)?;
                Some((serve(address, &config, &telemetry)?, log))
            }
            None => None,
        };
        match self.fly(context, &config, &telemetry, served.as_ref().map(|(served, _)| served))? {
            Exit::Success => Ok(Exit::Success),
            exit => Err(Failure::new(exit, "not every clip came back well")
                .mend("`treble lag` says which stage stands still; `treble dlq list` what was given up")),
        }
    }

    /// The exit code of the worst round; success where the end was asked for before the last.
    fn fly(
        &self,
        context: &Context,
        config: &Config,
        telemetry: &CanaryTelemetry,
        served: Option<&Served>,
    ) -> Result<Exit, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (mut worst, mut flown) = (Exit::Success, 0);
        loop {
            let began = clock.now();
            telemetry.sent();
            let round = Round::fly(config, &clock, Duration::from_secs(self.within));
            note(telemetry, &round, clock.unix_us());
            worst = worse(worst, round.fate.exit());
            if served.is_none() {
                context.output.document("canary", &document(&round), || line(&round))?;
            }
            flown += 1;
            if self.count.is_some_and(|count| flown >= count) {
                return Ok(worst);
            }
            let left = Duration::from_secs(self.interval).saturating_sub(clock.now().saturating_sub(began));
            match served {
                Some(served) if served.is_asked_to_end_within(left) => return Ok(Exit::Success),
                Some(_) => {}
                None => std::thread::park_timeout(left),
            }
        }
    }
}

/// A corrupt clip is worse than a lost one.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit| [Exit::Success, Exit::Temporary, Exit::Data].iter().position(|known| *known == exit);
    if rank(other) > rank(one) { other } else { one }
}

fn serve(address: SocketAddr, config: &Config, telemetry: &Arc<CanaryTelemetry>) -> Result<Served, RunError> {
    let render = Arc::clone(telemetry);
    let probe = Arc::new(|| vec![("canary".to_owned(), Readiness::Ready)]);
    Served::start(address, config, Arc::new(move || render.render()), probe)
}

fn note(telemetry: &CanaryTelemetry, round: &Round, now_us: i64) {
    let stream = round.stream.as_str();
    round.passed.iter().for_each(|stage| telemetry.passed(stage, now_us));
    match &round.fate {
        Fate::Ok { latency, .. } => telemetry.ok(*latency),
        Fate::Lost(why) => {
            telemetry.lost();
            let (event, passed) = (Event::CanaryLost.text(), round.passed.join(","));
            tracing::warn!(event, stream, why, passed, "a canary is lost");
        }
        Fate::Corrupt(why) => {
            telemetry.corrupt();
            tracing::error!(event = Event::CanaryCorrupt.text(), stream, why, "a canary came back corrupt");
        }
    }
}

fn document(round: &Round) -> serde_json::Value {
    let (fate, why) = match &round.fate {
        Fate::Ok { .. } => ("ok", None),
        Fate::Lost(why) => ("lost", Some(why)),
        Fate::Corrupt(why) => ("corrupt", Some(why)),
    };
    let mut document =
        json!({ "stream_id": round.stream.as_str(), "fate": fate, "why": why, "passed": round.passed });
    if let Fate::Ok { latency, snr_db } = &round.fate {
        document["latency_seconds"] = json!(latency.as_secs_f64());
        document["snr_db"] = json!(snr_db);
    }
    document
}

fn line(round: &Round) -> String {
    let stream = round.stream.as_str();
    let passed = || if round.passed.is_empty() { "no stage".to_owned() } else { round.passed.join(", ") };
    match &round.fate {
        Fate::Ok { latency, snr_db } => {
            format!("{stream}  ok       {:.2} s, {snr_db:.0} dB", latency.as_secs_f64())
        }
        Fate::Lost(why) => format!("{stream}  lost     {why}; it passed {}", passed()),
        Fate::Corrupt(why) => format!("{stream}  corrupt  {why}"),
    }
}
