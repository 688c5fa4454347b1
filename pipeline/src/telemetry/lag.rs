//! What the lag collector found, as metrics.
//!
//! Series of groups and partitions that are gone must go, too: each collection fills a fresh set, and a scrape reads the
//! text of the last one. A cluster that stands still delays no scrape; what was known of it ages out.

use super::family::Each;
use super::labels::{Api, Closed, ConsumerGroup, GroupState, Method as MethodLabel, Partition, Stage, Topic};
use super::log::event::Event;
use super::metrics::{LagMetrics, LagSelfMetrics};
use super::process;
use crate::kafka::fault::KafkaFault;
use crate::lag::report::{GroupLag, Method, PositionLag, Question, Report};
use crate::ports::Clock;
use prometheus::{Gauge, Histogram, IntCounter};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a collection is shown when none follows.
const SHELF_LIFE: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug)]
pub struct LagExporter {
    own: LagSelfMetrics,
    errors: Each<Api, IntCounter>,
    duration: Histogram,
    last_success: Gauge,
    clock: Arc<dyn Clock>,
    /// Shared by the collector, which fills it, and the thread that answers scrapes.
    latest: Mutex<Latest>,
}

#[derive(Debug, Default)]
struct Latest {
    text: String,
    at: Option<Duration>,
    /// The states of the groups.
    states: BTreeMap<String, String>,
    /// Records lost, by group and topic, since the exporter began.
    lost: BTreeMap<(String, String), BTreeMap<i32, u64>>,
}

impl LagExporter {
    /// Nothing is known yet.
    ///
    /// # Errors
    /// Where a metric cannot be registered: a defect.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, prometheus::Error> {
        let own = LagSelfMetrics::new()?;
        Ok(Self {
            errors: Each::new(|api| own.errors.of((api,))),
            duration: own.duration.only(),
            last_success: own.last_success.only(),
            own,
            clock,
            latest: Mutex::default(),
        })
    }

    fn latest(&self) -> MutexGuard<'_, Latest> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what a collection found, or notes that it failed.
    pub fn publish(&self, outcome: Result<Report, KafkaFault>, took: Duration) {
        self.duration.observe(took.as_secs_f64());
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                self.errors.of(Api::Metadata).inc();
                tracing::warn!(%error, "nothing could be collected; what is known ages out after a minute");
                return;
            }
        };
        for (question, what) in &report.failures {
            self.errors.of(api(*question)).inc();
            tracing::warn!(?question, what, "not answered");
        }
        // At 0 from the start, so that a rate sees the first.
        for log in &report.logs {
            self.own.negative_age.of((Topic::from(log.topic.as_str()),));
        }
        for (topic, count) in &report.negative_ages {
            self.own.negative_age.of((Topic::from(topic.as_str()),)).inc_by(*count);
        }
        let mut latest = self.latest();
        remember_lost(&mut latest.lost, &report);
        tell_states(&mut latest.states, &report);
        match written(&report, &latest.lost) {
            Ok(text) => {
                latest.text = text;
                latest.at = Some(self.clock.now());
                self.last_success.set(self.clock.unix_us() as f64 / 1e6);
            }
            Err(error) => tracing::error!(%error, "what was collected cannot be written"),
        }
    }

    /// Whether the latest collection is recent.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        let now = self.clock.now();
        self.latest().at.is_some_and(|at| now.saturating_sub(at) < SHELF_LIFE)
    }

    /// The answer to a scrape.
    ///
    /// # Errors
    /// Where the format cannot hold what was counted: a defect.
    pub fn render(&self) -> Result<String, String> {
        let own = self.own.encode().and_then(|own| Ok(own + &process::exposition()?));
        let mut text = own.map_err(|error| error.to_string())?;
        if self.is_fresh() {
            text.push_str(&self.latest().text);
        }
        Ok(text)
    }
}

/// Tells which groups are in another state than before; of what was never seen there is no before.
fn tell_states(states: &mut BTreeMap<String, String>, report: &Report) {
    for GroupLag { group, state, members, .. } in &report.groups {
        let before = states.insert(group.clone(), state.clone());
        if let Some(before) = before.filter(|before| before != state) {
            let event = Event::GroupStateChanged.text();
            tracing::info!(event, group, before, state, members, "a group is in another state");
        }
    }
}

