//! What two looks at `/metrics` tell: rates between them, and levels as they are now.

use super::exposition::Exposition;
use crate::telemetry::metrics::{LagMetrics, Metrics, ProcessMetrics};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What all addresses answered at one moment.
#[derive(Debug)]
pub(super) struct Look {
    /// When.
    pub(super) at: Duration,
    /// Each address, with its answer where there was one.
    pub(super) answers: Vec<(String, Option<Exposition>)>,
}

/// One segment: a stage, or several that share a process and its transactions.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct StageRow {
    /// Its name.
    pub(super) stage: String,
    /// Records read a second.
    pub(super) records_in: f64,
    /// Chunks emitted a second.
    pub(super) chunks_out: f64,
    /// Streams in flight.
    pub(super) streams: f64,
    /// Items that wait.
    pub(super) waiting: f64,
    /// Seconds of audio for a second of work, between the looks; absent where no work was done.
    pub(super) speed: Option<f64>,
    /// Transactions committed a second.
    pub(super) commits: f64,
    /// Clips given up and records refused, between the looks.
    pub(super) errors: f64,
    /// The same since the processes began.
    pub(super) errors_in_all: f64,
}

/// One consumer group of the lag collector.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct GroupRow {
    /// Its name.
    pub(super) group: String,
    /// Records to go.
    pub(super) lag: f64,
    /// Age of the oldest record that is to be read; absent where nobody knows.
    pub(super) seconds: Option<f64>,
    /// What the collector says of it.
    pub(super) status: &'static str,
}

/// One address.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct ProcessRow {
    /// Where.
    pub(super) address: String,
    /// Whether it answered.
    pub(super) answers: bool,
    /// Processors that it keeps busy.
    pub(super) processors: f64,
    /// Memory that it holds.
    pub(super) memory_bytes: f64,
    /// Windows in a run of the model, on average between the looks; absent where none ran.
    pub(super) windows_in_a_run: Option<f64>,
}

/// See the module.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct View {
    /// Stages, in their alphabet.
    pub(super) stages: Vec<StageRow>,
    /// Groups, those furthest behind first.
    pub(super) groups: Vec<GroupRow>,
    /// Addresses, as they were named.
    pub(super) processes: Vec<ProcessRow>,
}

impl View {
    /// What `now` tells after `before`.
    pub(super) fn between(before: &Look, now: &Look) -> Self {
        let seconds = now.at.saturating_sub(before.at).as_secs_f64();
        let pairs: Vec<Pair<'_>> = now
            .answers
            .iter()
            .map(|(address, answer)| Pair {
                address,
                // A process that was not there before counts from now on.
                before: before
                    .answers
                    .iter()
                    .find(|(other, _)| other == address)
                    .and_then(|(_, answer)| answer.as_ref()),
                now: answer.as_ref(),
                seconds,
            })
            .collect();
        Self {
            stages: names(&pairs, Metrics::records_received(), "stage")
                .into_iter()
                .map(|stage| stage_row(&pairs, stage))
                .collect(),
            groups: group_rows(&pairs),
            processes: pairs.iter().map(process_row).collect(),
        }
    }
}

/// One address at both moments.
struct Pair<'a> {
    address: &'a str,
    before: Option<&'a Exposition>,
    now: Option<&'a Exposition>,
    seconds: f64,
}

impl Pair<'_> {
    fn level(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.now.map_or(0.0, |now| now.sum(name, labels))
    }

    /// By how much a counter grew. One that fell was begun anew: what it shows came since.
    fn growth(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let (Some(before), now) = (self.before, self.level(name, labels)) else { return 0.0 };
        let before = before.sum(name, labels);
        if now >= before { now - before } else { now }
    }

    fn rate(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        if self.seconds > 0.0 { self.growth(name, labels) / self.seconds } else { 0.0 }
    }
}

