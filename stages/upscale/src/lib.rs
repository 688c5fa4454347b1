//! PCM of any rate in, PCM of 48 kHz out, with the missing band restored.
//!
//! Data flow: `PcmBlock → rate conversion → (mode ai: spectra → band detection → windows → model → high band,
//! added above the cutoff) → PcmBlock on the output grid`. The windows go out through [`treble_core::Stage`];
//! [`OrtEngine`] answers those of all streams of a worker.
//!
//! Every grid is absolute: resampler blocks, spectral frames, model windows and output chunks are functions of
//! the sample index. So the output never shows how the input was cut, and a successor fed from a restart point
//! continues bit for bit.
//!
//! Deliberately absent: Kafka, clocks, the environment, logs and metrics; which windows come to the engine
//! together is the runner's business.
//!
//! Module map: [`stage`] the stage · `stream` one stream's state · [`rate`] rate conversion, exact in phase ·
//! `spectrum`, `history`, `analysis` the signal in frames · `bandwidth` where the source's band ends ·
//! `restore` windows for either kind of model · `synthesis`, `excitation`, `crossover`, `overlap` the high band
//! and the original one · `cut` the output grid · `inputs`, `checkpoint` where a successor continues ·
//! [`model`] what a model says of itself · [`engine`] ONNX Runtime · [`config`] what may be set.

mod analysis;
mod bandwidth;
mod checkpoint;
pub mod config;
mod crossover;
mod cut;
pub mod engine;
mod excitation;
mod history;
mod inputs;
pub mod model;
mod overlap;
pub mod rate;
mod restore;
mod spectrum;
pub mod stage;
mod stream;
mod synthesis;

pub use config::{Device, EngineConfig, Mode, ModelChoice, UpscaleConfig};
pub use engine::{Closing, EngineError, EngineWatch, FaultKind, OrtEngine, Unwatched};
pub use model::{ModelError, ModelSpec};
pub use stage::UpscaleStage;
