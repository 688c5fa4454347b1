//! What may be configured.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use treble_core::SampleRate;

/// What the stage does to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rate conversion only.
    #[default]
    Baseline,
    /// Rate conversion, and the missing band from a model.
    Ai,
}

/// The stage's configuration, key `upscale`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpscaleConfig {
    /// Rate conversion only, or with a model.
    pub mode: Mode,
    /// The rate of the output, in Hz, 1..=768,000. In mode `ai` it must be the model's output rate.
    pub output_rate_hz: SampleRate,
    /// The ONNX file that the engine loads in mode `ai`; none: the model that Treble ships.
    pub model: Option<PathBuf>,
    /// Whether the source's band is measured. Where it is not, the band is taken to end at the source's
    /// Nyquist frequency.
    pub detection: bool,
    /// A source whose band reaches this frequency, in Hz, is full-band: it is only resampled.
    pub full_band_hz: u32,
}

impl Default for UpscaleConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Baseline,
            output_rate_hz: SampleRate::HZ_48000,
            model: None,
            detection: true,
            full_band_hz: 20_000,
        }
    }
}
