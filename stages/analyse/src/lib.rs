//! Stage events to a Delta lake, exactly once, and one read-only SQL session over stored and recent rows.
//!
//! Data flow: records of the topic of events → [`rows`] → [`commit`], one commit of rows and positions at a time →
//! [`lake`]; [`verify`] looks whether it holds what it says.
//!
//! Invariants: every record of the topic is one row of exactly one of [`tables::Table::ALL`]; how far the topic was read
//! is committed with the rows. Deliberately absent: Kafka, the schema registry, clocks; the shell asks them.

pub mod commit;
pub mod lake;
pub mod rollups;
pub mod rows;
pub mod tables;
pub mod upkeep;
pub mod verify;
