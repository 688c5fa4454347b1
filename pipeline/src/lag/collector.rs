//! Asks a cluster again and again, and remembers what makes the answers mean something.

use super::cluster::{Bounds, Cluster, Found, Group, Place};
use super::history::History;
use super::report::{GroupLag, LogBounds, Method, PositionLag, Question, Report};
use super::status;
use super::window::Window;
use crate::kafka::fault::KafkaFault;
use std::collections::BTreeMap;
use std::time::Duration;

/// What bounds a collection.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Time for reading records, in all.
    pub read_deadline: Duration,
    /// Lags up to this are none.
    pub allowed_lag: i64,
    /// How often it is asked how long topics keep records.
    pub configs_every: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_deadline: Duration::from_secs(5),
            allowed_lag: 0,
            configs_every: Duration::from_secs(300),
        }
    }
}

/// One group's position on one partition.
type Key = (String, Place);

/// What is remembered of a position.
#[derive(Debug, Default)]
struct Tracked {
    window: Window,
    /// What was found there, with the position and the end of the log then.
    dated: Option<(i64, i64, Found)>,
    lost: u64,
    /// Up to where losses are counted.
    lost_to: i64,
}

impl Tracked {
    /// What stands at `committed`, if that is known: an empty tail only as long as nothing is added to it.
    fn found(&self, committed: i64, stable: i64) -> Option<Found> {
        let (position, end, found) = self.dated?;
        let holds = position == committed && (found != Found::Nothing || end == stable);
        holds.then_some(found)
    }

    fn count_lost(&mut self, committed: i64, start: i64) {
        let from = committed.max(self.lost_to);
        if from < start {
            self.lost += (start - from).unsigned_abs();
        }
        self.lost_to = self.lost_to.max(start);
    }
}

/// See the module.
#[derive(Debug)]
pub struct Collector<C> {
    cluster: C,
    limits: Limits,
    names: Vec<String>,
    tracked: BTreeMap<Key, Tracked>,
    histories: BTreeMap<Place, History>,
    retention: BTreeMap<String, Option<Duration>>,
    retention_asked: Option<Duration>,
}

impl<C: Cluster> Collector<C> {
    /// A collector of the groups called `names`; of all where none is named.
    pub fn new(cluster: C, limits: Limits, names: Vec<String>) -> Self {
        Self {
            cluster,
            limits,
            names,
            tracked: BTreeMap::new(),
            histories: BTreeMap::new(),
            retention: BTreeMap::new(),
            retention_asked: None,
        }
    }

    /// One collection at `now`, Unix time. A group whose positions cannot be had is left out and told of; without groups
    /// or bounds there is no report.
    pub fn collect(&mut self, now: Duration) -> Result<Report, KafkaFault> {
        let mut report = Report::default();
        let bounds = self.cluster.bounds()?;
        let mut groups = self.cluster.groups()?;
        groups.retain(|group| self.names.is_empty() || self.names.contains(&group.name));
        groups.sort_by(|one, other| one.name.cmp(&other.name));
        self.remember_ends(&bounds, now);
        self.ask_retention(&bounds, now, &mut report);
        let positions = self.positions(&groups, &bounds, &mut report);
        self.date(&positions, &bounds, &mut report);
        self.tracked.retain(|key, _| positions.contains_key(key));
        for group in groups {
            let lag = self.group(&group, &positions, &bounds, now, &mut report);
            report.groups.push(lag);
        }
        report.logs = bounds.iter().map(|(place, bounds)| log_bounds(place, *bounds)).collect();
        report.retention_seconds = self
            .retention
            .iter()
            .filter_map(|(topic, kept)| Some((topic.clone(), kept.as_ref()?.as_secs_f64())))
            .collect();
        Ok(report)
    }

    fn remember_ends(&mut self, bounds: &BTreeMap<Place, Bounds>, now: Duration) {
        self.histories.retain(|place, _| bounds.contains_key(place));
        for (place, bounds) in bounds {
            self.histories.entry(place.clone()).or_default().add(bounds.stable, now);
        }
    }

    fn ask_retention(&mut self, bounds: &BTreeMap<Place, Bounds>, now: Duration, report: &mut Report) {
        let mut topics: Vec<&str> = bounds.keys().map(|place| &*place.topic).collect();
        topics.dedup();
        let known = topics.iter().all(|topic| self.retention.contains_key(*topic));
        let fresh =
            self.retention_asked.is_some_and(|asked| now.saturating_sub(asked) < self.limits.configs_every);
        if topics.is_empty() || (known && fresh) {
            return;
        }
        match self.cluster.retention(&topics) {
            Ok(retention) => self.retention = retention,
            Err(fault) => report.failures.push((Question::Configs, fault.to_string())),
        }
        self.retention_asked = Some(now);
    }

    /// The positions of all groups.
    fn positions(
        &mut self,
        groups: &[Group],
        bounds: &BTreeMap<Place, Bounds>,
        report: &mut Report,
    ) -> BTreeMap<Key, i64> {
        let places: Vec<Place> = bounds.keys().cloned().collect();
        let mut all = BTreeMap::new();
        for group in groups {
            match self.cluster.committed(&group.name, &places) {
                Ok(committed) => {
                    let keyed =
                        committed.into_iter().map(|(place, offset)| ((group.name.clone(), place), offset));
                    all.extend(keyed);
                }
                Err(fault) => report.failures.push((Question::Positions, format!("{}: {fault}", group.name))),
            }
        }
        all
    }