/// The values of `label` that series of `name` have anywhere.
fn names(pairs: &[Pair<'_>], name: &str, label: &str) -> BTreeSet<String> {
    let series = pairs.iter().filter_map(|pair| pair.now).flat_map(|now| now.of(name));
    series.filter_map(|series| series.labels.get(label).cloned()).collect()
}

fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

fn stage_row(pairs: &[Pair<'_>], stage: String) -> StageRow {
    let own = [("stage", stage.as_str())];
    let sum = |value: &dyn Fn(&Pair<'_>) -> f64| pairs.iter().map(value).sum::<f64>();
    // A segment of several stages is called after all of them; audio and work are counted by stage.
    let parts: Vec<&str> = stage.split('-').collect();
    let last = [("stage", *parts.last().unwrap_or(&""))];
    let audio = sum(&|pair| pair.growth(Metrics::audio_seconds(), &last));
    let busy: f64 =
        parts.iter().map(|part| sum(&|pair| pair.growth(Metrics::busy_seconds(), &[("stage", part)]))).sum();
    let committed = [("stage", stage.as_str()), ("outcome", "committed")];
    StageRow {
        records_in: sum(&|pair| pair.rate(Metrics::records_received(), &own)),
        chunks_out: sum(&|pair| pair.rate(Metrics::records_emitted(), &own)),
        streams: sum(&|pair| pair.level(Metrics::streams_active(), &own)),
        waiting: sum(&|pair| pair.level(Metrics::queue_depth(), &own)),
        speed: ratio(audio, busy),
        commits: sum(&|pair| pair.rate(Metrics::transactions(), &committed)),
        errors: sum(&|pair| pair.growth(Metrics::processing_errors(), &own)),
        errors_in_all: sum(&|pair| pair.level(Metrics::processing_errors(), &own)),
        stage,
    }
}

fn group_rows(pairs: &[Pair<'_>]) -> Vec<GroupRow> {
    let mut rows: BTreeMap<String, GroupRow> = BTreeMap::new();
    for now in pairs.iter().filter_map(|pair| pair.now) {
        for series in now.of(LagMetrics::group_status()) {
            let Some(group) = series.labels.get("consumergroup") else { continue };
            let own = [("consumergroup", group.as_str())];
            let of_group = now
                .of(LagMetrics::lag_seconds())
                .iter()
                .filter(|series| series.labels.get("consumergroup") == Some(group));
            rows.insert(
                group.clone(),
                GroupRow {
                    group: group.clone(),
                    lag: now.sum(LagMetrics::lag(), &own),
                    seconds: of_group.map(|series| series.value).reduce(f64::max),
                    status: word(series.value),
                },
            );
        }
    }
    let mut rows: Vec<GroupRow> = rows.into_values().collect();
    rows.sort_by(|one, other| other.seconds.unwrap_or(-1.0).total_cmp(&one.seconds.unwrap_or(-1.0)));
    rows
}

/// The collector's code of a group's state.
fn word(code: f64) -> &'static str {
    match code as i64 {
        1 => "OK",
        2 => "WARN",
        3 => "ERR",
        _ => "NOTFOUND",
    }
}

fn process_row(pair: &Pair<'_>) -> ProcessRow {
    let (count, sum) = (format!("{}_count", Metrics::batch_size()), format!("{}_sum", Metrics::batch_size()));
    ProcessRow {
        address: pair.address.to_owned(),
        answers: pair.now.is_some(),
        processors: pair.rate(ProcessMetrics::cpu(), &[]),
        memory_bytes: pair.level(ProcessMetrics::resident(), &[]),
        windows_in_a_run: ratio(pair.growth(&sum, &[]), pair.growth(&count, &[])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(seconds: u64, texts: &[Option<String>]) -> Look {
        let named = |(place, text): (usize, &Option<String>)| {
            (format!("10.0.0.{place}:9464"), text.as_ref().map(|text| Exposition::read(text)))
        };
        Look { at: Duration::from_secs(seconds), answers: texts.iter().enumerate().map(named).collect() }
    }

    fn stage(received: u32, busy: u32, errors: u32) -> String {
        let (records, audio, work) =
            (Metrics::records_received(), Metrics::audio_seconds(), Metrics::busy_seconds());
        let failed = Metrics::processing_errors();
        format!(
            "{records}{{stage=\"decode\"}} {received}\n{audio}{{stage=\"decode\",mode=\"none\"}} {}\n\
             {work}{{stage=\"decode\",mode=\"none\"}} {busy}\n{failed}{{stage=\"decode\",error_type=\"other\"}} {errors}\n",
            busy * 100
        )
    }

    #[test]
    fn rates_are_of_all_processes_between_two_looks() {
        let before = look(10, &[Some(stage(100, 1, 3)), Some(stage(0, 0, 0))]);
        let now = look(12, &[Some(stage(120, 2, 4)), Some(stage(10, 0, 0))]);
        let view = View::between(&before, &now);
        let row = &view.stages[0];
        assert_eq!((row.stage.as_str(), row.records_in, row.speed), ("decode", 15.0, Some(100.0)));
        assert_eq!((row.errors, row.errors_in_all), (1.0, 4.0));
    }

    #[test]
    fn a_process_that_began_anew_counts_from_nothing_and_one_that_is_gone_counts_no_more() {
        let before = look(10, &[Some(stage(100, 0, 0)), Some(stage(50, 0, 0))]);
        let view = View::between(&before, &look(12, &[Some(stage(6, 0, 0)), None]));
        assert_eq!((view.stages[0].records_in, view.stages[0].speed), (3.0, None));
        assert_eq!(view.processes.iter().map(|process| process.answers).collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn groups_that_are_furthest_behind_stand_first_and_what_nobody_knows_last() {
        let (status, lag, seconds) =
            (LagMetrics::group_status(), LagMetrics::lag(), LagMetrics::lag_seconds());
        let text = format!(
            "{status}{{consumergroup=\"a\"}} 1\n{status}{{consumergroup=\"b\"}} 3\n{status}{{consumergroup=\"c\"}} 1\n\
             {lag}{{consumergroup=\"b\",partition=\"0\"}} 4\n{lag}{{consumergroup=\"b\",partition=\"1\"}} 5\n\
             {seconds}{{consumergroup=\"a\",partition=\"0\"}} 0\n{seconds}{{consumergroup=\"b\",partition=\"0\"}} 2\n\
             {seconds}{{consumergroup=\"b\",partition=\"1\"}} 7.5\n"
        );
        let now = look(1, &[Some(text)]);
        let groups = View::between(&now, &now).groups;
        let told: Vec<_> =
            groups.iter().map(|row| (row.group.as_str(), row.lag, row.seconds, row.status)).collect();
        assert_eq!(told, [("b", 9.0, Some(7.5), "ERR"), ("a", 0.0, Some(0.0), "OK"), ("c", 0.0, None, "OK")]);
    }
}
