//! The restart point as bytes.

use treble_core::{ChannelCount, Pace, SampleRate};
use treble_core::{Codec, PcmSpec, SampleDepth, StageError};

/// The layout below; changes with it.
const VERSION: u8 = 1;
const BYTES: usize = 41;

/// Where a stream stands at the start of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// What is being written; a successor with another codec cannot go on.
    pub(crate) codec: Codec,
    /// Bits of the samples written.
    pub(crate) bits: u8,
    /// The stream's format, as announced.
    pub(crate) spec: PcmSpec,
    /// PCM frames in all chunks emitted.
    pub(crate) frames_emitted: u64,
    /// Items emitted, the head included.
    pub(crate) items_emitted: u64,
    /// The number of the first input that must be pushed again.
    pub(crate) input: u64,
    /// PCM frames of that input that are in chunks emitted.
    pub(crate) skip_frames: u64,
}

impl Checkpoint {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let Self { codec, bits, spec, frames_emitted, items_emitted, input, skip_frames } = self;
        let mut bytes = vec![VERSION, codec as u8, bits, spec.depth as u8, spec.pace as u8];
        bytes.extend((u32::from(spec.channels) << 24 | spec.rate.hz()).to_le_bytes());
        for number in [frames_emitted, items_emitted, input, skip_frames] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// `codec` and `bits` are what the successor is configured for.
    pub(crate) fn from_bytes(bytes: &[u8], codec: Codec, bits: u8) -> Result<Self, StageError> {
        let refuse = |detail: &str| StageError::Checkpoint { detail: format!("encode: {detail}") };
        let bytes: &[u8; BYTES] = bytes.try_into().map_err(|_| refuse("wrong length"))?;
        let [version, was_codec, was_bits, depth, pace, r0, r1, r2, channels, ..] = *bytes;
        if version != VERSION {
            return Err(refuse("written by another version; replay the stream from its start"));
        }
        if (was_codec, was_bits) != (codec as u8, bits) {
            return Err(refuse(
                "written with another codec or bits_per_sample; set them back until the stream ends",
            ));
        }
        let depth = match depth {
            0 => SampleDepth::S16,
            1 => SampleDepth::S24,
            2 => SampleDepth::F32,
            _ => return Err(refuse("unknown sample depth")),
        };
        let pace = match pace {
            0 => Pace::Bulk,
            1 => Pace::Live,
            _ => return Err(refuse("unknown pace")),
        };
        let rate =
            SampleRate::new(u32::from_le_bytes([r0, r1, r2, 0])).map_err(|e| refuse(&e.to_string()))?;
        let channels = ChannelCount::new(channels.into()).map_err(|e| refuse(&e.to_string()))?;
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[9 + 8 * at + byte]));
        Ok(Self {
            codec,
            bits,
            spec: PcmSpec { rate, channels, depth, pace },
            frames_emitted: number(0),
            items_emitted: number(1),
            input: number(2),
            skip_frames: number(3),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        Checkpoint {
            codec: Codec::Flac,
            bits: 24,
            spec: PcmSpec {
                rate: SampleRate::new(768_000).unwrap(),
                channels: ChannelCount::new(32).unwrap(),
                depth: SampleDepth::F32,
                pace: Pace::Live,
            },
            frames_emitted: u64::MAX,
            items_emitted: 1 << 40,
            input: 3,
            skip_frames: 4,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = example().to_bytes();
        assert_eq!(bytes.len(), BYTES);
        assert_eq!(Checkpoint::from_bytes(&bytes, Codec::Flac, 24), Ok(example()));
    }

    fn check_refused(at: usize, value: u8, says: &str) {
        let mut bytes = example().to_bytes();
        bytes[at] = value;
        let error = Checkpoint::from_bytes(&bytes, Codec::Flac, 24).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_reason() {
        check_refused(0, 2, "another version");
        check_refused(1, Codec::Wav as u8, "another codec");
        check_refused(2, 16, "bits_per_sample");
        check_refused(3, 9, "depth");
        check_refused(4, 9, "pace");
        check_refused(7, 0xff, "sample rate");
        check_refused(8, 0, "channels");
        let error = Checkpoint::from_bytes(&[], Codec::Flac, 24).unwrap_err().to_string();
        assert!(error.contains("wrong length"), "{error}");
    }
}
