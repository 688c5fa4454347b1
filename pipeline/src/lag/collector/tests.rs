//! The collector over a cluster that says what a case wants it to say.

use super::*;
use crate::lag::status::{GroupStatus, Status};

/// A cluster of one topic with one partition, read by one group.
#[derive(Debug, Clone)]
struct Told {
    start: i64,
    stable: i64,
    committed: Option<i64>,
    found: Option<Found>,
    retention: Option<Duration>,
    reads: usize,
    refuses: bool,
}

impl Default for Told {
    fn default() -> Self {
        let found = Some(Found::Record { timestamp_ms: 100_000 });
        Self { start: 0, stable: 100, committed: Some(40), found, retention: None, reads: 0, refuses: false }
    }
}

fn place() -> Place {
    Place { topic: "t".into(), partition: 0 }
}

impl Cluster for Told {
    fn groups(&mut self) -> Result<Vec<Group>, KafkaFault> {
        let group =
            |name: &str| Group { name: name.to_owned(), state: "Stable".to_owned(), ..Group::default() };
        Ok(vec![group("g"), group("a-group-without-positions")])
    }

    fn bounds(&mut self) -> Result<BTreeMap<Place, Bounds>, KafkaFault> {
        let bounds = Bounds { start: self.start, stable: self.stable, high: self.stable };
        Ok(BTreeMap::from([(place(), bounds)]))
    }

    fn committed(&mut self, group: &str, _: &[Place]) -> Result<BTreeMap<Place, i64>, KafkaFault> {
        if self.refuses {
            return Err(KafkaFault::NoTopic { topic: "t".to_owned() });
        }
        let own = self.committed.filter(|_| group == "g");
        Ok(own.into_iter().map(|offset| (place(), offset)).collect())
    }

    fn read(
        &mut self,
        positions: &[(Place, i64)],
        _: Duration,
    ) -> Result<BTreeMap<(Place, i64), Found>, KafkaFault> {
        self.reads += positions.len();
        Ok(positions.iter().filter_map(|position| Some((position.clone(), self.found?))).collect())
    }

    fn retention(&mut self, topics: &[&str]) -> Result<BTreeMap<String, Option<Duration>>, KafkaFault> {
        Ok(topics.iter().map(|topic| ((*topic).to_owned(), self.retention)).collect())
    }
}

