//! What a model says of itself, and what the stage makes of it.
//!
//! The keys are those of `model/CONTRACT.md`, section 7. They come from the ONNX file (`metadata_props`), or
//! from a TOML of the same name beside it, whose table `[treble]` holds the same keys without their prefix;
//! where both give a key, the TOML wins, so that a file of somebody else's can be described without being
//! changed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use thiserror::Error;
use treble_core::SampleRate;

/// The version of the contract that this stage knows.
const CONTRACT: u32 = 1;
/// Frames that one window of an envelope model may hold, and samples of a waveform model: bounds on memory.
const MAX_FRAMES: usize = 4_096;
const MAX_SAMPLES: usize = 1 << 22;

/// Why a model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ModelError {
    /// A key is missing.
    #[error(
        "the model does not say `{key}`; add it to the file's metadata, or to [treble] in a TOML beside it"
    )]
    Missing {
        /// The key, with its prefix.
        key: String,
    },
    /// A key has a value that the stage cannot work with.
    #[error("the model says `{key}` = `{value}`, but {expected}")]
    Unsupported {
        /// The key, with its prefix.
        key: String,
        /// What the model says.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// The graph contradicts the metadata.
    #[error("the graph's {what} is {actual}, the metadata ask for {expected}")]
    Shape {
        /// Which input or output.
        what: String,
        /// What the graph has.
        actual: String,
        /// What follows from the metadata.
        expected: String,
    },
}

/// A model, as far as windows and synthesis need to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSpec {
    /// Predicts the envelope of the high band from features of the low one (`model/CONTRACT.md`).
    Envelope(EnvelopeSpec),
    /// Maps samples to samples at a higher rate.
    Waveform(WaveformSpec),
}

/// An envelope model: `[batch, 192, left + core + right]` in, `gains` and `mix` `[batch, 56, core]` out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnvelopeSpec {
    /// Frames of context before the core.
    pub left: usize,
    /// Frames of context after the core.
    pub right: usize,
    /// Frames that one window answers for.
    pub core: usize,
}

/// A waveform model: `[batch, 1, window]` in, `[batch, 1, window · ratio]` out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaveformSpec {
    /// The rate of its input.
    pub input_rate: SampleRate,
    /// Output samples for each input sample.
    pub ratio: usize,
    /// Input samples of context before the core; their output is discarded.
    pub left: usize,
    /// Input samples of context after the core; their output is discarded.
    pub right: usize,
    /// Input samples whose output is kept.
    pub core: usize,
}

/// One tensor of a graph for a batch of one: its name and the dimensions after the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// `None`: any name.
    pub(crate) name: Option<&'static str>,
    pub(crate) dimensions: [usize; 2],
}

impl Tensor {
    /// Values in one item of the batch.
    pub(crate) fn len(&self) -> usize {
        self.dimensions.iter().product()
    }
}

impl ModelSpec {
    /// Reads the metadata of a model.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, ModelError> {
        let keys = Keys(metadata);
        keys.expect("contract", CONTRACT)?;
        keys.expect("channels", 1_u32)?;
        match keys.text("kind")? {
            "envelope" => envelope(&keys).map(Self::Envelope),
            "waveform" => waveform(&keys).map(Self::Waveform),
            _ => Err(keys.unsupported("kind", "the kinds are `envelope` and `waveform`")),
        }
    }

    /// The rate of the audio that the stage makes with the model.
    #[must_use]
    pub fn output_rate(&self) -> SampleRate {
        match self {
            Self::Envelope(_) => SampleRate::HZ_48000,
            Self::Waveform(waveform) => {
                let hz = waveform.input_rate.hz() as usize * waveform.ratio;
                u32::try_from(hz)
                    .ok()
                    .and_then(|hz| SampleRate::new(hz).ok())
                    .expect("checked when it was read")
            }
        }
    }

    /// The graph's input.
    pub(crate) fn input(&self) -> Tensor {
        match self {
            Self::Envelope(spec) => {
                Tensor { name: Some("features"), dimensions: [192, spec.left + spec.core + spec.right] }
            }
            Self::Waveform(spec) => Tensor { name: None, dimensions: [1, spec.window()] },
        }
    }

    /// The graph's outputs, in the order in which a result holds them.
    pub(crate) fn outputs(&self) -> Vec<Tensor> {
        match self {
            Self::Envelope(spec) => {
                ["gains", "mix"].map(|name| Tensor { name: Some(name), dimensions: [56, spec.core] }).to_vec()
            }
            Self::Waveform(spec) => vec![Tensor { name: None, dimensions: [1, spec.window() * spec.ratio] }],
        }
    }
}

