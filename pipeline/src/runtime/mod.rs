//! The loops: what drives the stages, and in which order what happens.
//!
//! [`operator`] one stage of one stream · [`chain`] the stages of one stream · [`stream`] one stream with its
//! order and its state · [`ingest`] what a record is · [`partition`] the streams of one partition ·
//! [`records`] what they emit, as records · [`compute`] threads that own partitions · [`stations`] whom the worker
//! asks · [`threads`] its crew of threads · [`worker`] the loop that joins them · [`assembly`] one worker a
//! segment · [`shutdown`] how it ends · [`model`] which model file and library · [`blueprint`] how stages are built ·
//! [`account`] what is counted of a stream · [`events`] and [`meter`] what is told of it · [`lineage`] its place in its trace.

pub use assembly::{RunError, run};
pub use shutdown::Shutdown;

pub mod account;
pub mod assembly;
pub mod blueprint;
pub mod chain;
pub mod compute;
pub mod events;
#[cfg(test)]
mod fakes;
pub mod ingest;
pub mod lineage;
pub mod meter;
pub mod model;
pub mod operator;
pub mod partition;
pub mod records;
pub mod shutdown;
pub mod stations;
pub mod stream;
pub mod threads;
pub mod worker;
