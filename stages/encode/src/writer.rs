//! Picks the format, and says what the stage must know about it.

use crate::config::{BitDepth, EncodeConfig};
use crate::flac::{self, FlacWriter};
use crate::opus::{self, OpusWriter};
use crate::wav::WavWriter;
use treble_core::{Codec, PcmSpec, StageError};

/// One format, for one stream.
#[derive(Debug)]
pub(crate) enum Writer {
    Flac(FlacWriter),
    Opus(OpusWriter),
    Wav(WavWriter),
}

impl Writer {
    pub(crate) fn new(config: &EncodeConfig, spec: PcmSpec) -> Result<Self, StageError> {
        let bits = Self::bits(config);
        match config.codec {
            Codec::Flac => FlacWriter::new(spec, bits, config.flac.compression).map(Self::Flac),
            Codec::Opus => OpusWriter::new(spec, config.opus.bitrate_bps).map(Self::Opus),
            Codec::Wav => Ok(Self::Wav(WavWriter::new(spec, bits))),
        }
    }

    /// Bits of the integers that [`encode`](Self::encode) takes.
    pub(crate) fn bits(config: &EncodeConfig) -> BitDepth {
        match config.codec {
            Codec::Flac | Codec::Wav => config.bits_per_sample,
            Codec::Opus => BitDepth::B24,
        }
    }

    /// PCM frames in one codec frame.
    pub(crate) fn block_frames(&self) -> usize {
        match self {
            Self::Flac(_) => flac::BLOCK_FRAMES,
            Self::Opus(_) => opus::PACKET_FRAMES,
            Self::Wav(_) => 1,
        }
    }

    /// Whether a successor may begin at any chunk.
    pub(crate) fn restarts_at_chunks(&self) -> bool {
        match self {
            Self::Flac(_) | Self::Wav(_) => true,
            Self::Opus(_) => false,
        }
    }

    /// The head of the file.
    pub(crate) fn header(&mut self) -> Result<Vec<u8>, StageError> {
        match self {
            Self::Flac(flac) => Ok(flac.header()),
            Self::Opus(opus) => opus.header(),
            Self::Wav(wav) => Ok(wav.header()),
        }
    }

    /// The bytes of a chunk of whole codec frames (interleaved integers) that begins at `first_frame`.
    pub(crate) fn encode(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        match self {
            Self::Flac(flac) => flac.encode(samples, first_frame),
            Self::Opus(opus) => opus.encode(samples, first_frame),
            Self::Wav(wav) => Ok(wav.encode(samples)),
        }
    }

    /// The bytes of what remains, fewer frames than a chunk and perhaps none, and of the file's end.
    pub(crate) fn finish(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        match self {
            Self::Opus(opus) => opus.finish(samples, first_frame),
            Self::Flac(_) | Self::Wav(_) => self.encode(samples, first_frame),
        }
    }
}
