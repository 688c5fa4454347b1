//! Stage events and lines of the log to a Delta lake, exactly once, and one read-only SQL session over stored and recent rows.
//!
//! Data flow: records of the topic of events → [`rows`], of the topic of lines → [`lines`] → [`commit`], one commit of rows and
//! positions at a time → [`lake`]; [`verify`] looks whether it holds what it says.
//! Back: snapshots of the [`lake`] and rows of the [`tail`] in memory → [`live`] → [`query`], [`views`] beside the tables → rows
//! in a [`format`](mod@format).
//!
//! Invariants: every record of a topic is one row of exactly one of its tables ([`tables::Origin::tables`]); how far the topic was
//! read is committed with the rows. Deliberately absent: Kafka, the schema registry, clocks; the shell asks them.

pub mod commit;
pub mod format;
pub mod lake;
pub mod lines;
pub mod live;
pub mod logins;
pub mod query;
pub mod rollups;
pub mod rows;
pub mod saved;
pub mod tables;
pub mod tail;
mod times;
pub mod upkeep;
pub mod verify;
pub mod views;

pub use datafusion::arrow;
