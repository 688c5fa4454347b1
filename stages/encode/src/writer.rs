//! Picks the format, and says what the stage must know about it.

use crate::config::{BitDepth, EncodeConfig};
use crate::flac::{self, FlacWriter};
use treble_core::{Codec, PcmSpec, StageError};

/// One format, for one stream.
#[derive(Debug)]
pub(crate) enum Writer {
    Flac(FlacWriter),
}

impl Writer {
    pub(crate) fn new(config: &EncodeConfig, spec: PcmSpec) -> Result<Self, StageError> {
        match config.codec {
            Codec::Flac => {
                FlacWriter::new(spec, config.bits_per_sample, config.flac.compression).map(Self::Flac)
            }
            Codec::Opus | Codec::Wav => Err(StageError::Encoder { detail: String::from("not built in") }),
        }
    }

    /// Bits of the integers that [`encode`](Self::encode) takes.
    pub(crate) fn bits(config: &EncodeConfig) -> BitDepth {
        config.bits_per_sample
    }

    /// PCM frames in one codec frame.
    pub(crate) fn block_frames(&self) -> usize {
        match self {
            Self::Flac(_) => flac::BLOCK_FRAMES,
        }
    }

    /// Whether a successor may begin at any chunk.
    pub(crate) fn restarts_at_chunks(&self) -> bool {
        match self {
            Self::Flac(_) => true,
        }
    }

    /// The head of the file.
    pub(crate) fn header(&mut self) -> Result<Vec<u8>, StageError> {
        match self {
            Self::Flac(flac) => Ok(flac.header()),
        }
    }

    /// The bytes of a chunk of whole codec frames (interleaved integers) that begins at `first_frame`.
    pub(crate) fn encode(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        let mut out = Vec::with_capacity(samples.len() * size_of::<i32>());
        match self {
            Self::Flac(flac) => flac.encode(samples, first_frame, &mut out)?,
        }
        Ok(out)
    }

    /// The bytes of what remains, fewer frames than a chunk and perhaps none, and of the file's end.
    pub(crate) fn finish(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        match self {
            Self::Flac(_) => self.encode(samples, first_frame),
        }
    }
}
