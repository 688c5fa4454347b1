//! Bytes of a codec, and what they are.

use crate::units::{ChannelCount, Pace, SampleRate};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The codecs and containers that Treble writes; what it reads is told by the bytes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Native FLAC (RFC 9639).
    #[default]
    Flac,
    /// Opus in Ogg (RFC 7845).
    Opus,
    /// RIFF WAVE.
    Wav,
}

impl Codec {
    /// The name in configuration and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flac => "flac",
            Self::Opus => "opus",
            Self::Wav => "wav",
        }
    }

    /// The media type of a file of this codec (RFC 9639, RFC 7845, RFC 2361).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Flac => "audio/flac",
            Self::Opus => "audio/ogg; codecs=opus",
            Self::Wav => "audio/wav",
        }
    }
}

/// What a run of encoded bytes is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncodedFormat {
    /// The media type, as the producer gave it (a hint, not trusted) or as the encoder knows it.
    pub media_type: String,
    /// The frame rate, where it is known without decoding; headerless PCM needs it.
    pub rate: Option<SampleRate>,
    /// The channels, where they are known without decoding; headerless PCM needs them.
    pub channels: Option<ChannelCount>,
    /// Whether the stream is live or bulk.
    pub pace: Pace,
}

/// Encoded bytes of one stream, cut anywhere on the way in and at frame boundaries on the way out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncodedChunk {
    /// What the bytes are.
    pub format: EncodedFormat,
    /// The bytes; empty in a chunk that only announces a format.
    pub data: Bytes,
    /// The index of the first frame that the bytes hold; 0 where it is unknown.
    pub first_frame: u64,
    /// How many frames the bytes hold; 0 where it is unknown, and for headers.
    pub frames: u64,
    /// Whether something is missing just before these bytes.
    pub discontinuity: bool,
}
