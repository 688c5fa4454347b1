//! What the runtime needs from the world. Kafka provides these in [`crate::kafka`], memory in [`crate::memory`].

use crate::runtime::lineage::Told;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;
use thiserror::Error;
use treble_schemas::state::StreamState;
use treble_schemas::topic::StreamId;

/// Time, as an input.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Monotonic time since an arbitrary origin.
    fn now(&self) -> Duration;
    /// Unix time, in microseconds.
    fn unix_us(&self) -> i64;
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InRecord {
    /// The topic.
    pub topic: std::sync::Arc<str>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// Unix time in milliseconds that the record carries; −1 where it carries none.
    pub timestamp_ms: i64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

impl InRecord {
    /// Bytes that the record occupies, near enough for back-pressure.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let length = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers: usize =
            self.headers.iter().map(|header| header.name.len() + length(&header.value)).sum();
        (length(&self.key) + length(&self.value) + headers + 64) as u64
    }
}

pub use treble_schemas::dead_letter::Header;

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutRecord {
    /// The topic.
    pub topic: String,
    /// The partition; `None` lets the key decide.
    pub partition: Option<i32>,
    /// The key.
    pub key: Bytes,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// The headers, in order.
    pub headers: Vec<Header>,
}

impl OutRecord {
    /// Bytes that the record occupies.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// One transaction: everything that one epoch wrote, and how far it read.
#[derive(Debug, Clone, Default)]
pub struct Epoch {
    /// All records, in the order they must appear within their partitions.
    pub records: Vec<OutRecord>,
    /// Per input partition, the position to commit.
    pub offsets: Vec<(i32, i64)>,
    /// What is told of it once it is committed.
    pub told: Told,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is committed.
    Committed,
    /// It was aborted, nothing of it is visible; the same epoch may be tried again.
    Aborted {
        /// Why.
        reason: String,
    },
    /// The producer is fenced or broken: it must be rebuilt, and everything read again from what is committed.
    Broken {
        /// Why.
        reason: String,
        /// Whether another instance with the same id took over.
        fenced: bool,
    },
}

/// What is durable about one partition, as read on assignment.
#[derive(Debug, Clone, Default)]
pub struct Durable {
    /// The group's stable committed position.
    pub committed: Option<i64>,
    /// The first offset in the input log.
    pub log_start: i64,
    /// The last stable offset of the input log.
    pub log_end: i64,
    /// The state of every stream in flight.
    pub streams: Vec<(StreamId, StreamState)>,
}

/// A fault of the world outside.
#[derive(Debug, Clone, Error)]
pub enum PortError {
    /// Worth another try.
    #[error("{0}")]
    Retriable(String),
    /// Nothing to be done from here.
    #[error("{0}")]
    Fatal(String),
}

/// What the consumer reports.
#[derive(Debug)]
pub enum SourceEvent {
    /// A record.
    Record(InRecord),
    /// The log of this partition holds no more than what was reported; said again whenever its end is met again.
    AtEnd(i32),
    /// These partitions are ours now; nothing is read from them before [`Source::start`].
    Assigned(Vec<i32>),
    /// These partitions will be another's; they stay ours until [`Source::release`].
    Revoked(Vec<i32>),
    /// These partitions are another's already: nothing can be committed for them.
    Lost(Vec<i32>),
}

/// Reads one topic as a member of a group.
pub trait Source {
    /// What a transaction needs to prove that this member still owns its partitions (KIP-447).
    type Membership: Send + 'static;

    /// The next event, waiting for `timeout` at most.
    fn poll(&mut self, timeout: Duration) -> Result<Option<SourceEvent>, PortError>;
    /// Begins to read each partition at its offset.
    fn start(&mut self, positions: &[(i32, i64)]) -> Result<(), PortError>;
    /// Gives partitions back, after `Revoked` or `Lost`.
    fn release(&mut self, partitions: &[i32]) -> Result<(), PortError>;
    /// Stops reading partitions that remain ours, until [`start`](Self::start) says where to go on.
    fn stop(&mut self, partitions: &[i32]) -> Result<(), PortError>;
    /// Stops reading `partitions` without leaving the group.
    fn pause(&mut self, partitions: &[i32]) -> Result<(), PortError>;
    /// Reads `partitions` again.
    fn resume(&mut self, partitions: &[i32]) -> Result<(), PortError>;
    /// Proof of membership, as of now: the generation moves without notice, so ask just before each use.
    fn membership(&self) -> Result<Self::Membership, PortError>;
    /// Notes what was committed, for the client's own statistics.
    fn committed(&mut self, offsets: &[(i32, i64)]);
}

/// Commits epochs.
pub trait Transactions<M>: Send {
    /// Makes this instance the only one of its id, aborting what a predecessor left open.
    fn init(&mut self) -> Result<(), PortError>;
    /// One transaction, within `deadline`. An unknown outcome is resolved before this returns.
    fn commit(&mut self, epoch: &Epoch, membership: M, deadline: Duration) -> Outcome;
}

/// Reads what is durable about a partition.
pub trait StateLog: Send {
    /// Waits until no transaction is pending on the partition, then reads.
    fn read(&mut self, partition: i32) -> Result<Durable, PortError>;
}

/// What a schema id means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaKind {
    /// A released version of AudioChunk.
    AudioChunk,
    /// Something else, or nothing the registry knows.
    Foreign,
}

/// Looks schema ids up.
pub trait Schemas: fmt::Debug {
    /// What `id` means; retriable while the registry cannot be asked.
    fn kind_of(&self, id: u32) -> Result<SchemaKind, PortError>;
}