/// A counter must outlive the position that it counts: a group that is gone for one collection has lost no less.
fn remember_lost(lost: &mut BTreeMap<(String, String), BTreeMap<i32, u64>>, report: &Report) {
    for group in &report.groups {
        for position in &group.positions {
            let of = lost.entry((group.group.clone(), position.topic.clone())).or_default();
            let seen = of.entry(position.partition).or_default();
            *seen = (*seen).max(position.records_lost);
        }
    }
}

fn written(
    report: &Report,
    lost: &BTreeMap<(String, String), BTreeMap<i32, u64>>,
) -> Result<String, prometheus::Error> {
    let metrics = LagMetrics::new()?;
    for group in &report.groups {
        fill_group(&metrics, group);
    }
    let mut partitions: BTreeMap<&str, i64> = BTreeMap::new();
    for log in &report.logs {
        let labels = || (Topic::from(log.topic.as_str()), Partition(log.partition));
        metrics.topic_current.of(labels()).set(log.high);
        metrics.topic_oldest.of(labels()).set(log.start);
        metrics.topic_stable.of(labels()).set(log.stable);
        *partitions.entry(&log.topic).or_default() += 1;
    }
    for (topic, count) in partitions {
        metrics.topic_partitions.of((Topic::from(topic),)).set(count);
    }
    for (topic, seconds) in &report.retention_seconds {
        metrics.topic_retention.of((Topic::from(topic.as_str()),)).set(*seconds);
    }
    for (stage, waiting) in report.dead_letters.iter().flatten() {
        let stage = || (Stage::from(stage.as_str()),);
        metrics.dlq_depth.of(stage()).set(i64::try_from(waiting.count).unwrap_or(i64::MAX));
        if let Some(oldest_ms) = waiting.oldest_ms {
            metrics.dlq_oldest.of(stage()).set(oldest_ms as f64 / 1e3);
        }
    }
    for ((group, topic), of) in lost {
        let labels = (ConsumerGroup::from(group.as_str()), Topic::from(topic.as_str()));
        metrics.records_lost.of(labels).inc_by(of.values().sum());
    }
    metrics.encode()
}

fn fill_group(metrics: &LagMetrics, group: &GroupLag) {
    let name = || ConsumerGroup::from(group.group.as_str());
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.group_status.of((name(),)).set(group.status as i64);
    metrics.window_complete.of((name(),)).set(group.window_complete);
    metrics.members.of((name(),)).set(count(group.members));
    metrics.empty_members.of((name(),)).set(count(group.empty_members));
    metrics.assigned.of((name(),)).set(count(group.assigned_partitions));
    let state = GroupState::of(&group.state);
    for each in GroupState::ALL {
        metrics.state.of((name(), *each)).set(i64::from(*each == state));
    }
    for position in &group.positions {
        fill_position(metrics, &name, position);
    }
}

fn fill_position(metrics: &LagMetrics, name: &dyn Fn() -> ConsumerGroup, position: &PositionLag) {
    let topic = || Topic::from(position.topic.as_str());
    let labels = || (name(), topic(), Partition(position.partition));
    metrics.lag.of(labels()).set(position.lag);
    metrics.current.of(labels()).set(position.committed);
    metrics.partition_status.of(labels()).set(position.status as i64);
    // Absent where nobody knows: never 0, never a guess.
    if let Some(seconds) = position.lag_seconds {
        metrics.lag_seconds.of(labels()).set(seconds);
    }
    if let Some(seconds) = position.retention_margin_seconds {
        metrics.retention_margin.of(labels()).set(seconds);
    }
    let methods = Each::<MethodLabel, _>::new(|method| metrics.method.of((name(), topic(), method)));
    methods.of(method(position.method)).inc();
}

const fn method(method: Method) -> MethodLabel {
    match method {
        Method::Exact => MethodLabel::Exact,
        Method::EmptyTail => MethodLabel::EmptyTail,
        Method::Interpolated => MethodLabel::Interpolated,
        Method::Rate => MethodLabel::Rate,
        Method::None => MethodLabel::None,
    }
}