impl WaveformSpec {
    /// Input samples in one window.
    #[must_use]
    pub fn window(&self) -> usize {
        self.left + self.core + self.right
    }
}

fn envelope(keys: &Keys<'_>) -> Result<EnvelopeSpec, ModelError> {
    for (key, value) in [
        ("input_rate", "48000"),
        ("output_rate", "48000"),
        ("fft_size", "1024"),
        ("hop", "256"),
        ("feature_bands", "96"),
        ("feature_bins", "4"),
        ("feature_eps", "1e-8"),
        ("feature_mean", "-2"),
        ("feature_scale", "2"),
        ("high_bands", "56"),
        ("high_first_bin", "64"),
        ("high_band_bins", "8"),
        ("fade_bins", "6"),
        ("min_cutoff_bin", "64"),
        ("max_cutoff_bin", "480"),
        ("copy_smooth_bins", "4"),
        ("gate_power", "1e-7"),
        ("headroom", "1.5"),
    ] {
        keys.expect(key, value.parse::<f64>().expect("a number"))?;
    }
    Ok(EnvelopeSpec {
        left: keys.count("context_left", 0, MAX_FRAMES)?,
        right: keys.count("context_right", 0, MAX_FRAMES)?,
        core: keys.count("core", 1, MAX_FRAMES)?,
    })
}

fn waveform(keys: &Keys<'_>) -> Result<WaveformSpec, ModelError> {
    let rate = |key| {
        let hz = keys.count(key, 1, SampleRate::MAX_HZ as usize)?;
        Ok(u32::try_from(hz).ok().and_then(|hz| SampleRate::new(hz).ok()).expect("in range"))
    };
    let (input_rate, output_rate): (SampleRate, SampleRate) = (rate("input_rate")?, rate("output_rate")?);
    if output_rate.hz() % input_rate.hz() != 0 {
        return Err(keys.unsupported("output_rate", "it must be a multiple of the input rate"));
    }
    let ratio = (output_rate.hz() / input_rate.hz()) as usize;
    let window = keys.count("window", 1, MAX_SAMPLES / ratio)?;
    let left = keys.count("context_left", 0, window)?;
    let right = keys.count("context_right", 0, window)?;
    match window.checked_sub(left + right) {
        Some(core) if core > 0 => Ok(WaveformSpec { input_rate, ratio, left, right, core }),
        _ => Err(keys.unsupported("window", "it must be longer than its contexts together")),
    }
}

/// Metadata, read with errors that name the key.
struct Keys<'a>(&'a BTreeMap<String, String>);

impl Keys<'_> {
    fn text(&self, key: &str) -> Result<&str, ModelError> {
        let key = format!("treble.{key}");
        self.0.get(&key).map(|value| value.trim()).ok_or(ModelError::Missing { key })
    }

    fn unsupported(&self, key: &str, expected: &str) -> ModelError {
        let value = self.text(key).unwrap_or_default().to_owned();
        ModelError::Unsupported { key: format!("treble.{key}"), value, expected: expected.to_owned() }
    }

    /// A key that must have one value.
    fn expect<T: FromStr + PartialEq + Display>(&self, key: &str, value: T) -> Result<(), ModelError> {
        if self.text(key)?.parse().is_ok_and(|found: T| found == value) {
            return Ok(());
        }
        Err(self.unsupported(key, &format!("this version of Treble works with {value}")))
    }

    fn count(&self, key: &str, least: usize, most: usize) -> Result<usize, ModelError> {
        match self.text(key)?.parse() {
            Ok(count) if (least..=most).contains(&count) => Ok(count),
            _ => Err(self.unsupported(key, &format!("it must be a whole number in {least}..={most}"))),
        }
    }
}

#[cfg(test)]
mod tests;
