//! Numbers that are easily confused, as types. Constructors check the range once, so nobody re-checks.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A unit was given a value outside its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{what} must lie in {min}..={max}, got {actual}")]
pub struct OutOfRange {
    /// What the number means, with its unit.
    pub what: &'static str,
    /// The smallest value allowed.
    pub min: u64,
    /// The largest value allowed.
    pub max: u64,
    /// The value that was refused.
    pub actual: u64,
}

/// Frames per second, 1 Hz to 768 kHz (the highest rate that PCM hardware and FLAC files are seen with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct SampleRate(u32);

impl SampleRate {
    /// 48 kHz, the rate Treble restores to by default.
    pub const HZ_48000: Self = Self(48_000);
    /// The highest rate accepted, in Hz.
    pub const MAX_HZ: u32 = 768_000;

    /// A rate of `hz` frames per second; an error outside 1..=768,000.
    pub fn new(hz: u32) -> Result<Self, OutOfRange> {
        match hz {
            1..=Self::MAX_HZ => Ok(Self(hz)),
            _ => Err(OutOfRange {
                what: "sample rate (Hz)",
                min: 1,
                max: Self::MAX_HZ.into(),
                actual: hz.into(),
            }),
        }
    }

    /// The rate in Hz.
    #[must_use]
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// How long `frames` last at this rate, in seconds.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 frames are 6,000 years at 48 kHz")]
    pub fn seconds(self, frames: u64) -> f64 {
        frames as f64 / f64::from(self.0)
    }
}

impl TryFrom<u32> for SampleRate {
    type Error = OutOfRange;
    fn try_from(hz: u32) -> Result<Self, OutOfRange> {
        Self::new(hz)
    }
}

impl From<SampleRate> for u32 {
    fn from(rate: SampleRate) -> Self {
        rate.0
    }
}

/// Channels of a stream, 1..=32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct ChannelCount(u8);

impl ChannelCount {
    /// One channel.
    pub const MONO: Self = Self(1);
    /// Two channels.
    pub const STEREO: Self = Self(2);
    /// The most channels accepted.
    pub const MAX: u32 = 32;

    /// `count` channels; an error outside 1..=32.
    pub fn new(count: u32) -> Result<Self, OutOfRange> {
        match u8::try_from(count) {
            Ok(small) if (1..=Self::MAX).contains(&count) => Ok(Self(small)),
            _ => Err(OutOfRange { what: "channels", min: 1, max: Self::MAX.into(), actual: count.into() }),
        }
    }

    /// The number of channels.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u32> for ChannelCount {
    type Error = OutOfRange;
    fn try_from(count: u32) -> Result<Self, OutOfRange> {
        Self::new(count)
    }
}

impl From<ChannelCount> for u32 {
    fn from(channels: ChannelCount) -> Self {
        channels.0.into()
    }
}

/// Whether a stream is cut for short delay or for few records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// A file: chunks of up to one second.
    #[default]
    Bulk,
    /// A live source: chunks of 100 ms.
    Live,
}
