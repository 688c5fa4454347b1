//! The ports in memory: one cluster with Kafka's transactions, groups and fencing, for simulation and tests.
//!
//! What is modelled is what exactly-once rests on: a transaction's records and offsets become visible together or
//! never ([`log`]); a reader with `read_committed` stops before the first open transaction; a transactional id has
//! one living instance; offsets are refused from a member of an earlier generation ([`group`], KIP-447); a rebalance
//! moves a partition only after its owner let go, unless the owner's session ended. Each step of a transaction is a
//! call of its own, so that a schedule can stop between any two. Deliberately absent: brokers, replication, time that
//! passes by itself.

mod clock;
mod cluster;
mod group;
mod log;
mod source;
mod state_log;
mod transactions;

pub use clock::ManualClock;
pub use cluster::{MemoryCluster, Refused};
pub use group::MemoryMembership;
pub use source::MemorySource;
pub use state_log::MemoryStateLog;
pub use transactions::MemoryTransactions;

use crate::ports::{PortError, SchemaKind, Schemas};

/// A registry that knows one schema of chunks and one of states.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemorySchemas;

impl MemorySchemas {
    /// The id of chunks.
    pub const CHUNK: u32 = 1;
}

impl Schemas for MemorySchemas {
    fn kind_of(&self, id: u32) -> Result<SchemaKind, PortError> {
        Ok(if id == Self::CHUNK { SchemaKind::AudioChunk } else { SchemaKind::Foreign })
    }
}
