//! What operators see: metrics, logs. Attached by the runner; no stage and no decision knows of it.
//!
//! [`metrics`] every metric, and nothing else names one · [`labels`] the values of their labels · [`family`] the two,
//! typed · [`observe`] what the loops report, counted, through [`segment`]'s handles · [`timed`] what stages cost ·
//! [`engine`] what the model does · [`gpu`] how its device is · [`watermark`] up to when everything is done · [`process`] what the system says ·
//! [`lag`] how far groups are behind · [`lake`] what analyse does · [`canary`] what became of canaries · [`trace`] spans · [`log`] lines.

pub mod canary;
pub mod engine;
pub mod family;
pub mod gpu;
pub mod labels;
pub mod lag;
pub mod lake;
pub mod log;
mod membership;
pub mod metrics;
pub mod observe;
pub mod process;
pub mod segment;
pub mod sql;
pub mod timed;
pub mod trace;
pub mod watermark;
