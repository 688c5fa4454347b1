//! The only room that names rdkafka.

pub mod client;
pub mod consumer;
pub mod headers;
pub mod state_log;
pub mod transaction;