    /// Finds out what stands at each position of which that is not known yet.
    fn date(
        &mut self,
        positions: &BTreeMap<Key, i64>,
        bounds: &BTreeMap<Place, Bounds>,
        report: &mut Report,
    ) {
        let mut unknown: Vec<(Place, i64)> = Vec::new();
        for (key, committed) in positions {
            let tracked = self.tracked.entry(key.clone()).or_default();
            let Some(bounds) = bounds.get(&key.1) else { continue };
            let readable = (bounds.start..bounds.stable).contains(committed);
            if readable && tracked.found(*committed, bounds.stable).is_none() {
                unknown.push((key.1.clone(), *committed));
            }
        }
        unknown.sort();
        unknown.dedup();
        if unknown.is_empty() {
            return;
        }
        let found = match self.cluster.read(&unknown, self.limits.read_deadline) {
            Ok(found) => found,
            Err(fault) => return report.failures.push((Question::Fetch, fault.to_string())),
        };
        for (key, committed) in positions {
            let stands = found.get(&(key.1.clone(), *committed));
            if let (Some(stands), Some(bounds), Some(tracked)) =
                (stands, bounds.get(&key.1), self.tracked.get_mut(key))
            {
                tracked.dated = Some((*committed, bounds.stable, *stands));
            }
        }
    }

    fn group(
        &mut self,
        group: &Group,
        positions: &BTreeMap<Key, i64>,
        bounds: &BTreeMap<Place, Bounds>,
        now: Duration,
        report: &mut Report,
    ) -> GroupLag {
        let own = positions.iter().filter(|((name, _), _)| *name == group.name);
        let mut lags = Vec::new();
        let mut complete = 1.0_f64;
        for (key, committed) in own {
            let Some(bounds) = bounds.get(&key.1) else { continue };
            lags.push(self.position(key, *committed, *bounds, now, report));
            let window = self.tracked.get(key).map_or(0.0, |tracked| tracked.window.completeness());
            complete = complete.min(window);
        }
        GroupLag {
            group: group.name.clone(),
            state: group.state.clone(),
            members: group.members,
            empty_members: group.empty_members,
            assigned_partitions: group.assigned_partitions,
            status: status::of_group(lags.iter().map(|position| position.status)),
            window_complete: if lags.is_empty() { 0.0 } else { complete },
            positions: lags,
        }
    }

    fn position(
        &mut self,
        key: &Key,
        committed: i64,
        bounds: Bounds,
        now: Duration,
        report: &mut Report,
    ) -> PositionLag {
        let history = self.histories.get(&key.1);
        let tracked = self.tracked.entry(key.clone()).or_default();
        tracked.count_lost(committed, bounds.start);
        let lag = (bounds.stable - committed).max(0);
        let (method, age) = if lag == 0 {
            (Method::Exact, Some(0.0))
        } else if committed < bounds.start {
            // The record is gone: nobody knows how old it was.
            (Method::None, None)
        } else {
            age(tracked.found(committed, bounds.stable), (committed, lag), history, now)
        };
        // What is written while the cluster is asked is younger than the look: no clock is to blame for that.
        if age.is_some_and(|age| age < -self.limits.read_deadline.as_secs_f64()) {
            *report.negative_ages.entry(key.1.topic.to_string()).or_default() += 1;
        }
        let age = age.map(|age| age.max(0.0));
        let readable = if method == Method::EmptyTail { 0 } else { lag };
        tracked.window.add(now, committed, bounds.stable, readable, None);
        let drain = tracked.window.drain_rate().filter(|rate| *rate > 0.0);
        let kept = self.retention.get(&*key.1.topic).copied().flatten();
        PositionLag {
            topic: key.1.topic.to_string(),
            partition: key.1.partition,
            committed,
            end: bounds.stable,
            lag,
            lag_seconds: age,
            method,
            status: status::evaluate(&tracked.window, now, self.limits.allowed_lag),
            eta_seconds: drain.filter(|_| readable > 0).map(|rate| readable as f64 / rate),
            retention_margin_seconds: kept
                .zip(age.filter(|_| readable > 0))
                .map(|(kept, age)| kept.as_secs_f64() - age),
            records_lost: tracked.lost,
        }
    }
}

/// Seconds since the record at a position was written, and how that is known. Negative where it is from the future.
fn age(
    found: Option<Found>,
    (committed, lag): (i64, i64),
    history: Option<&History>,
    now: Duration,
) -> (Method, Option<f64>) {
    match found {
        Some(Found::Nothing) => return (Method::EmptyTail, Some(0.0)),
        Some(Found::Record { timestamp_ms }) if timestamp_ms >= 0 => {
            return (Method::Exact, Some(now.as_secs_f64() - timestamp_ms as f64 / 1e3));
        }
        Some(Found::Record { .. }) | None => {}
    }
    if let Some(written) = history.and_then(|history| history.time_of(committed)) {
        return (Method::Interpolated, Some(now.saturating_sub(written).as_secs_f64()));
    }
    match history.and_then(History::rate) {
        Some(rate) => (Method::Rate, Some(lag as f64 / rate)),
        None => (Method::None, None),
    }
}

fn log_bounds(place: &Place, bounds: Bounds) -> LogBounds {
    let Bounds { start, stable, high } = bounds;
    LogBounds { topic: place.topic.to_string(), partition: place.partition, start, stable, high }
}

#[cfg(test)]
mod tests;
