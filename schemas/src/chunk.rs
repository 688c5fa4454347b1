//! `AudioChunk`, the record of every audio topic, as a view that has been checked.
//!
//! [`AudioChunk::decode`] establishes: the stream id is valid, the kind is known and carries what it must,
//! the encoding is known, the data is within its limit and matches its checksum where one was given. The
//! data is a slice of the record, not a copy.

use crate::proto::{self, AbortReason, AudioFormat, Encoding, Source, Totals};
use crate::topic::{StreamId, StreamIdError};
use bytes::Bytes;
use prost::Message;
use thiserror::Error;

pub use crate::proto::ChunkKind;

/// The most bytes of data in one chunk, unless a reader is told otherwise: half of what Kafka's defaults
/// let through, so that no topic needs tuning for chunks.
pub const MAX_DATA_BYTES: usize = 512 * 1024;

/// One piece of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct AudioChunk {
    /// The stream; also the key of the record.
    pub stream_id: StreamId,
    /// The number of the chunk within its stream and stage, gapless from 0.
    pub seq: u64,
    /// When the first frame was captured, or published where that is unknown: Unix time in microseconds.
    pub capture_time_us: i64,
    /// The record this chunk was made from; `None` on what a producer publishes.
    pub source: Option<Source>,
    /// What the chunk says.
    pub body: ChunkBody,
}

/// What a chunk says.
#[derive(Debug, Clone, PartialEq)]
pub enum ChunkBody {
    /// The stream begins. The segment may already hold data, such as a container's header.
    Start {
        /// What the data of this and the following chunks is.
        format: AudioFormat,
        /// Data, if any.
        segment: Segment,
    },
    /// The stream goes on.
    Data {
        /// The format from this chunk on, where it changes.
        format: Option<AudioFormat>,
        /// The data.
        segment: Segment,
    },
    /// The stream is complete.
    End(Totals),
    /// The stream was given up; what came before is all there will be.
    Abort(AbortReason),
}

impl ChunkBody {
    /// The kind on the wire.
    #[must_use]
    pub const fn kind(&self) -> ChunkKind {
        match self {
            Self::Start { .. } => ChunkKind::Start,
            Self::Data { .. } => ChunkKind::Data,
            Self::End(_) => ChunkKind::End,
            Self::Abort(_) => ChunkKind::Abort,
        }
    }
}

/// A run of audio bytes and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Segment {
    /// Index of the first frame, counted from the start of the stream; 0 where it is unknown.
    pub pts_samples: u64,
    /// Frames in `data`; 0 where it is unknown, and for headers.
    pub n_samples: u64,
    /// Whether something is missing just before.
    pub discontinuity: bool,
    /// Frames to drop from the beginning of what `data` decodes to.
    pub trim_start: u32,
    /// Frames to drop from its end.
    pub trim_end: u32,
    /// How `data` is represented.
    pub encoding: Encoding,
    /// The bytes.
    pub data: Bytes,
}

/// Why a message is not a chunk that can be processed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChunkError {
    /// Not an `AudioChunk`.
    #[error("the value is no AudioChunk message: {detail}; write it with treble/v1/chunk.proto")]
    Malformed {
        /// What the decoder said.
        detail: String,
    },
    /// The stream id is not usable.
    #[error("stream_id: {0}")]
    StreamId(#[from] StreamIdError),
    /// The record's key is not the stream id.
    #[error("the record's key is not its stream_id {stream_id:?}; set the key to the stream id")]
    KeyMismatch {
        /// The stream id of the message.
        stream_id: String,
    },
    /// No kind, or one that this version does not know.
    #[error("kind {kind} is not one of START, DATA, END, ABORT; set it, or upgrade Treble")]
    UnknownKind {
        /// The number on the wire.
        kind: i32,
    },
    /// An encoding that this version does not know.
    #[error("encoding {encoding} is unknown; upgrade Treble, or send the bytes as they are")]
    UnknownEncoding {
        /// The number on the wire.
        encoding: i32,
    },
    /// START without a format.
    #[error("START carries no format; set at least format.codec to the media type")]
    MissingFormat,
    /// END or ABORT with data.
    #[error(
        "{kind:?} carries {bytes} bytes of data, which would be lost; send them in a DATA chunk before it"
    )]
    UnexpectedData {
        /// The kind.
        kind: ChunkKind,
        /// Bytes of data.
        bytes: usize,
    },
    /// The data is over the limit.
    #[error("the chunk has {bytes} bytes of data, more than {limit}; cut the stream into smaller chunks")]
    TooLarge {
        /// Bytes of data.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The checksum does not match the data.
    #[error(
        "the data's CRC-32C is {actual:#010x}, the chunk says {claimed:#010x}; it was damaged on the way"
    )]
    Crc {
        /// What the chunk says.
        claimed: u32,
        /// What the data has.
        actual: u32,
    },
}

impl ChunkError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "chunk_malformed",
            Self::StreamId(_) => "chunk_stream_id",
            Self::KeyMismatch { .. } => "chunk_key_mismatch",
            Self::UnknownKind { .. } => "chunk_unknown_kind",
            Self::UnknownEncoding { .. } => "chunk_unknown_encoding",
            Self::MissingFormat => "chunk_missing_format",
            Self::UnexpectedData { .. } => "chunk_unexpected_data",
            Self::TooLarge { .. } => "chunk_too_large",
            Self::Crc { .. } => "chunk_crc",
        }
    }
}

