//! What operators see: metrics, logs. Attached by the runner; no stage and no decision knows of it.
//!
//! [`metrics`] every metric, and nothing else names one · [`observe`] what the loops report, counted ·
//! [`init`] the log.

pub mod init;
pub mod metrics;
pub mod observe;
