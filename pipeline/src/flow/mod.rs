//! Decisions: pure functions over observed facts and `now`. No I/O, no clock, no threads.
//!
//! [`watermark`] what may be committed · [`assignment`] where to read from after an assignment ·
//! [`pressure`] when to stop reading · [`epoch`] when to commit · [`reorder`] which chunk is next ·
//! [`recent`] which streams just ended · [`ingest`] when rows are committed to the lake, and where it is read from · [`contact`] whether Kafka answers · [`readiness`] whether a segment is ready ·
//! [`caught_up`] until when time-outs may be judged · [`flood`] when dead letters mean a bad deploy · [`retry`] how long
//! to wait · [`disposition`] what an error costs.

pub mod assignment;
pub mod caught_up;
pub mod contact;
pub mod disposition;
pub mod epoch;
pub mod flood;
pub mod ingest;
pub mod pressure;
pub mod readiness;
pub mod recent;
pub mod reorder;
pub mod retry;
pub mod watermark;
