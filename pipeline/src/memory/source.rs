//! [`Source`] in memory: a member of a group that reads one topic.

use super::cluster::MemoryCluster;
use super::group::MemoryMembership;
use crate::ports::{InRecord, PortError, Source, SourceEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A member of a group. Dropping it is a crash: its session ends only by [`MemoryCluster::remove_member`].
#[derive(Debug)]
pub struct MemorySource {
    cluster: MemoryCluster,
    topic: Arc<str>,
    group: String,
    member: u64,
    generation: i32,
    owned: BTreeSet<i32>,
    lost: bool,
    positions: BTreeMap<i32, i64>,
    held: BTreeSet<i32>,
    /// Partitions whose end was reported, and has not moved since.
    ended: BTreeSet<i32>,
    turn: usize,
}

impl MemorySource {
    /// Joins `group` to read `topic`.
    #[must_use]
    pub fn join(cluster: MemoryCluster, topic: &str, group: &str) -> Self {
        let member = cluster.join(group);
        Self {
            generation: cluster.generation(group),
            cluster,
            topic: topic.into(),
            group: group.to_owned(),
            member,
            owned: BTreeSet::new(),
            lost: false,
            positions: BTreeMap::new(),
            held: BTreeSet::new(),
            ended: BTreeSet::new(),
            turn: 0,
        }
    }

    /// The member's number; it changes when the member joins again after its session ended.
    #[must_use]
    pub fn member(&self) -> u64 {
        self.member
    }

    /// Learns what the coordinator decided: the generation moves here, without an event of its own.
    fn heartbeat(&mut self) -> Option<SourceEvent> {
        if self.cluster.is_member(&self.group, self.member) {
            self.generation = self.cluster.generation(&self.group);
            let event = self.cluster.next_event(&self.group, self.member)?;
            if let SourceEvent::Assigned(partitions) = &event {
                self.owned.extend(partitions);
            }
            return Some(event);
        }
        if !self.owned.is_empty() {
            // Told once; the group is joined again when everything is released.
            return (!std::mem::replace(&mut self.lost, true))
                .then(|| SourceEvent::Lost(self.owned.iter().copied().collect()));
        }
        self.lost = false;
        self.member = self.cluster.join(&self.group);
        None
    }

    fn next_report(&mut self) -> Option<SourceEvent> {
        let readable: Vec<i32> =
            self.positions.keys().copied().filter(|partition| !self.held.contains(partition)).collect();
        for step in 0..readable.len() {
            let partition = readable[(self.turn + step) % readable.len()];
            let from = self.positions[&partition];
            if let Some((offset, record)) = self.cluster.next_committed(&self.topic, partition, from) {
                self.turn += step + 1;
                self.positions.insert(partition, offset + 1);
                self.ended.remove(&partition);
                return Some(SourceEvent::Record(InRecord {
                    topic: Arc::clone(&self.topic),
                    partition,
                    offset,
                    timestamp_ms: 0,
                    key: Some(record.key),
                    value: record.value,
                    headers: record.headers,
                }));
            }
        }
        let ended = readable.into_iter().find(|partition| !self.ended.contains(partition))?;
        self.ended.insert(ended);
        Some(SourceEvent::AtEnd(ended))
    }
}

impl Source for MemorySource {
    type Membership = MemoryMembership;

    fn poll(&mut self, _: Duration) -> Result<Option<SourceEvent>, PortError> {
        if let Some(event) = self.heartbeat() {
            return Ok(Some(event));
        }
        Ok(self.next_report())
    }

    fn start(&mut self, positions: &[(i32, i64)]) -> Result<(), PortError> {
        for (partition, offset) in positions {
            self.positions.insert(*partition, *offset);
            self.held.remove(partition);
            self.ended.remove(partition);
        }
        Ok(())
    }

    fn release(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        for partition in partitions {
            self.owned.remove(partition);
            self.positions.remove(partition);
        }
        self.cluster.release(&self.group, self.member, partitions);
        Ok(())
    }

    fn stop(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.pause(partitions)
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.held.extend(partitions);
        Ok(())
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.held.retain(|partition| !partitions.contains(partition));
        Ok(())
    }

    fn membership(&self) -> Result<MemoryMembership, PortError> {
        Ok(MemoryMembership::of(self.member, self.generation))
    }

    fn committed(&mut self, _: &[(i32, i64)]) {}
}
