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

/// Which model the engine opens. In text: `quality`, `live`, or the path of an ONNX file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ModelChoice {
    /// The shipped model that looks 123 ms ahead.
    #[default]
    Quality,
    /// The shipped model that looks 21 ms ahead, for live streams.
    Live,
    /// Any other.
    File(PathBuf),
}

impl From<String> for ModelChoice {
    fn from(text: String) -> Self {
        match text.as_str() {
            "quality" => Self::Quality,
            "live" => Self::Live,
            _ => Self::File(text.into()),
        }
    }
}

impl From<ModelChoice> for String {
    fn from(choice: ModelChoice) -> Self {
        match choice {
            ModelChoice::Quality => "quality".to_owned(),
            ModelChoice::Live => "live".to_owned(),
            ModelChoice::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// The stage's configuration, key `upscale`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpscaleConfig {
    /// Rate conversion only, or with a model.
    pub mode: Mode,
    /// The rate of the output, in Hz, 1..=768,000. In mode `ai` it must be the model's output rate.
    pub output_rate_hz: SampleRate,
    /// What the engine opens in mode `ai`. The stage itself reads no file.
    pub model: ModelChoice,
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
            model: ModelChoice::Quality,
            detection: true,
            full_band_hz: 20_000,
        }
    }
}

/// Where a model runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Device {
    /// CUDA where the library and the machine have it, else the CPU: the engine says which, and why.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU through CUDA; an error where there is none.
    Cuda,
    /// An NVIDIA GPU through TensorRT, what it cannot run through CUDA; an error where there is none.
    TensorRt,
}

impl Device {
    /// The name in configuration, events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
            Self::TensorRt => "tensorrt",
        }
    }
}

/// The engine's configuration, key `engine`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// The ONNX Runtime library, 1.24 or newer (`libonnxruntime.so.*`); its provider libraries lie beside it.
    pub library: Option<PathBuf>,
    /// Where the model runs.
    pub device: Device,
    /// Windows in one run of the model; short batches are padded to it, so that a result never depends on
    /// who shared the batch; 1,024 at most. 0: 1 on the CPU, where batching gains nothing, 16 on a GPU.
    pub max_batch: u32,
    /// How long, in milliseconds, a batch that is not full waits for a further request.
    pub max_delay_ms: u32,
    /// Threads that one run of the model may use on the CPU; 0: one for each core.
    pub threads: u32,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { library: None, device: Device::Auto, max_batch: 0, max_delay_ms: 2, threads: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_models_have_names_and_any_other_is_a_file() {
        for (text, choice) in [
            ("quality", ModelChoice::Quality),
            ("live", ModelChoice::Live),
            ("models/live", ModelChoice::File("models/live".into())),
        ] {
            assert_eq!(ModelChoice::from(text.to_owned()), choice);
            assert_eq!(String::from(choice), text);
        }
    }
}
