//! Treble's wire contracts: what travels on Kafka, byte for byte.
//!
//! Purpose: one place that says what a record of each topic looks like, and validates it once, so that no
//! later code re-checks. Data flow: `record value → frame → (chunk | state | event) → typed view`, and back.
//! Every view is total on hostile bytes: it answers with a typed error that has a stable `code()`.
//!
//! Deliberately absent: Kafka, the schema registry's client, audio processing, clocks and I/O. Nothing of
//! the workspace is a dependency, so a producer or a tool may use this crate alone.
//!
//! Module map: [`frame`] the Confluent wire frame · [`chunk`] the record of every audio topic · [`state`] the
//! changelog record of one stream · [`event`] what the stages tell the analysts · [`line`] a line of the log ·
//! [`dead_letter`] what could not be processed · [`topic`] names, keys, the partition rule and retention · [`contract`] the schema
//! texts as they are registered · [`proto`] the generated messages.
//!
//! The schemas that were ever released are kept in `history/`; `tests/compat.rs` holds every change against
//! them.

pub mod chunk;
pub mod contract;
pub mod dead_letter;
pub mod event;
pub mod frame;
pub mod line;
pub mod state;
pub mod topic;

/// The messages of `proto/treble/v1`, as generated.
#[expect(missing_docs, reason = "generated: the documentation is in the .proto files")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/treble.v1.rs"));
}

pub use chunk::{AudioChunk, ChunkBody, ChunkError, ChunkKind, Segment};
pub use contract::Contract;
pub use dead_letter::{DeadLetter, Header};
pub use event::{Event, StageEvent, StreamReport};
pub use proto::{
    AbortReason, AudioFormat, Encoding, OperatorState, SampleFormat, Source, StreamState, Totals,
};
pub use topic::{StreamId, Topics};