const fn api(question: Question) -> Api {
    match question {
        Question::Groups => Api::Groups,
        Question::Offsets => Api::Offsets,
        Question::Positions => Api::Positions,
        Question::Fetch => Api::Fetch,
        Question::Configs => Api::Configs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::report::LogBounds;
    use crate::lag::status::{GroupStatus, Status};
    use crate::memory::ManualClock;

    fn report() -> Report {
        let position = PositionLag {
            topic: "t".into(),
            partition: 3,
            committed: 40,
            end: 100,
            lag: 60,
            lag_seconds: Some(12.5),
            method: Method::Exact,
            status: Status::Stop,
            eta_seconds: None,
            retention_margin_seconds: Some(47.5),
            records_lost: 7,
        };
        let group = GroupLag {
            group: "anybody".into(),
            state: "Stable".into(),
            members: 2,
            empty_members: 1,
            assigned_partitions: 1,
            status: GroupStatus::Err,
            window_complete: 1.0,
            positions: vec![position],
        };
        let log = LogBounds { topic: "t".into(), partition: 3, start: 5, stable: 100, high: 104 };
        Report { groups: vec![group], logs: vec![log], ..Report::default() }
    }

    #[test]
    fn what_was_found_is_said_by_the_names_that_dashboards_know() {
        let exporter = LagExporter::new(Arc::new(ManualClock::default())).unwrap();
        exporter.publish(Ok(report()), Duration::from_millis(30));
        let text = exporter.render().unwrap();
        for line in [
            "kafka_consumergroup_lag{consumergroup=\"anybody\",partition=\"3\",topic=\"t\"} 60",
            "kafka_consumergroup_lag_seconds{consumergroup=\"anybody\",partition=\"3\",topic=\"t\"} 12.5",
            "kafka_consumergroup_current_offset{consumergroup=\"anybody\",partition=\"3\",topic=\"t\"} 40",
            "kafka_consumergroup_partition_status{consumergroup=\"anybody\",partition=\"3\",topic=\"t\"} 4",
            "kafka_consumergroup_status{consumergroup=\"anybody\"} 3",
            "kafka_consumergroup_state{consumergroup=\"anybody\",state=\"stable\"} 1",
            "kafka_consumergroup_state{consumergroup=\"anybody\",state=\"empty\"} 0",
            "kafka_consumergroup_records_lost_total{consumergroup=\"anybody\",topic=\"t\"} 7",
            "kafka_consumergroup_lag_seconds_method{consumergroup=\"anybody\",method=\"exact\",topic=\"t\"} 1",
            "kafka_topic_partition_current_offset{partition=\"3\",topic=\"t\"} 104",
            "kafka_topic_partition_last_stable_offset{partition=\"3\",topic=\"t\"} 100",
            "kafka_lag_exporter_collection_duration_seconds_count 1",
            "kafka_lag_exporter_errors_total{api=\"metadata\"} 0",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn what_is_gone_goes_what_was_lost_stays_and_what_is_old_ages_out() {
        let clock = ManualClock::default();
        let exporter = LagExporter::new(Arc::new(clock.clone())).unwrap();
        assert!(!exporter.is_fresh());
        exporter.publish(Ok(report()), Duration::ZERO);
        exporter.publish(Ok(Report::default()), Duration::ZERO);
        let text = exporter.render().unwrap();
        assert!(!text.contains("kafka_consumergroup_lag{"), "{text}");
        assert!(
            text.contains("kafka_consumergroup_records_lost_total{consumergroup=\"anybody\",topic=\"t\"} 7")
        );
        exporter.publish(Ok(report()), Duration::ZERO);
        clock.advance(Duration::from_secs(59));
        let failed = || Err(KafkaFault::NoTopic { topic: "t".into() });
        exporter.publish(failed(), Duration::ZERO);
        assert!(exporter.is_fresh() && exporter.render().unwrap().contains("kafka_consumergroup_lag{"));
        clock.advance(Duration::from_secs(1));
        let text = exporter.render().unwrap();
        assert!(!exporter.is_fresh() && !text.contains("kafka_consumergroup"), "{text}");
        assert!(text.contains("kafka_lag_exporter_errors_total{api=\"metadata\"} 1"), "{text}");
    }

    #[test]
    fn nobody_knows_is_absent() {
        let mut unknown = report();
        unknown.groups[0].positions[0].lag_seconds = None;
        let exporter = LagExporter::new(Arc::new(ManualClock::default())).unwrap();
        exporter.publish(Ok(unknown), Duration::ZERO);
        assert!(!exporter.render().unwrap().contains("kafka_consumergroup_lag_seconds{"));
    }
}
