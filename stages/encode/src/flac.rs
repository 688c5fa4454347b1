//! Native FLAC (RFC 9639): a head of our own, and frames by flac-codec, or by libFLAC with the feature `libflac`.

#[cfg(not(feature = "libflac"))]
mod flac_codec;
#[cfg(feature = "libflac")]
mod libflac;

#[cfg(not(feature = "libflac"))]
use self::flac_codec::each_frame;
#[cfg(feature = "libflac")]
use self::libflac::each_frame;
use crate::config::{BitDepth, Compression};
use crate::frame_header::renumber;
use ::flac_codec::stream::SampleRate as FrameRate;
use treble_core::{PcmSpec, StageError};

/// Samples of each channel in a frame: the block size of the reference encoder, within the streamable subset.
pub(crate) const BLOCK_FRAMES: usize = 4096;
/// The most channels that FLAC holds.
const MAX_CHANNELS: usize = 8;

/// Writes frames of [`BLOCK_FRAMES`], each of which depends on its samples and its number only.
#[derive(Debug)]
pub(crate) struct FlacWriter {
    spec: PcmSpec,
    frames: FrameSettings,
}

/// What a writer of frames has to know.
#[derive(Debug, Clone, Copy)]
struct FrameSettings {
    channels: usize,
    bits: BitDepth,
    compression: Compression,
    /// Any listed rate where the true one has no code in a frame.
    listed_rate_hz: u32,
}

impl FlacWriter {
    pub(crate) fn new(spec: PcmSpec, bits: BitDepth, compression: Compression) -> Result<Self, StageError> {
        let channels = spec.channels.count();
        if channels > MAX_CHANNELS {
            return Err(StageError::Encoder {
                detail: format!("FLAC holds {MAX_CHANNELS} channels, the stream has {channels}; choose wav"),
            });
        }
        let listed = !matches!(FrameRate::try_from(spec.rate.hz()), Ok(FrameRate::Streaminfo(_)) | Err(_));
        let listed_rate_hz = if listed { spec.rate.hz() } else { 48_000 };
        Ok(Self { spec, frames: FrameSettings { channels, bits, compression, listed_rate_hz } })
    }

    /// `fLaC` and STREAMINFO (section 8.2). Frame sizes, total and MD5 are 0, which means unknown.
    pub(crate) fn header(&self) -> Vec<u8> {
        const LAST_BLOCK_STREAMINFO: u8 = 0x80;
        const STREAMINFO_BYTES: u8 = 34;
        let mut head = b"fLaC".to_vec();
        head.extend([LAST_BLOCK_STREAMINFO, 0, 0, STREAMINFO_BYTES]);
        let block = (BLOCK_FRAMES as u16).to_be_bytes();
        head.extend([block, block].concat());
        head.extend([0; 6]);
        let channels = self.frames.channels as u64 - 1;
        let bits = u64::from(self.frames.bits.bits()) - 1;
        let packed = u64::from(self.spec.rate.hz()) << 44 | channels << 41 | bits << 36;
        head.extend(packed.to_be_bytes());
        head.extend([0; 16]);
        head
    }

    /// The frames of `samples` (interleaved), of which the first is number `first_frame / 4096`. Only the last
    /// frame of a stream may be short.
    pub(crate) fn encode(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        let rate_unlisted = self.frames.listed_rate_hz != self.spec.rate.hz();
        let mut out = Vec::with_capacity(samples.len() * self.frames.bits.bytes());
        let mut number = first_frame / BLOCK_FRAMES as u64;
        let written = each_frame(&self.frames, samples, |frame| {
            renumber(frame, number, rate_unlisted, &mut out).ok_or("it cannot be numbered")?;
            number += 1;
            Ok(())
        });
        written.map_err(|error| StageError::Encoder { detail: format!("FLAC frame {number}: {error}") })?;
        out.shrink_to_fit();
        Ok(out)
    }
}
