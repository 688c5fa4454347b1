//! Ceilings on what one stream may cost, an error each.
//!
//! Every ceiling is checked at a point that depends on the bytes alone, so that the error is the same however
//! the stream was cut.

use serde::{Deserialize, Serialize};
use treble_core::{ChannelCount, ConfigError, LimitKind, SampleRate, StageError};

/// Decoded bytes that are never held against a stream: the expansion limit is about bombs, and a short
/// stream of silence packs beyond any sensible ratio. 32 MiB are three minutes of stereo at 44.1 kHz.
const FREE_DECODED_BYTES: u64 = 32 << 20;

/// Ceilings on what one stream may cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Encoded bytes of one stream. Default 64 GiB: a year of live MP3 at 16 kbit/s.
    pub stream_bytes: u64,
    /// Encoded bytes held back for a container that needs seeking: MP4, AIFF, CAF. Default 256 MiB.
    pub spool_bytes: u64,
    /// Channels, 1..=32. Default 32.
    pub channels: u32,
    /// Frames per second, up to 768,000. Default 768,000.
    pub sample_rate_hz: u32,
    /// Decoded seconds of one stream. Default 31,622,400: a year of live audio.
    pub duration_seconds: u64,
    /// Decoded bytes (as `f32`) for each byte of packets, over a free allowance of 32 MiB. Default 1,000;
    /// Opus at 6 kbit/s reaches 512. One push can allocate this many times its own size.
    pub expansion_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream_bytes: 64 << 30,
            spool_bytes: 256 << 20,
            channels: ChannelCount::MAX,
            sample_rate_hz: SampleRate::MAX_HZ,
            duration_seconds: 366 * 24 * 3600,
            expansion_ratio: 1_000,
        }
    }
}

impl Limits {
    /// Refuses limits that no stream could keep.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let zero = [
            (LimitKind::StreamBytes, self.stream_bytes),
            (LimitKind::SpoolBytes, self.spool_bytes),
            (LimitKind::Channels, self.channels.into()),
            (LimitKind::SampleRate, self.sample_rate_hz.into()),
            (LimitKind::DurationSeconds, self.duration_seconds),
            (LimitKind::ExpansionRatio, self.expansion_ratio),
        ]
        .into_iter()
        .find(|(_, value)| *value == 0);
        match zero {
            None => Ok(()),
            Some((kind, _)) => Err(ConfigError {
                key: kind.key(),
                problem: "0 refuses every stream".to_owned(),
                fix: "give a positive number, or leave the key out for the default".to_owned(),
            }),
        }
    }

    /// The format of a stream, checked against the limits.
    pub(crate) fn admit(&self, hz: u32, channels: usize) -> Result<(SampleRate, ChannelCount), StageError> {
        let count = u32::try_from(channels).unwrap_or(u32::MAX);
        check(LimitKind::Channels, count.into(), self.channels.min(ChannelCount::MAX).into())?;
        check(LimitKind::SampleRate, hz.into(), self.sample_rate_hz.min(SampleRate::MAX_HZ).into())?;
        let unusable = |what: String| StageError::Unsupported { detail: what };
        let rate = SampleRate::new(hz).map_err(|error| unusable(error.to_string()))?;
        let channels = ChannelCount::new(count).map_err(|error| unusable(error.to_string()))?;
        Ok((rate, channels))
    }

    /// Checks `frames` decoded at `rate` so far.
    pub(crate) fn check_duration(&self, frames: u64, rate: SampleRate) -> Result<(), StageError> {
        check(LimitKind::DurationSeconds, frames / u64::from(rate.hz()), self.duration_seconds)
    }

    /// Checks `decoded` bytes of samples that came out of `encoded` bytes of packets so far.
    pub(crate) fn check_expansion(&self, decoded: u64, encoded: u64) -> Result<(), StageError> {
        let ratio = decoded.saturating_sub(FREE_DECODED_BYTES) / encoded.max(1);
        check(LimitKind::ExpansionRatio, ratio, self.expansion_ratio)
    }
}

/// The error of `kind` if `actual` is over `limit`.
pub(crate) fn check(kind: LimitKind, actual: u64, limit: u64) -> Result<(), StageError> {
    if actual > limit { Err(StageError::Limit { kind, actual, limit }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(result: Result<(), StageError>) -> Option<LimitKind> {
        match result {
            Err(StageError::Limit { kind, .. }) => Some(kind),
            _ => None,
        }
    }

    #[test]
    fn each_limit_has_its_own_error() {
        let limits =
            Limits { channels: 2, sample_rate_hz: 48_000, duration_seconds: 10, ..Limits::default() };
        assert_eq!(kind_of(limits.admit(48_000, 3).map(drop)), Some(LimitKind::Channels));
        assert_eq!(kind_of(limits.admit(96_000, 2).map(drop)), Some(LimitKind::SampleRate));
        let rate = SampleRate::HZ_48000;
        assert_eq!(kind_of(limits.check_duration(48_000 * 11 - 1, rate)), None);
        assert_eq!(kind_of(limits.check_duration(48_000 * 11, rate)), Some(LimitKind::DurationSeconds));
        assert_eq!(kind_of(limits.check_expansion(FREE_DECODED_BYTES, 0)), None);
        assert_eq!(
            kind_of(limits.check_expansion(FREE_DECODED_BYTES + 2_002, 2)),
            Some(LimitKind::ExpansionRatio)
        );
    }

    #[test]
    fn no_channels_and_no_rate_are_unsupported() {
        assert_eq!(Limits::default().admit(0, 2).unwrap_err().code(), "unsupported_codec");
        assert_eq!(Limits::default().admit(8_000, 0).unwrap_err().code(), "unsupported_codec");
    }

    #[test]
    fn a_limit_of_zero_is_refused_by_name() {
        let error = Limits { spool_bytes: 0, ..Limits::default() }.validate().unwrap_err();
        assert_eq!(error.key, "decode.limits.spool_bytes");
        assert!(Limits::default().validate().is_ok());
    }
}
