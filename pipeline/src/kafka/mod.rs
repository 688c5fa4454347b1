//! The only room that names rdkafka.
//!
//! [`client`] librdkafka's configuration · [`login`] the password that it follows · [`bounds`] of a log · [`consumer`] a group member · [`transaction`] the late transaction ·
//! [`state_log`] what is durable · [`headers`] · and for the command line: [`admin`] topics · [`groups`] their
//! positions · [`lag`] how far they are behind · [`dead_letters`] that wait · [`publisher`] · [`fetcher`] a reader without a group ·
//! [`fault`] what goes wrong, for people.

pub mod admin;
pub mod bounds;
pub mod certificates;
pub mod client;
pub mod consumer;
pub mod dead_letters;
pub mod fault;
pub mod fetcher;
pub mod groups;
pub mod headers;
pub mod lag;
pub mod login;
pub mod publisher;
pub mod state_log;
pub mod transaction;
