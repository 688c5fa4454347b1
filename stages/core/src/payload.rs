//! The closed set of what travels between stages.

use crate::{EncodedChunk, PcmBlock};

/// The kind of a payload; topologies are checked with it before anything is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PayloadKind {
    /// Bytes of a codec.
    Encoded,
    /// Planar PCM.
    Pcm,
}

/// A payload whose type has been erased.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyPayload {
    /// Bytes of a codec.
    Encoded(EncodedChunk),
    /// Planar PCM.
    Pcm(PcmBlock),
}

impl AnyPayload {
    /// Frames that the payload holds, as far as it is known without decoding.
    #[must_use]
    pub fn frames(&self) -> u64 {
        match self {
            Self::Encoded(chunk) => chunk.frames,
            Self::Pcm(block) => block.frames() as u64,
        }
    }

    /// Bytes that the payload occupies in memory, near enough for limits on buffers.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Encoded(chunk) => chunk.data.len(),
            Self::Pcm(block) => block.frames() * block.planes().len() * size_of::<f32>(),
        }
    }
}

/// What a stage takes or gives.
pub trait Payload: Sized + Clone + std::fmt::Debug + PartialEq + 'static {
    /// The kind of this type.
    const KIND: PayloadKind;
    /// Forgets the type.
    fn erase(self) -> AnyPayload;
    /// Recalls the type; gives the payload back where it is of another.
    fn recall(any: AnyPayload) -> Result<Self, AnyPayload>;
}

impl Payload for EncodedChunk {
    const KIND: PayloadKind = PayloadKind::Encoded;
    fn erase(self) -> AnyPayload {
        AnyPayload::Encoded(self)
    }
    fn recall(any: AnyPayload) -> Result<Self, AnyPayload> {
        match any {
            AnyPayload::Encoded(chunk) => Ok(chunk),
            AnyPayload::Pcm(_) => Err(any),
        }
    }
}

impl Payload for PcmBlock {
    const KIND: PayloadKind = PayloadKind::Pcm;
    fn erase(self) -> AnyPayload {
        AnyPayload::Pcm(self)
    }
    fn recall(any: AnyPayload) -> Result<Self, AnyPayload> {
        match any {
            AnyPayload::Pcm(block) => Ok(block),
            AnyPayload::Encoded(_) => Err(any),
        }
    }
}
