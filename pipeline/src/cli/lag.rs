//! `treble lag`.

use super::served::Served;
use super::{Context, Exit, Failure, registry};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::flow::readiness::Readiness;
use crate::kafka::dead_letters::DeadLetterReader;
use crate::kafka::fault::KafkaFault;
use crate::kafka::lag::KafkaCluster;
use crate::lag::collector::{Collector, Limits};
use crate::lag::report::{GroupLag, PositionLag, Question, Report};
use crate::lag::status::Status;
use crate::lag::window::SAMPLES;
use crate::ports::Clock;
use crate::runtime::RunError;
use crate::telemetry::lag::LagExporter;
use crate::telemetry::log::{self, Component};
use clap::Args;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Shows how far consumer groups are behind, in records and in seconds
#[derive(Debug, Args)]
#[command(after_help = "\
Lag in seconds is the age of the record at the committed position; `-` where nobody knows it. States, from how positions moved \
over the last 15 looks, and `-` before half of them were taken:
  OK      on its way, or done          STOP    nothing is committed any more
  WARN    the lag never falls          STALL   the same position is committed again and again
                                       REWIND  the position went back")]
pub(super) struct Lag {
    /// Groups to show, of Treble or not; all where none is named
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,
    /// Shows each partition
    #[arg(long)]
    partitions: bool,
    /// Looks again and again, until it is interrupted
    #[arg(long, conflicts_with = "listen")]
    follow: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Serves /metrics, /livez and /readyz on this address and prints nothing: the collector for Prometheus
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Lag {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        match self.listen {
            Some(address) => self.serve(&config, address),
            None => self.show(context, &config),
        }
    }

    fn collector(
        &self,
        config: &Config,
        clock: &Arc<dyn Clock>,
    ) -> Result<Collector<KafkaCluster>, KafkaFault> {
        let cluster = KafkaCluster::connect(&config.kafka, Arc::clone(clock))?;
        Ok(Collector::new(cluster, Limits::default(), self.groups.clone()))
    }

    fn show(&self, context: &Context, config: &Config) -> Result<Exit, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut collector = self.collector(config, &clock)?;
        let mut looks = 0;
        loop {
            let report = collector.collect(unix(&*clock))?;
            looks += 1;
            let told = self.missing(&report);
            if !told.is_empty() && !self.follow {
                return Err(Failure::new(Exit::NoInput, format!("no such group: {}", told.join(", ")))
                    .mend("`treble lag` lists all of them"));
            }
            let document = document(&report, unix(&*clock));
            context.output.document("lag", &document, || self.table(&report, looks))?;
            if !self.follow {
                return Ok(Exit::Success);
            }
            std::thread::park_timeout(Duration::from_secs(self.interval));
        }
    }

    /// The groups that were asked for and are not there.
    fn missing(&self, report: &Report) -> Vec<&str> {
        let there = |name: &str| report.groups.iter().any(|group| group.group == name);
        self.groups.iter().map(String::as_str).filter(|name| !there(name)).collect()
    }

    fn table(&self, report: &Report, looks: usize) -> String {
        let mut lines = vec![row(["GROUP", "LAG", "SECONDS", "STATUS", "ETA", "MARGIN", "LOST"])];
        for group in &report.groups {
            lines.push(group_row(group, looks));
            let positions = group.positions.iter().filter(|_| self.partitions);
            lines.extend(positions.map(|position| position_row(position, looks)));
        }
        let failures = report.failures.iter();
        lines.extend(failures.map(|(question, what)| format!("not answered: {question:?}: {what}")));
        lines.join("\n")
    }

    fn serve(&self, config: &Config, address: SocketAddr) -> Result<Exit, Failure> {
        let _log = log::start(config, Component::Lag)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let exporter = LagExporter::new(Arc::clone(&clock));
        let exporter = Arc::new(exporter.map_err(|error| RunError::Metrics(error.to_string()))?);
        let (render, ready) = (Arc::clone(&exporter), Arc::clone(&exporter));
        let probe = Arc::new(move || {
            let state = if ready.is_fresh() { Readiness::Ready } else { Readiness::Unreachable };
            vec![("lag".to_owned(), state)]
        });
        let served = Served::start(address, config, Arc::new(move || render.render()), probe)?;
        let mut collector = self.collector(config, &clock)?;
        let dlq = registry::topics(config).dlq();
        let mut letters = DeadLetterReader::new(&config.kafka, dlq, Arc::clone(&clock));
        loop {
            let began = clock.now();
            let mut outcome = collector.collect(unix(&*clock));
            if let Ok(report) = &mut outcome {
                count_letters(&mut letters, report);
            }
            exporter.publish(outcome, clock.now().saturating_sub(began));
            let spent = clock.now().saturating_sub(began);
            if served.is_asked_to_end_within(Duration::from_secs(self.interval).saturating_sub(spent)) {
                return Ok(Exit::Success);
            }
        }
    }
}

