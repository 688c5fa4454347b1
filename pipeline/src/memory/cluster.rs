//! The cluster that all ports share: logs, the transaction coordinator, groups.

use super::group::{Group, MemoryMembership};
use super::log::{Fate, Log};
use crate::ports::{OutRecord, SourceEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use treble_schemas::topic::partition_of;

/// Why the coordinator refused a step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another instance of the transactional id was initialised.
    #[error("the producer is fenced by a later instance of its transactional id")]
    Fenced,
    /// The membership is of an earlier generation, or of nobody any more.
    #[error("the membership is not of the current generation")]
    IllegalGeneration,
    /// No transaction is open.
    #[error("no transaction is open")]
    NotOpen,
}

#[derive(Debug, Default)]
struct Instance {
    epoch: u32,
    open: Option<usize>,
}

#[derive(Debug, Default)]
struct Pending {
    touched: BTreeSet<(String, i32)>,
    offsets: BTreeMap<(String, i32), i64>,
}

#[derive(Debug)]
struct State {
    partitions: i32,
    logs: BTreeMap<(String, i32), Log>,
    fates: BTreeMap<usize, Fate>,
    pending: BTreeMap<usize, Pending>,
    instances: BTreeMap<String, Instance>,
    groups: BTreeMap<String, Group>,
}

/// Topics of one number of partitions, with transactions and groups; clones share it.
#[derive(Debug, Clone)]
pub struct MemoryCluster {
    // Shared by all ports of all workers; never held across a call out of this module.
    state: Arc<Mutex<State>>,
}

