//! Test support of Treble: a real Kafka, real streams, and the judge of what came out.
//!
//! [`broker`] a private Kafka and registry · [`certificates`] of an authority of one's own · [`clips`] real files of every
//! format · [`collector`] who gathers spans · [`configuration`] for a private topic prefix · [`doors`] `treble serve` as a process · [`exposition`] what
//! `/metrics` says · [`kafka`] topics, publishing and reading as an outsider would · [`observer`] nobody who watches · [`running`] a pipeline in this process ·
//! [`process`] `treble run` as a process to kill · [`registry`] schemas of others · [`verdict`] what must be true of every
//! stream on the output.

pub mod broker;
pub mod certificates;
pub mod clips;
pub mod collector;
pub mod configuration;
pub mod doors;
pub mod exposition;
pub mod http;
pub mod kafka;
pub mod observer;
pub mod process;
pub mod registry;
pub mod running;
pub mod verdict;