fn collector(told: Told) -> Collector<Told> {
    Collector::new(told, Limits::default(), Vec::new())
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn one(report: &Report) -> &PositionLag {
    &report.groups.iter().find(|group| group.group == "g").unwrap().positions[0]
}

#[test]
fn the_record_at_the_position_says_how_late_the_group_is() {
    let mut collector = collector(Told { retention: Some(at(60)), ..Told::default() });
    let report = collector.collect(at(130)).unwrap();
    let lag = one(&report);
    assert_eq!((lag.lag, lag.lag_seconds, lag.method), (60, Some(30.0), Method::Exact));
    assert_eq!(lag.retention_margin_seconds, Some(30.0));
    assert_eq!(report.retention_seconds, BTreeMap::from([("t".to_owned(), 60.0)]));
    // While the position stands, its record is not read again, and grows old.
    collector.cluster.stable = 200;
    let report = collector.collect(at(140)).unwrap();
    assert_eq!((one(&report).lag_seconds, collector.cluster.reads), (Some(40.0), 1));
}

#[test]
fn an_idle_producer_does_not_make_exact_seconds_drift() {
    let mut collector = collector(Told { committed: Some(100), ..Told::default() });
    for time in 0..20 {
        let report = collector.collect(at(200 + 10 * time)).unwrap();
        assert_eq!((one(&report).lag_seconds, one(&report).status), (Some(0.0), Status::Ok));
    }
    assert_eq!(collector.cluster.reads, 0, "where nothing is left there is nothing to read");
}

#[test]
fn a_trailing_marker_is_no_lag_until_a_record_follows() {
    let mut collector =
        collector(Told { committed: Some(99), found: Some(Found::Nothing), ..Told::default() });
    for time in 0..15 {
        let report = collector.collect(at(200 + 10 * time)).unwrap();
        let lag = one(&report);
        assert_eq!((lag.lag, lag.lag_seconds, lag.method), (1, Some(0.0), Method::EmptyTail));
        assert_eq!((lag.status, lag.retention_margin_seconds), (Status::Ok, None));
    }
    assert_eq!(collector.cluster.reads, 1, "an empty tail is read once");
    collector.cluster.stable = 101;
    collector.cluster.found = Some(Found::Record { timestamp_ms: 345_000 });
    let report = collector.collect(at(350)).unwrap();
    assert_eq!((one(&report).lag_seconds, one(&report).method), (Some(5.0), Method::Exact));
}

#[test]
fn what_retention_deleted_is_lost_once_and_has_no_age() {
    let mut collector = collector(Told { start: 70, ..Told::default() });
    let report = collector.collect(at(130)).unwrap();
    let lag = one(&report);
    assert_eq!((lag.records_lost, lag.lag_seconds, lag.method), (30, None, Method::None));
    collector.cluster.start = 75;
    assert_eq!(one(&collector.collect(at(140)).unwrap()).records_lost, 35);
    collector.cluster.committed = Some(80);
    let report = collector.collect(at(150)).unwrap();
    assert_eq!((one(&report).records_lost, one(&report).method), (35, Method::Exact));
}

#[test]
fn without_a_record_the_log_s_history_is_asked_then_its_rate_then_nobody() {
    let mut collector = collector(Told { found: None, ..Told::default() });
    let report = collector.collect(at(100)).unwrap();
    assert_eq!((one(&report).lag_seconds, one(&report).method), (None, Method::None));
    collector.cluster.stable = 200;
    collector.cluster.committed = Some(90);
    let report = collector.collect(at(110)).unwrap();
    assert_eq!((one(&report).lag_seconds, one(&report).method), (Some(11.0), Method::Rate));
    collector.cluster.committed = Some(150);
    let report = collector.collect(at(120)).unwrap();
    assert_eq!((one(&report).lag_seconds, one(&report).method), (Some(15.0), Method::Interpolated));
}

#[test]
fn a_clock_that_is_ahead_is_counted_and_never_shown() {
    let mut collector = collector(Told::default());
    let report = collector.collect(at(90)).unwrap();
    assert_eq!(one(&report).lag_seconds, Some(0.0));
    assert_eq!(report.negative_ages, BTreeMap::from([("t".to_owned(), 1)]));
}

#[test]
fn what_is_written_during_a_look_is_not_from_the_future() {
    let mut collector = collector(Told::default());
    let report = collector.collect(at(97)).unwrap();
    assert_eq!((one(&report).lag_seconds, report.negative_ages.len()), (Some(0.0), 0));
}

#[test]
fn a_group_without_positions_has_no_lag_and_one_that_cannot_be_asked_is_told_of() {
    let mut collector = collector(Told::default());
    let report = collector.collect(at(130)).unwrap();
    let idle = &report.groups[0];
    assert_eq!((idle.status, idle.positions.len(), idle.lag_seconds()), (GroupStatus::NotFound, 0, None));
    collector.cluster.refuses = true;
    let report = collector.collect(at(140)).unwrap();
    assert_eq!(report.failures.iter().filter(|(asked, _)| *asked == Question::Positions).count(), 2);
}

#[test]
fn a_group_that_catches_up_has_a_time_of_arrival() {
    let mut collector = collector(Told::default());
    collector.collect(at(130)).unwrap();
    collector.cluster.committed = Some(60);
    let report = collector.collect(at(140)).unwrap();
    assert_eq!(one(&report).eta_seconds, Some(20.0), "40 to go at 2 a second");
    collector.cluster.stable = 1_000;
    assert_eq!(one(&collector.collect(at(150)).unwrap()).eta_seconds, None);
}

#[test]
fn a_stopped_group_is_told_of_once_half_a_window_was_seen() {
    let mut collector = collector(Told::default());
    let status = |report: &Report| report.groups[1].status;
    for time in 0..7 {
        assert_eq!(status(&collector.collect(at(200 + 10 * time)).unwrap()), GroupStatus::Ok);
    }
    let report = collector.collect(at(270)).unwrap();
    assert_eq!((status(&report), one(&report).status), (GroupStatus::Err, Status::Stop));
}