impl MemoryCluster {
    /// An empty cluster whose topics all have `partitions` partitions.
    #[must_use]
    pub fn new(partitions: i32) -> Self {
        let state = State {
            partitions,
            logs: BTreeMap::new(),
            fates: BTreeMap::new(),
            pending: BTreeMap::new(),
            instances: BTreeMap::new(),
            groups: BTreeMap::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record outside of any transaction, as a plain producer does.
    pub fn append(&self, record: OutRecord) {
        self.state().append(record, None);
    }

    /// Everything that a `read_committed` reader sees of a partition, with offsets.
    #[must_use]
    pub fn committed_records(&self, topic: &str, partition: i32) -> Vec<(i64, OutRecord)> {
        let mut records = Vec::new();
        let mut from = 0;
        while let Some((offset, record)) = self.next_committed(topic, partition, from) {
            from = offset + 1;
            records.push((offset, record));
        }
        records
    }

    /// The first record at or after `from` that a `read_committed` reader sees.
    #[must_use]
    pub fn next_committed(&self, topic: &str, partition: i32, from: i64) -> Option<(i64, OutRecord)> {
        let state = self.state();
        let log = state.logs.get(&(topic.to_owned(), partition))?;
        log.next_committed(from, &state.fates).map(|(offset, record)| (offset, record.clone()))
    }

    /// The end of a partition, and the offset before which everything is settled.
    #[must_use]
    pub fn ends(&self, topic: &str, partition: i32) -> (i64, i64) {
        let state = self.state();
        let log = state.logs.get(&(topic.to_owned(), partition));
        log.map_or((0, 0), |log| (log.end(), log.stable_end(&state.fates)))
    }

    /// The group's committed position, or `Err` while a transaction is pending on it.
    pub fn stable_position(&self, group: &str, partition: i32) -> Result<Option<i64>, Refused> {
        let mut state = self.state();
        let key = (group.to_owned(), partition);
        if state.pending.values().any(|pending| pending.offsets.contains_key(&key)) {
            return Err(Refused::NotOpen);
        }
        Ok(state.group(group).committed.get(&partition).copied())
    }

    /// Makes the caller the only instance of `id`, aborting what a predecessor left open; the instance's epoch.
    #[must_use]
    pub fn init_producer(&self, id: &str) -> u32 {
        let mut state = self.state();
        let instance = state.instances.entry(id.to_owned()).or_default();
        instance.epoch += 1;
        let (epoch, open) = (instance.epoch, instance.open.take());
        if let Some(number) = open {
            state.settle(number, Fate::Aborted);
        }
        epoch
    }

    /// Opens a transaction.
    pub fn begin(&self, id: &str, epoch: u32) -> Result<(), Refused> {
        let mut state = self.state();
        let number = state.fates.len();
        let instance = state.instance(id, epoch)?;
        instance.open = Some(number);
        state.fates.insert(number, Fate::Open);
        state.pending.insert(number, Pending::default());
        Ok(())
    }

    /// Writes a record within the open transaction.
    pub fn produce(&self, id: &str, epoch: u32, record: OutRecord) -> Result<(), Refused> {
        let mut state = self.state();
        let number = state.open(id, epoch)?;
        state.append(record, Some(number));
        Ok(())
    }

    /// Adds the group's positions to the open transaction.
    pub fn send_offsets(
        &self,
        id: &str,
        epoch: u32,
        group: &str,
        membership: MemoryMembership,
        offsets: &[(i32, i64)],
    ) -> Result<(), Refused> {
        let mut state = self.state();
        let number = state.open(id, epoch)?;
        if !state.group(group).accepts(membership) {
            return Err(Refused::IllegalGeneration);
        }
        let pending = state.pending.entry(number).or_default();
        pending.offsets.extend(offsets.iter().map(|(partition, at)| ((group.to_owned(), *partition), *at)));
        Ok(())
    }

    /// Commits or aborts the open transaction.
    pub fn end(&self, id: &str, epoch: u32, commit: bool) -> Result<(), Refused> {
        let mut state = self.state();
        let number = state.open(id, epoch)?;
        state.instance(id, epoch)?.open = None;
        state.settle(number, if commit { Fate::Committed } else { Fate::Aborted });
        Ok(())
    }

    /// How many transactions have been committed or aborted.
    #[must_use]
    pub fn settled_transactions(&self) -> usize {
        let state = self.state();
        state.fates.len() - state.pending.len()
    }

    pub(super) fn join(&self, group: &str) -> u64 {
        self.state().group(group).join()
    }

    /// Ends a member's session, or lets it leave: its partitions go to the others.
    pub fn remove_member(&self, group: &str, member: u64) {
        self.state().group(group).remove(member);
    }

    pub(super) fn is_member(&self, group: &str, member: u64) -> bool {
        self.state().group(group).has(member)
    }

    pub(super) fn generation(&self, group: &str) -> i32 {
        self.state().group(group).generation()
    }

    pub(super) fn next_event(&self, group: &str, member: u64) -> Option<SourceEvent> {
        self.state().group(group).next_event(member)
    }

    pub(super) fn release(&self, group: &str, member: u64, partitions: &[i32]) {
        self.state().group(group).release(member, partitions);
    }
}

impl State {
    fn append(&mut self, record: OutRecord, transaction: Option<usize>) {
        let count = u32::try_from(self.partitions).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
        let by_key = || partition_of(&record.key, count);
        let partition = record.partition.unwrap_or_else(by_key);
        let place = (record.topic.clone(), partition);
        if let Some(pending) = transaction.and_then(|number| self.pending.get_mut(&number)) {
            pending.touched.insert(place.clone());
        }
        self.logs.entry(place).or_default().append(record, transaction);
    }

    fn group(&mut self, name: &str) -> &mut Group {
        let partitions = self.partitions;
        self.groups.entry(name.to_owned()).or_insert_with(|| Group::over(partitions))
    }

    fn instance(&mut self, id: &str, epoch: u32) -> Result<&mut Instance, Refused> {
        let instance = self.instances.get_mut(id).ok_or(Refused::Fenced)?;
        if instance.epoch == epoch { Ok(instance) } else { Err(Refused::Fenced) }
    }

    fn open(&mut self, id: &str, epoch: u32) -> Result<usize, Refused> {
        self.instance(id, epoch)?.open.ok_or(Refused::NotOpen)
    }

    fn settle(&mut self, number: usize, fate: Fate) {
        self.fates.insert(number, fate);
        let Some(pending) = self.pending.remove(&number) else { return };
        for place in pending.touched {
            self.logs.entry(place).or_default().mark();
        }
        if fate == Fate::Committed {
            for ((group, partition), position) in pending.offsets {
                self.group(&group).committed.insert(partition, position);
            }
        }
    }
}
