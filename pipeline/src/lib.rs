//! The shell around Treble's stages: Kafka, transactions, restore and replay, telemetry, the `treble` command.
//!
//! Data flows one way: `kafka::consumer` polls records → `runtime::compute` threads turn them into stage
//! inputs, drive the stages and buffer what they emit → `runtime::worker` freezes an epoch →
//! `kafka::transaction` commits outputs, state, dead letters, events and offsets as one.
//!
//! Decisions live in [`flow`] and [`topology`]: pure functions over observed facts and `now`, free of async
//! and I/O. Deliberately absent: signal processing, which is the stage crates' business.
//!
//! Module map: [`stages`] the one list of stages · [`topology`] which of them share a process · [`flow`]
//! decisions · [`error`] what they decide about · [`ports`] what the runtime needs from the world · [`gpu`] the
//! cards of this machine · [`kafka`] the world as Kafka · [`lag`] how far groups are behind · [`lake`] events stored, each once · [`memory`] the world in memory · [`runtime`] the loops · [`convert`] wire records ↔ payloads · [`schema_registry`] ·
//! [`secret`] passwords and tokens · [`redact`] texts without them · [`tls`] · `spectrum` up to which frequency there is sound · [`telemetry`] ·
//! [`admin`] · [`query`] the doors of analysts · [`offline`] the same chain over a file · [`config`] · [`cli`].

pub mod admin;
pub mod cli;
pub mod clock;
pub mod config;
pub mod convert;
pub mod error;
pub mod flow;
pub mod gpu;
pub mod kafka;
pub mod lag;
pub mod lake;
pub mod memory;
pub mod offline;
pub mod ports;
pub mod query;
pub mod redact;
pub mod runtime;
pub mod schema_registry;
pub mod secret;
mod spectrum;
pub mod stages;
pub mod telemetry;
pub mod tls;
pub mod topology;
