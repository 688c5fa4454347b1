//! What may be configured.

use serde::{Deserialize, Serialize};
use treble_core::{Codec, ConfigError};

/// The section `[encode]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncodeConfig {
    /// What is written: `flac` (default), `opus` or `wav`.
    pub codec: Codec,
    /// Bits of each sample in FLAC and WAV: 24 (default) or 16. Opus takes what it needs.
    pub bits_per_sample: BitDepth,
    /// Settings of FLAC.
    pub flac: FlacConfig,
    /// Settings of Opus.
    pub opus: OpusConfig,
}

impl EncodeConfig {
    /// Checks what types cannot; the first fault found.
    pub fn check(&self) -> Result<(), ConfigError> {
        let OpusConfig { bitrate_bps } = self.opus;
        if (OpusConfig::MIN_BITRATE_BPS..=OpusConfig::MAX_BITRATE_BPS).contains(&bitrate_bps) {
            return Ok(());
        }
        Err(ConfigError {
            key: "encode.opus.bitrate_bps",
            problem: format!("{bitrate_bps} bit/s is outside what Opus can do"),
            fix: format!("choose {} to {}", OpusConfig::MIN_BITRATE_BPS, OpusConfig::MAX_BITRATE_BPS),
        })
    }
}

/// Settings of FLAC.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlacConfig {
    /// How much effort goes into small files; the samples are the same.
    pub compression: Compression,
}

/// How much effort FLAC puts into small files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// Fixed predictors only: about twice as fast as `default`, and 4 to 21 % larger on two clips (docs/performance.md).
    Fast,
    /// Linear prediction up to order 8.
    #[default]
    Default,
    /// Linear prediction up to order 12.
    Best,
}

/// Settings of Opus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpusConfig {
    /// Mean bit rate of all channels together, in bit/s: 6,000 to 510,000 (RFC 6716 section 2.1.1).
    pub bitrate_bps: u32,
}

impl OpusConfig {
    /// The lowest bit rate of RFC 6716.
    pub const MIN_BITRATE_BPS: u32 = 6_000;
    /// The highest bit rate of RFC 6716.
    pub const MAX_BITRATE_BPS: u32 = 510_000;
}

impl Default for OpusConfig {
    /// 160 kbit/s: transparent for stereo music in the listening tests of the format's authors.
    fn default() -> Self {
        Self { bitrate_bps: 160_000 }
    }
}

/// Bits of one sample of integer PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum BitDepth {
    /// 16 bit.
    B16,
    /// 24 bit.
    #[default]
    B24,
}

impl BitDepth {
    /// The number of bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::B16 => 16,
            Self::B24 => 24,
        }
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self.bits() as usize / 8
    }
}

impl TryFrom<u8> for BitDepth {
    type Error = String;
    fn try_from(bits: u8) -> Result<Self, String> {
        match bits {
            16 => Ok(Self::B16),
            24 => Ok(Self::B24),
            other => Err(format!("{other} bits per sample are not written: choose 16 or 24")),
        }
    }
}

impl From<BitDepth> for u8 {
    fn from(depth: BitDepth) -> Self {
        depth.bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_flac_of_24_bit_and_is_valid() {
        let config = EncodeConfig::default();
        assert_eq!((config.codec, config.bits_per_sample), (Codec::Flac, BitDepth::B24));
        assert_eq!(config.flac.compression, Compression::Default);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn an_impossible_bit_rate_names_its_key_and_the_range() {
        let check = |bitrate_bps| {
            EncodeConfig { opus: OpusConfig { bitrate_bps }, ..EncodeConfig::default() }.check()
        };
        assert!(check(6_000).is_ok() && check(510_000).is_ok());
        for bitrate_bps in [0, 5_999, 510_001, u32::MAX] {
            let error = check(bitrate_bps).unwrap_err().to_string();
            assert!(
                error.starts_with("encode.opus.bitrate_bps") && error.contains("6000 to 510000"),
                "{error}"
            );
        }
    }

    #[test]
    fn only_16_and_24_bits_are_written() {
        for bits in 0..=u8::MAX {
            assert_eq!(BitDepth::try_from(bits).is_ok(), [16, 24].contains(&bits), "{bits}");
        }
        assert_eq!(BitDepth::try_from(16).map(BitDepth::bits), Ok(16));
    }
}
