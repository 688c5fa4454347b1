//! What a record is: a chunk, a raw clip, or something that no stage can take.

use crate::kafka::headers;
use crate::ports::{InRecord, PortError, SchemaKind, Schemas};
use bytes::Bytes;
use treble_schemas::chunk::ChunkError;
use treble_schemas::frame::{self, Format, FrameError};
use treble_schemas::topic::{StreamId, StreamIdError};
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Segment, Totals};

/// The size of the pieces that a raw clip is fed in, so that an epoch can be cut within one.
pub const CLIP_PIECE_BYTES: usize = 64 * 1024;

/// Why a record reaches no stage.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum IngestError {
    /// No value: audio topics have no tombstones.
    #[error("the record has no value; END is a record of its own, never a null value")]
    NoValue,
    /// No key: nothing says which stream it is.
    #[error("the record has no key; set the key to the stream's id (kcat: -k ID)")]
    NoKey,
    /// The key cannot be a stream id.
    #[error("key: {0}")]
    Key(#[from] StreamIdError),
    /// Not framed, and not declared as a clip.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The schema is another's.
    #[error("schema id {id} is not a released version of treble.v1.AudioChunk; register and use that one")]
    ForeignSchema {
        /// The id.
        id: u32,
    },
    /// Not a usable chunk.
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    /// A clip where PCM is expected.
    #[error("a raw clip of type {content_type} on a topic between stages; publish clips to the input topic")]
    ClipBetweenStages {
        /// Its type.
        content_type: String,
    },
}

impl IngestError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoValue => "no_value",
            Self::NoKey => "no_key",
            Self::Key(_) => "key",
            Self::Frame(fault) => fault.code(),
            Self::ForeignSchema { .. } => "foreign_schema",
            Self::Chunk(fault) => fault.code(),
            Self::ClipBetweenStages { .. } => "clip_between_stages",
        }
    }
}

/// A record, understood.
#[derive(Debug, Clone, PartialEq)]
pub enum Ingested {
    /// Chunks of one stream, in order: one, or the pieces of a raw clip.
    Chunks(Vec<AudioChunk>),
    /// Something that no stage can take.
    Bad(IngestError),
}

/// Understands `record`; `clips` says whether raw clips are welcome. An error means that the registry cannot be
/// asked now: nothing is known about the record yet.
pub fn ingest(record: &InRecord, schemas: &dyn Schemas, clips: bool) -> Result<Ingested, PortError> {
    let parsed = match headers::clip_content_type(&record.headers) {
        Some(content_type) => clip(record, content_type, clips),
        None => match chunk(record) {
            Ok((id, chunk)) if schemas.kind_of(id)? == SchemaKind::AudioChunk => {
                chunk.map(|chunk| vec![chunk])
            }
            Ok((id, _)) => Err(IngestError::ForeignSchema { id }),
            Err(fault) => Err(fault),
        },
    };
    Ok(parsed.map_or_else(Ingested::Bad, Ingested::Chunks))
}

fn chunk(record: &InRecord) -> Result<(u32, Result<AudioChunk, IngestError>), IngestError> {
    let value = record.value.as_ref().ok_or(IngestError::NoValue)?;
    let framed = frame::split(value, Format::Protobuf)?;
    let chunk = AudioChunk::decode(framed.body).map_err(IngestError::Chunk).and_then(|chunk| {
        let key = record.key.as_ref().ok_or(IngestError::NoKey)?;
        chunk.check_key(key)?;
        Ok(chunk)
    });
    Ok((framed.schema_id, chunk))
}

fn clip(record: &InRecord, content_type: String, welcome: bool) -> Result<Vec<AudioChunk>, IngestError> {
    if !welcome {
        return Err(IngestError::ClipBetweenStages { content_type });
    }
    let value = record.value.clone().ok_or(IngestError::NoValue)?;
    let key = record.key.as_ref().ok_or(IngestError::NoKey)?;
    let stream_id = StreamId::from_key(key)?;
    let totals = Totals { samples: 0, bytes: value.len() as u64, crc32c: None };
    let format = AudioFormat { codec: content_type, ..AudioFormat::default() };
    let start = ChunkBody::Start { format, segment: Segment::default() };
    let pieces = pieces(value)
        .map(|data| ChunkBody::Data { format: None, segment: Segment { data, ..Segment::default() } });
    let bodies = std::iter::once(start).chain(pieces).chain([ChunkBody::End(totals)]);
    let capture_time_us = record.timestamp_ms.max(0) * 1000;
    let chunk =
        |(seq, body)| AudioChunk { stream_id: stream_id.clone(), seq, capture_time_us, source: None, body };
    Ok((0..).zip(bodies).map(chunk).collect())
}

fn pieces(value: Bytes) -> impl Iterator<Item = Bytes> {
    let starts = (0..value.len()).step_by(CLIP_PIECE_BYTES);
    starts.map(move |start| value.slice(start..(start + CLIP_PIECE_BYTES).min(value.len())))
}