/// What programs are told.
fn document(report: &Report, at: Duration) -> Value {
    json!({ "at_unix_seconds": at.as_secs_f64(), "report": report })
}

/// One look at all groups, as `treble lag --output json` tells it.
pub(super) fn look(config: &Config) -> Result<Value, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let cluster = KafkaCluster::connect(&config.kafka, Arc::clone(&clock))?;
    let report = Collector::new(cluster, Limits::default(), Vec::new()).collect(unix(&*clock))?;
    Ok(document(&report, unix(&*clock)))
}

/// Adds the dead letters that wait; nothing where the cluster has no such topic.
fn count_letters(letters: &mut DeadLetterReader, report: &mut Report) {
    match letters.look(Limits::default().read_deadline) {
        Ok(waiting) => report.dead_letters = waiting,
        Err(fault) => report.failures.push((Question::Fetch, fault.to_string())),
    }
}

/// A row of the table.
fn row(cells: [&str; 7]) -> String {
    let [name, lag, seconds, state, eta, margin, lost] = cells;
    format!("{name:<42} {lag:>10} {seconds:>9} {state:>8} {eta:>8} {margin:>10} {lost:>6}")
}

/// The state of what has something to do shows from how it moves: not before half a window was seen.
fn shown(state: &'static str, seconds: Option<f64>, looks: usize) -> &'static str {
    if looks * 2 >= SAMPLES || seconds == Some(0.0) { state } else { "-" }
}

fn group_row(group: &GroupLag, looks: usize) -> String {
    let lost: u64 = group.positions.iter().map(|position| position.records_lost).sum();
    let worst = group.positions.iter().map(|position| position.status).max();
    let state = worst.map_or("NOTFOUND", |status| shown(word(status), group.lag_seconds(), looks));
    row([
        &group.group,
        &group.lag().to_string(),
        &seconds(group.lag_seconds()),
        state,
        &seconds(group.eta_seconds()),
        &seconds(group.retention_margin_seconds()),
        &lost.to_string(),
    ])
}

fn position_row(position: &PositionLag, looks: usize) -> String {
    row([
        &format!("  {} [{}]", position.topic, position.partition),
        &position.lag.to_string(),
        &seconds(position.lag_seconds),
        shown(word(position.status), position.lag_seconds, looks),
        &seconds(position.eta_seconds),
        &seconds(position.retention_margin_seconds),
        &position.records_lost.to_string(),
    ])
}

const fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "OK",
        Status::Warn => "WARN",
        Status::Stop => "STOP",
        Status::Stall => "STALL",
        Status::Rewind => "REWIND",
    }
}

/// 0.4 s, 12 s, 5 m, 3.2 h, 7.0 d.
fn seconds(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 0.0 => "past".to_owned(),
        Some(0.0) => "0 s".to_owned(),
        Some(value) if value < 10.0 => format!("{value:.1} s"),
        Some(value) if value < 120.0 => format!("{value:.0} s"),
        Some(value) if value < 7_200.0 => format!("{:.0} m", value / 60.0),
        Some(value) if value < 172_800.0 => format!("{:.1} h", value / 3_600.0),
        Some(value) => format!("{:.1} d", value / 86_400.0),
    }
}

fn unix(clock: &dyn Clock) -> Duration {
    Duration::from_micros(clock.unix_us().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_not_told_before_it_is_known() {
        assert_eq!(shown("STOP", Some(3.0), 1), "-");
        assert_eq!(shown("OK", Some(0.0), 1), "OK", "who has nothing to do is done");
        assert_eq!(shown("STOP", Some(3.0), 8), "STOP");
        assert_eq!(shown("OK", None, 1), "-");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        let check = |value, expect: &str| assert_eq!(seconds(value), expect);
        check(None, "-");
        check(Some(0.0), "0 s");
        check(Some(0.44), "0.4 s");
        check(Some(61.0), "61 s");
        check(Some(600.0), "10 m");
        check(Some(9_000.0), "2.5 h");
        check(Some(604_800.0), "7.0 d");
        check(Some(-3.0), "past");
    }
}