impl AudioChunk {
    /// Reads and checks a message (without its frame) with at most [`MAX_DATA_BYTES`] of data.
    pub fn decode(body: Bytes) -> Result<Self, ChunkError> {
        Self::decode_within(body, MAX_DATA_BYTES)
    }

    /// Reads and checks a message (without its frame) with at most `limit` bytes of data.
    pub fn decode_within(body: Bytes, limit: usize) -> Result<Self, ChunkError> {
        let message = proto::AudioChunk::decode(body)
            .map_err(|error| ChunkError::Malformed { detail: error.to_string() })?;
        Self::from_message(message, limit)
    }

    /// Refuses a chunk whose record has another key than its stream id: the key decides the partition, and
    /// with it which process owns the stream.
    pub fn check_key(&self, key: &[u8]) -> Result<(), ChunkError> {
        if key == self.stream_id.as_str().as_bytes() {
            return Ok(());
        }
        Err(ChunkError::KeyMismatch { stream_id: self.stream_id.as_str().to_owned() })
    }

    /// The message's bytes (without a frame).
    #[must_use]
    pub fn encode_to_vec(&self) -> Vec<u8> {
        self.to_message().encode_to_vec()
    }

    /// Appends the message's bytes (without a frame) to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let message = self.to_message();
        out.reserve(message.encoded_len());
        message.encode_raw(out);
    }

    fn from_message(message: proto::AudioChunk, limit: usize) -> Result<Self, ChunkError> {
        let kind = known_kind(message.kind)?;
        let encoding = Encoding::try_from(message.encoding)
            .map_err(|_| ChunkError::UnknownEncoding { encoding: message.encoding })?;
        check_data(&message.data, message.crc32c, limit)?;
        let segment = Segment {
            pts_samples: message.pts_samples,
            n_samples: message.n_samples,
            discontinuity: message.discontinuity,
            trim_start: message.trim_start,
            trim_end: message.trim_end,
            encoding,
            data: message.data,
        };
        let body = match kind {
            ChunkKind::Start => {
                ChunkBody::Start { format: message.format.ok_or(ChunkError::MissingFormat)?, segment }
            }
            ChunkKind::Data => ChunkBody::Data { format: message.format, segment },
            _ if !segment.data.is_empty() => {
                return Err(ChunkError::UnexpectedData { kind, bytes: segment.data.len() });
            }
            ChunkKind::End => ChunkBody::End(message.totals.unwrap_or_default()),
            ChunkKind::Abort => ChunkBody::Abort(message.abort.unwrap_or_default()),
            ChunkKind::Unspecified => return Err(ChunkError::UnknownKind { kind: message.kind }),
        };
        Ok(Self {
            stream_id: StreamId::new(message.stream_id)?,
            seq: message.seq,
            capture_time_us: message.capture_time_us,
            source: message.source,
            body,
        })
    }

    fn to_message(&self) -> proto::AudioChunk {
        let head = proto::AudioChunk {
            stream_id: self.stream_id.as_str().to_owned(),
            seq: self.seq,
            kind: self.body.kind().into(),
            capture_time_us: self.capture_time_us,
            source: self.source.clone(),
            ..proto::AudioChunk::default()
        };
        match &self.body {
            ChunkBody::Start { format, segment } => with_segment(head, Some(format.clone()), segment),
            ChunkBody::Data { format, segment } => with_segment(head, format.clone(), segment),
            ChunkBody::End(totals) => proto::AudioChunk { totals: Some(*totals), ..head },
            ChunkBody::Abort(reason) => proto::AudioChunk { abort: Some(reason.clone()), ..head },
        }
    }
}

/// The CRC-32C (Castagnoli, RFC 3720) of what `crc` covers followed by `data`; 0 covers nothing.
#[must_use]
pub fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    crc32c::crc32c_append(crc, data)
}

fn known_kind(kind: i32) -> Result<ChunkKind, ChunkError> {
    match ChunkKind::try_from(kind) {
        Ok(ChunkKind::Unspecified) | Err(_) => Err(ChunkError::UnknownKind { kind }),
        Ok(known) => Ok(known),
    }
}

fn check_data(data: &Bytes, claimed: Option<u32>, limit: usize) -> Result<(), ChunkError> {
    if data.len() > limit {
        return Err(ChunkError::TooLarge { bytes: data.len(), limit });
    }
    match claimed {
        Some(claimed) => match crc32c::crc32c(data) {
            actual if actual == claimed => Ok(()),
            actual => Err(ChunkError::Crc { claimed, actual }),
        },
        None => Ok(()),
    }
}

fn with_segment(
    head: proto::AudioChunk,
    format: Option<AudioFormat>,
    segment: &Segment,
) -> proto::AudioChunk {
    proto::AudioChunk {
        format,
        pts_samples: segment.pts_samples,
        n_samples: segment.n_samples,
        discontinuity: segment.discontinuity,
        trim_start: segment.trim_start,
        trim_end: segment.trim_end,
        encoding: segment.encoding.into(),
        crc32c: (!segment.data.is_empty()).then(|| crc32c::crc32c(&segment.data)),
        data: segment.data.clone(),
        ..head
    }
}

#[cfg(test)]
mod tests;
