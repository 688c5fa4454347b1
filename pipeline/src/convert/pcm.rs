//! PCM on the wire: planar little-endian samples, byte-shuffled, then zstd level 1.
//!
//! Shuffling puts the first bytes of all samples together, then the second bytes, and so on: the high bytes
//! of neighbouring samples are alike, which is all the redundancy that a byte-wise compressor finds in PCM.
//!
//! A block is sent at the depth it claims only if every sample survives that bit for bit; otherwise it goes
//! as `f32`. The choice is made per block and named in the segment's encoding, so nothing rests on trust.

use super::ConvertError;
use bytes::Bytes;
use std::array;
use std::cell::RefCell;
use treble_core::{ChannelCount, PcmBlock, SampleDepth};
use zstd::bulk::{Compressor, Decompressor};

/// The most bytes of 32-bit samples in one block; the grid of the stages stays below it. Bounds what a
/// hostile record can make a reader allocate.
pub const MAX_BLOCK_BYTES: usize = 512 * 1024;

const LEVEL: i32 = 1;
/// Full scale of 16-bit samples, 2^15.
const SCALE_16: f32 = 32_768.0;
/// Full scale of 24-bit samples, 2^23.
const SCALE_24: f32 = 8_388_608.0;

thread_local! {
    // A context is some hundred kilobytes: one a thread, not one a block nor one a stream.
    static COMPRESSOR: RefCell<Compressor<'static>> =
        RefCell::new(Compressor::new(LEVEL).expect("level 1 exists, and there is memory for a context"));
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("there is memory for a context"));
}

/// The samples of `block` without loss, and the depth they are packed at. No samples give no bytes.
pub(super) fn pack(block: &PcmBlock) -> (SampleDepth, Bytes) {
    let planes = block.planes();
    let claimed = block.spec().depth;
    let shuffled = match claimed {
        SampleDepth::S16 => shuffle(planes, |sample| low_bytes::<2>(sample, SCALE_16)),
        SampleDepth::S24 => shuffle(planes, |sample| low_bytes::<3>(sample, SCALE_24)),
        SampleDepth::F32 => None,
    };
    let exact = shuffled.map(|shuffled| (claimed, shuffled));
    let (depth, shuffled) = exact.unwrap_or_else(|| {
        let shuffled = shuffle(planes, |sample| Some(sample.to_le_bytes()));
        (SampleDepth::F32, shuffled.expect("every f32 has its bytes"))
    });
    if shuffled.is_empty() {
        return (depth, Bytes::new());
    }
    let packed = COMPRESSOR.with_borrow_mut(|compressor| compressor.compress(&shuffled));
    (depth, packed.expect("any bytes compress into a buffer of zstd's own bound").into())
}

/// The planes that `data` holds, packed at `depth`. What is allocated is bounded by the claimed frames, and
/// these by [`MAX_BLOCK_BYTES`].
pub(super) fn unpack(
    depth: SampleDepth,
    data: &[u8],
    frames: u64,
    channels: ChannelCount,
) -> Result<Vec<Vec<f32>>, ConvertError> {
    let limit = (MAX_BLOCK_BYTES / (size_of::<f32>() * channels.count())) as u64;
    let frames = match usize::try_from(frames) {
        Ok(bounded) if frames <= limit => bounded,
        _ => {
            return Err(ConvertError::BlockTooLarge {
                frames,
                channels: channels.count() as u64,
                limit: MAX_BLOCK_BYTES as u64,
            });
        }
    };
    match depth {
        SampleDepth::S16 => unshuffle(data, frames, channels, |low| from_low_bytes::<2>(low, SCALE_16)),
        SampleDepth::S24 => unshuffle(data, frames, channels, |low| from_low_bytes::<3>(low, SCALE_24)),
        SampleDepth::F32 => unshuffle(data, frames, channels, f32::from_le_bytes),
    }
}

/// The little-endian bytes of the integer that `sample` is at full scale `scale`; `None` where it is not
/// exactly one, which includes −0.0: its sign would be lost.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "checked by the comparison")]
fn low_bytes<const N: usize>(sample: f32, scale: f32) -> Option<[u8; N]> {
    let integer = (sample * scale) as i32;
    let survives = (integer as f32 / scale).to_bits() == sample.to_bits() && (-1.0..1.0).contains(&sample);
    let bytes = integer.to_le_bytes();
    survives.then(|| array::from_fn(|at| bytes[at]))
}

/// The inverse of [`low_bytes`].
#[expect(clippy::cast_precision_loss, reason = "at most 24 bits, which f32 holds")]
fn from_low_bytes<const N: usize>(low: [u8; N], scale: f32) -> f32 {
    let mut bytes = [0; 4];
    bytes[4 - N..].copy_from_slice(&low);
    let integer = i32::from_le_bytes(bytes) >> (8 * (4 - N));
    integer as f32 / scale
}

/// Byte `b` of sample `i`, counted over all planes, goes to `b·n + i`. `None` as soon as a sample has no bytes.
fn shuffle<const N: usize>(planes: &[Vec<f32>], bytes: impl Fn(f32) -> Option<[u8; N]>) -> Option<Vec<u8>> {
    let count: usize = planes.iter().map(Vec::len).sum();
    let mut out = vec![0; count * N];
    for (at, &sample) in planes.iter().flatten().enumerate() {
        for (plane, byte) in bytes(sample)?.into_iter().enumerate() {
            out[plane * count + at] = byte;
        }
    }
    Some(out)
}

fn unshuffle<const N: usize>(
    data: &[u8],
    frames: usize,
    channels: ChannelCount,
    sample: impl Fn([u8; N]) -> f32,
) -> Result<Vec<Vec<f32>>, ConvertError> {
    let count = frames * channels.count();
    let shuffled = decompress(data, count * N)?;
    let at = |index: usize| sample(array::from_fn(|byte| shuffled[byte * count + index]));
    Ok((0..channels.count())
        .map(|channel| (channel * frames..(channel + 1) * frames).map(at).collect())
        .collect())
}

/// Exactly `claimed` bytes, or an error.
fn decompress(data: &[u8], claimed: usize) -> Result<Vec<u8>, ConvertError> {
    if data.is_empty() && claimed == 0 {
        return Ok(Vec::new());
    }
    let bytes = DECOMPRESSOR
        .with_borrow_mut(|decompressor| decompressor.decompress(data, claimed))
        .map_err(|error| ConvertError::Decompress { claimed, detail: error.to_string() })?;
    if bytes.len() == claimed {
        return Ok(bytes);
    }
    Err(ConvertError::Length { claimed, actual: bytes.len() })
}
