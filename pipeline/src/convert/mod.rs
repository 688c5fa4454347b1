//! Wire records ↔ stage payloads.
//!
//! The encoding of a segment decides what it is: `RAW` is bytes of a codec, everything else is PCM. PCM
//! travels at its source's depth where that loses nothing, byte-shuffled and through zstd
//! ([`pcm`]), so what a stage receives is bit for bit what its predecessor emitted. Pure: no I/O, no clock.
//! Checksums are the business of `treble_schemas::chunk`, which verifies them before a segment gets here.

mod error;
mod pcm;

pub use error::ConvertError;
pub use pcm::MAX_BLOCK_BYTES;
pub use treble_schemas::chunk::crc32c_append;

use treble_core::{
    AnyPayload, ChannelCount, EncodedChunk, EncodedFormat, Pace, PayloadKind, PcmBlock, PcmSpec, SampleDepth,
    SampleRate,
};
use treble_schemas::{AudioFormat, Encoding, SampleFormat, Segment};

/// The media type that PCM between stages is announced with.
pub const PCM_MEDIA_TYPE: &str = "audio/pcm";

/// The payload that `segment` holds under the stream's current `format`.
pub fn to_payload(format: &AudioFormat, segment: Segment) -> Result<AnyPayload, ConvertError> {
    match segment.encoding {
        Encoding::Raw => to_encoded(format, segment).map(AnyPayload::Encoded),
        Encoding::S16ShuffleZstd => to_pcm(format, SampleDepth::S16, &segment).map(AnyPayload::Pcm),
        Encoding::S24ShuffleZstd => to_pcm(format, SampleDepth::S24, &segment).map(AnyPayload::Pcm),
        Encoding::F32ShuffleZstd => to_pcm(format, SampleDepth::F32, &segment).map(AnyPayload::Pcm),
    }
}

/// What stands in for an input that is lost: nothing, in the stream's current `format`.
pub fn hole(format: &AudioFormat, kind: PayloadKind) -> Result<AnyPayload, ConvertError> {
    match kind {
        PayloadKind::Encoded => to_encoded(format, Segment::default()).map(AnyPayload::Encoded),
        PayloadKind::Pcm => Ok(AnyPayload::Pcm(PcmBlock::announce(spec_of(format)?, 0))),
    }
}

/// The segment that carries `payload`; its format is told by [`format_of`].
#[must_use]
pub fn to_segment(payload: AnyPayload) -> Segment {
    match payload {
        AnyPayload::Encoded(chunk) => Segment {
            pts_samples: chunk.first_frame,
            n_samples: chunk.frames,
            discontinuity: chunk.discontinuity,
            encoding: Encoding::Raw,
            data: chunk.data,
            ..Segment::default()
        },
        AnyPayload::Pcm(block) => {
            let (packed_at, data) = pcm::pack(&block);
            let encoding = match packed_at {
                SampleDepth::S16 => Encoding::S16ShuffleZstd,
                SampleDepth::S24 => Encoding::S24ShuffleZstd,
                SampleDepth::F32 => Encoding::F32ShuffleZstd,
            };
            Segment {
                pts_samples: block.first_frame(),
                n_samples: block.frames() as u64,
                discontinuity: block.discontinuity(),
                encoding,
                data,
                ..Segment::default()
            }
        }
    }
}

/// The format under which `payload` travels.
#[must_use]
pub fn format_of(payload: &AnyPayload) -> AudioFormat {
    match payload {
        AnyPayload::Encoded(chunk) => AudioFormat {
            codec: chunk.format.media_type.clone(),
            sample_rate_hz: chunk.format.rate.map_or(0, SampleRate::hz),
            channels: chunk.format.channels.map_or(0, u32::from),
            live: chunk.format.pace == Pace::Live,
            ..AudioFormat::default()
        },
        AnyPayload::Pcm(block) => {
            let spec = block.spec();
            let sample_format = match spec.depth {
                SampleDepth::S16 => SampleFormat::S16,
                SampleDepth::S24 => SampleFormat::S24,
                SampleDepth::F32 => SampleFormat::F32,
            };
            AudioFormat {
                codec: PCM_MEDIA_TYPE.to_owned(),
                sample_rate_hz: spec.rate.hz(),
                channels: spec.channels.into(),
                sample_format: sample_format.into(),
                live: spec.pace == Pace::Live,
                ..AudioFormat::default()
            }
        }
    }
}

fn to_encoded(format: &AudioFormat, segment: Segment) -> Result<EncodedChunk, ConvertError> {
    if segment.trim_start != 0 || segment.trim_end != 0 {
        return Err(ConvertError::TrimOfEncoded);
    }
    let known = |value: u32| (value != 0).then_some(value);
    Ok(EncodedChunk {
        format: EncodedFormat {
            media_type: format.codec.clone(),
            rate: known(format.sample_rate_hz).map(SampleRate::new).transpose()?,
            channels: known(format.channels).map(ChannelCount::new).transpose()?,
            pace: pace(format),
        },
        data: segment.data,
        first_frame: segment.pts_samples,
        frames: segment.n_samples,
        discontinuity: segment.discontinuity,
    })
}

fn spec_of(format: &AudioFormat) -> Result<PcmSpec, ConvertError> {
    let depth = match SampleFormat::try_from(format.sample_format) {
        Ok(SampleFormat::S16) => SampleDepth::S16,
        Ok(SampleFormat::S24) => SampleDepth::S24,
        Ok(SampleFormat::F32) => SampleDepth::F32,
        Ok(SampleFormat::Unspecified) | Err(_) => {
            return Err(ConvertError::SampleFormat { number: format.sample_format });
        }
    };
    Ok(PcmSpec {
        rate: SampleRate::new(format.sample_rate_hz)?,
        channels: ChannelCount::new(format.channels)?,
        depth,
        pace: pace(format),
    })
}

/// The depth of the stream comes from its format; `packed_at` only says how this segment travelled.
fn to_pcm(format: &AudioFormat, packed_at: SampleDepth, segment: &Segment) -> Result<PcmBlock, ConvertError> {
    let spec = spec_of(format)?;
    let mut planes = pcm::unpack(packed_at, &segment.data, segment.n_samples, spec.channels)?;
    let (start, end) = (segment.trim_start as usize, segment.trim_end as usize);
    let frames = planes.first().map_or(0, Vec::len);
    let kept = frames
        .checked_sub(start.saturating_add(end))
        .ok_or(ConvertError::TrimTooLong { trim: start as u64 + end as u64, frames: frames as u64 })?;
    for plane in &mut planes {
        plane.drain(..start);
        plane.truncate(kept);
    }
    match PcmBlock::new(spec, segment.pts_samples, planes) {
        (block, 0) => Ok(block.with_discontinuity(segment.discontinuity)),
        (_, samples) => Err(ConvertError::NotFinite { samples }),
    }
}

const fn pace(format: &AudioFormat) -> Pace {
    if format.live { Pace::Live } else { Pace::Bulk }
}

#[cfg(test)]
mod tests;
