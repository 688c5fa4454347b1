//! [`Transactions`] in memory: each step by itself, and all of them as one commit.

use super::cluster::{MemoryCluster, Refused};
use super::group::MemoryMembership;
use crate::ports::{Epoch, OutRecord, Outcome, PortError, Transactions};
use std::time::Duration;

/// A transactional producer of one id.
#[derive(Debug)]
pub struct MemoryTransactions {
    cluster: MemoryCluster,
    id: String,
    group: String,
    instance: Option<u32>,
}

impl MemoryTransactions {
    /// A producer with transactional id `id` that commits positions of `group`.
    #[must_use]
    pub fn new(cluster: MemoryCluster, id: &str, group: &str) -> Self {
        Self { cluster, id: id.to_owned(), group: group.to_owned(), instance: None }
    }

    fn instance(&self) -> Result<u32, Refused> {
        self.instance.ok_or(Refused::Fenced)
    }

    /// Opens the transaction and writes `records`.
    pub fn write(&self, records: &[OutRecord]) -> Result<(), Refused> {
        let instance = self.instance()?;
        self.cluster.begin(&self.id, instance)?;
        records.iter().try_for_each(|record| self.cluster.produce(&self.id, instance, record.clone()))
    }

    /// Adds positions to the transaction.
    pub fn send_offsets(&self, offsets: &[(i32, i64)], membership: MemoryMembership) -> Result<(), Refused> {
        self.cluster.send_offsets(&self.id, self.instance()?, &self.group, membership, offsets)
    }

    /// Ends the transaction.
    pub fn end(&self, commit: bool) -> Result<(), Refused> {
        self.cluster.end(&self.id, self.instance()?, commit)
    }

    /// What a refusal means: a fenced instance is of no use any more, anything else is aborted.
    pub fn refused(&mut self, refusal: Refused) -> Outcome {
        let reason = refusal.to_string();
        if refusal == Refused::Fenced || self.end(false).is_err() {
            self.instance = None;
            return Outcome::Broken { reason, fenced: refusal == Refused::Fenced };
        }
        Outcome::Aborted { reason }
    }
}

impl Transactions<MemoryMembership> for MemoryTransactions {
    fn init(&mut self) -> Result<(), PortError> {
        self.instance = Some(self.cluster.init_producer(&self.id));
        Ok(())
    }

    fn commit(&mut self, epoch: &Epoch, membership: MemoryMembership, _: Duration) -> Outcome {
        let all = |this: &Self| {
            this.write(&epoch.records)?;
            this.send_offsets(&epoch.offsets, membership)?;
            this.end(true)
        };
        match all(self) {
            Ok(()) => Outcome::Committed,
            Err(refusal) => self.refused(refusal),
        }
    }
}
