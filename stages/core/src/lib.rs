//! The vocabulary of Treble's stages.
//!
//! Purpose: the types that every stage speaks ([`PcmBlock`], [`EncodedChunk`], units) and the one trait
//! that every stage implements ([`Stage`]). Data flows `EncodedChunk → decode → PcmBlock → upscale →
//! PcmBlock → encode → EncodedChunk`.
//!
//! Deliberately absent: Kafka, threads, clocks, the environment, logs and metrics. A stage is a value that
//! one thread drives; it reports what it noticed as [`Fact`]s and the shell decides what a fact costs.
//!
//! Module map: [`units`] confusable numbers as types · [`pcm`] planar audio, finite by construction ·
//! [`encoded`] bytes of a codec · [`payload`] the closed set of what travels between stages · [`grid`] where
//! output is cut · [`stage`] the trait · [`inference`] what a stage asks of a model · [`error`] why an input
//! was refused · `laws` (feature) what every stage must obey.

pub mod encoded;
pub mod error;
pub mod fact;
pub mod grid;
pub mod inference;
#[cfg(feature = "laws")]
pub mod laws;
pub mod payload;
pub mod pcm;
pub mod stage;
pub mod units;

pub use encoded::{Codec, EncodedChunk, EncodedFormat};
pub use error::{ConfigError, LimitKind, StageError};
pub use fact::{Fact, Measures};
pub use inference::{Inference, ModelInfo, Window};
pub use payload::{AnyPayload, Payload, PayloadKind};
pub use pcm::{PcmBlock, PcmSpec, SampleDepth};
pub use stage::{Assets, Outbox, Restart, Stage};
pub use units::{ChannelCount, Pace, SampleRate};
