//! What lag is made of, as a cluster tells it.

use crate::kafka::fault::KafkaFault;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

/// What a log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset.
    pub start: i64,
    /// The last stable offset: what a reader of committed records can reach.
    pub stable: i64,
    /// The high watermark.
    pub high: i64,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its state, as Kafka calls it: Stable, Empty, …
    pub state: String,
    /// Its members.
    pub members: usize,
    /// Those of them that have no partition.
    pub empty_members: usize,
    /// Partitions that members have.
    pub assigned_partitions: usize,
}

/// What stands at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A record, with its time: Unix time in milliseconds, −1 where it carries none.
    Record {
        /// The time.
        timestamp_ms: i64,
    },
    /// Nothing up to the last stable offset: markers, or records of transactions that were aborted.
    Nothing,
}

/// A cluster, asked from outside its groups. Calls block.
pub trait Cluster {
    /// All groups.
    fn groups(&mut self) -> Result<Vec<Group>, KafkaFault>;
    /// What the logs of all topics hold that are not Kafka's own.
    fn bounds(&mut self) -> Result<BTreeMap<Place, Bounds>, KafkaFault>;
    /// The positions that `group` has committed on any of `places`.
    fn committed(&mut self, group: &str, places: &[Place]) -> Result<BTreeMap<Place, i64>, KafkaFault>;
    /// What stands at each position, as far as it can be read within `deadline`.
    fn read(
        &mut self,
        positions: &[(Place, i64)],
        deadline: Duration,
    ) -> Result<BTreeMap<(Place, i64), Found>, KafkaFault>;
    /// How long each of `topics` keeps its records; none where it keeps them for ever.
    fn retention(&mut self, topics: &[&str]) -> Result<BTreeMap<String, Option<Duration>>, KafkaFault>;
}
