//! PCM of any rate in, PCM of 48 kHz out, with the missing band restored.
//!
//! Data flow: `PcmBlock → rate conversion → PcmBlock on the output grid`.
//!
//! Deliberately absent: Kafka, clocks, the environment, logs and metrics; who shares a batch with whom is the
//! runner's business.
//!
//! Module map: [`stage`] the stage · `stream` one stream's state · [`rate`] rate conversion, exact in phase ·
//! `cut` the output grid · `inputs`, `checkpoint` where a successor continues · [`config`] what may be set.

mod checkpoint;
pub mod config;
mod cut;
pub mod engine;
mod inputs;
pub mod model;
pub mod rate;
pub mod stage;
mod stream;

pub use config::{Device, EngineConfig, Mode, UpscaleConfig};
pub use engine::{EngineError, OrtEngine};
pub use model::{ModelError, ModelSpec};
pub use stage::UpscaleStage;
