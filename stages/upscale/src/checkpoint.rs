//! What a successor needs to know to continue a stream.

use crate::bandwidth::Decision;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use treble_core::{PcmSpec, SampleRate, StageError};

/// The contents of [`treble_core::Restart::checkpoint`], as TOML: a few hundred bytes that an operator can read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    /// The format that the stream's inputs have.
    pub(crate) spec: PcmSpec,
    /// The rate of the output.
    pub(crate) output_rate: SampleRate,
    /// The number of the first input that is pushed again.
    pub(crate) input: u64,
    /// The index of the first frame of that input.
    pub(crate) input_frame: u64,
    /// The index of the first output frame that is then emitted.
    pub(crate) output_frame: u64,
    /// What the bandwidth detector decided, where it has. While it has not, a successor listens anew: all
    /// that was emitted before was silent.
    pub(crate) decision: Option<Decision>,
}

impl Checkpoint {
    /// The bytes that go into the state record.
    pub(crate) fn encode(&self) -> Bytes {
        toml::to_string(self).expect("plain numbers and names are TOML").into()
    }

    /// The checkpoint that `bytes` hold, for a stage that writes at `output_rate`.
    pub(crate) fn decode(bytes: &[u8], output_rate: SampleRate) -> Result<Self, StageError> {
        let unusable = |detail: String| StageError::Checkpoint { detail };
        let text = std::str::from_utf8(bytes).map_err(|error| unusable(error.to_string()))?;
        let checkpoint: Self = toml::from_str(text).map_err(|error| unusable(error.to_string()))?;
        if checkpoint.output_rate != output_rate {
            return Err(unusable(format!(
                "it was written at {} Hz, upscale.output_rate_hz is now {}",
                checkpoint.output_rate.hz(),
                output_rate.hz()
            )));
        }
        Ok(checkpoint)
    }
}
