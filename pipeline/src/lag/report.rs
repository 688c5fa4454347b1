//! What a collection found, for tables, JSON and metrics.

use super::dead_letters::Waiting;
use super::status::{GroupStatus, Status};
use serde::Serialize;
use std::collections::BTreeMap;

/// How lag in seconds was found, the best way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The record at the position says when it was written, or there is none to come.
    Exact,
    /// Only markers and aborted records are left: 0.
    EmptyTail,
    /// From when the log ended where.
    Interpolated,
    /// Records to go divided by records written a second.
    Rate,
    /// Nothing is known; never 0, never a guess.
    None,
}

/// One position of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PositionLag {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The committed position.
    pub committed: i64,
    /// The last stable offset.
    pub end: i64,
    /// Records to go; markers, aborted records and holes count too, so this is the most it can be.
    pub lag: i64,
    /// Age of the record at the position; 0 where nothing readable is left.
    pub lag_seconds: Option<f64>,
    /// How that was found.
    pub method: Method,
    /// What the window means.
    pub status: Status,
    /// Seconds until it has caught up, while it is catching up.
    pub eta_seconds: Option<f64>,
    /// Seconds until the record at the position is deleted, where the topic deletes.
    pub retention_margin_seconds: Option<f64>,
    /// Records deleted before the group read them, since the collector began.
    pub records_lost: u64,
}

/// One group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupLag {
    /// Its name.
    pub group: String,
    /// Its state, as Kafka calls it.
    pub state: String,
    /// Its members.
    pub members: usize,
    /// Those that have no partition.
    pub empty_members: usize,
    /// Partitions that members have.
    pub assigned_partitions: usize,
    /// The state of its worst position.
    pub status: GroupStatus,
    /// How full the emptiest window is, 0 to 1; under 0.5 the status says OK whatever was seen.
    pub window_complete: f64,
    /// Its positions.
    pub positions: Vec<PositionLag>,
}

impl GroupLag {
    /// Records to go, in all.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.positions.iter().map(|position| position.lag).sum()
    }

    /// The age of the oldest record to go; `None` where nothing is known.
    #[must_use]
    pub fn lag_seconds(&self) -> Option<f64> {
        self.positions.iter().filter_map(|position| position.lag_seconds).reduce(f64::max)
    }

    /// Seconds until the last position has caught up; `None` where one of them does not catch up.
    #[must_use]
    pub fn eta_seconds(&self) -> Option<f64> {
        let late = self.positions.iter().filter(|position| position.lag_seconds != Some(0.0));
        late.map(|position| position.eta_seconds).reduce(|one, other| Some(one?.max(other?))).flatten()
    }

    /// The least time until a record is deleted that the group has not read.
    #[must_use]
    pub fn retention_margin_seconds(&self) -> Option<f64> {
        self.positions.iter().filter_map(|position| position.retention_margin_seconds).reduce(f64::min)
    }
}

/// One partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogBounds {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The first offset.
    pub start: i64,
    /// The last stable offset.
    pub stable: i64,
    /// The high watermark.
    pub high: i64,
}

/// What a collection asks a cluster for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// The groups.
    Groups,
    /// The bounds of logs.
    Offsets,
    /// A group's positions.
    Positions,
    /// The record at a position.
    Fetch,
    /// How long topics keep records.
    Configs,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Report {
    /// Groups by name.
    pub groups: Vec<GroupLag>,
    /// All partitions of all topics.
    pub logs: Vec<LogBounds>,
    /// How long topics keep records, in seconds; topics that keep them for ever are left out.
    pub retention_seconds: BTreeMap<String, f64>,
    /// Questions that failed, and what was said, since the last collection.
    pub failures: Vec<(Question, String)>,
    /// Dead letters that wait, by stage, where somebody looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<BTreeMap<String, Waiting>>,
    /// Records from the future, by topic, since the last collection.
    pub negative_ages: BTreeMap<String, u64>,
}
