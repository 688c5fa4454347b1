//! Why a segment is not what its format says.

use thiserror::Error;
use treble_core::units::OutOfRange;

/// Why a segment cannot become a payload. All of these are faults of the record, so of its stream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConvertError {
    /// A rate or a channel count that no audio has.
    #[error("format: {0}")]
    Format(#[from] OutOfRange),
    /// PCM of an unknown depth.
    #[error("format.sample_format {number} is not one of S16, S24, F32; set it, or upgrade Treble")]
    SampleFormat {
        /// The number on the wire.
        number: i32,
    },
    /// More samples are claimed than a chunk may hold.
    #[error(
        "the chunk claims {frames} frames of {channels} channels, more than {limit} bytes of samples; cut smaller"
    )]
    BlockTooLarge {
        /// Frames claimed.
        frames: u64,
        /// Channels.
        channels: u64,
        /// The limit, in bytes of 32-bit samples.
        limit: u64,
    },
    /// The compressed data is damaged, or holds more than was claimed.
    #[error("the PCM data cannot be decompressed into the {claimed} bytes that its frames need: {detail}")]
    Decompress {
        /// Bytes that the claimed frames need.
        claimed: usize,
        /// What zstd said.
        detail: String,
    },
    /// The data holds less than was claimed.
    #[error("the PCM data holds {actual} bytes, its frames need {claimed}")]
    Length {
        /// Bytes that the claimed frames need.
        claimed: usize,
        /// Bytes there are.
        actual: usize,
    },
    /// Samples that are no numbers.
    #[error("{samples} samples are NaN or infinite; only finite samples may travel between stages")]
    NotFinite {
        /// How many.
        samples: u64,
    },
    /// More is trimmed than there is.
    #[error("{trim} frames are to be trimmed from a chunk of {frames}")]
    TrimTooLong {
        /// Frames to trim.
        trim: u64,
        /// Frames there are.
        frames: u64,
    },
    /// Encoded bytes cannot be trimmed before they are decoded.
    #[error(
        "trim_start and trim_end apply to PCM; for encoded audio let the container say the encoder's delay"
    )]
    TrimOfEncoded,
}

impl ConvertError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Format(_) => "convert_format",
            Self::SampleFormat { .. } => "convert_sample_format",
            Self::BlockTooLarge { .. } => "convert_block_too_large",
            Self::Decompress { .. } => "convert_decompress",
            Self::Length { .. } => "convert_length",
            Self::NotFinite { .. } => "convert_not_finite",
            Self::TrimTooLong { .. } => "convert_trim_too_long",
            Self::TrimOfEncoded => "convert_trim_of_encoded",
        }
    }
}
