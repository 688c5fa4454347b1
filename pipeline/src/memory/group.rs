//! A consumer group: members, generations, who owns which partition, and what was committed.

use crate::ports::SourceEvent;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a member shows to have its offsets accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryMembership {
    member: Option<(u64, i32)>,
}

impl MemoryMembership {
    /// No member at all. As in Kafka, the coordinator then checks nothing: offsets of a zombie are accepted.
    pub const ANYBODY: Self = Self { member: None };

    pub(super) fn of(member: u64, generation: i32) -> Self {
        Self { member: Some((member, generation)) }
    }
}

#[derive(Debug, Default)]
struct Member {
    owned: BTreeSet<i32>,
    leaving: BTreeSet<i32>,
    events: VecDeque<SourceEvent>,
}

/// One group over one topic.
#[derive(Debug, Default)]
pub(super) struct Group {
    partitions: i32,
    generation: i32,
    next_member: u64,
    changes: usize,
    members: BTreeMap<u64, Member>,
    pub(super) committed: BTreeMap<i32, i64>,
}

impl Group {
    pub(super) fn over(partitions: i32) -> Self {
        Self { partitions, ..Self::default() }
    }

    pub(super) fn generation(&self) -> i32 {
        self.generation
    }

    pub(super) fn join(&mut self) -> u64 {
        self.next_member += 1;
        self.changes += 1;
        self.members.insert(self.next_member, Member::default());
        self.balance();
        self.next_member
    }

    pub(super) fn has(&self, member: u64) -> bool {
        self.members.contains_key(&member)
    }

    pub(super) fn remove(&mut self, member: u64) {
        if self.members.remove(&member).is_some() {
            self.changes += 1;
            self.balance();
        }
    }

    pub(super) fn next_event(&mut self, member: u64) -> Option<SourceEvent> {
        self.members.get_mut(&member)?.events.pop_front()
    }

    pub(super) fn release(&mut self, member: u64, partitions: &[i32]) {
        let Some(member) = self.members.get_mut(&member) else { return };
        for partition in partitions {
            member.owned.remove(partition);
            member.leaving.remove(partition);
        }
        self.balance();
    }

    pub(super) fn accepts(&self, membership: MemoryMembership) -> bool {
        membership.member.is_none_or(|(member, generation)| self.has(member) && generation == self.generation)
    }

    /// Cooperative: what must move is revoked first, and handed on once its owner has let go. The rotation
    /// with every change of membership makes partitions move more than a sticky assignor would.
    fn balance(&mut self) {
        self.generation += 1;
        let ids: Vec<u64> = self.members.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        for partition in 0..self.partitions {
            let slot = (usize::try_from(partition).unwrap_or(0) + self.changes / 2) % ids.len();
            let owner = ids.iter().copied().find(|id| self.members[id].owned.contains(&partition));
            match owner {
                Some(owner) if owner == ids[slot] => {}
                Some(owner) => self.revoke(owner, partition),
                None => self.assign(ids[slot], partition),
            }
        }
    }

    fn revoke(&mut self, owner: u64, partition: i32) {
        let Some(member) = self.members.get_mut(&owner) else { return };
        if member.leaving.insert(partition) {
            member.events.push_back(SourceEvent::Revoked(vec![partition]));
        }
    }

    fn assign(&mut self, to: u64, partition: i32) {
        let Some(member) = self.members.get_mut(&to) else { return };
        member.owned.insert(partition);
        member.events.push_back(SourceEvent::Assigned(vec![partition]));
    }
}
