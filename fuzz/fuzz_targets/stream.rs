//! How the decode targets make a stream of their input, so that any audio file is a seed: the last bytes say how it is
//! cut and what it is said to be, and the file is all of them.

use bytes::Bytes;
use treble_core::{EncodedChunk, EncodedFormat, Pace};
use treble_decode::{DecodeConfig, Limits};

/// What the bytes are said to be: nothing, mostly, or one of the forms of raw samples.
const MEDIA_TYPES: [&str; 8] = [
    "",
    "",
    "",
    "",
    "audio/mpeg",
    "audio/L16;rate=8000",
    "audio/pcm;format=f32le;rate=48000;channels=2",
    "audio/basic",
];

/// The pieces of the stream; `None` where there is too little to say how it is cut.
pub(crate) fn stream(input: &[u8]) -> Option<Vec<EncodedChunk>> {
    let [kind, size @ ..] = *input.last_chunk::<3>()?;
    let size = usize::from(u16::from_le_bytes(size)).max(1 + input.len() / 4_096);
    let pace = if kind & 0x80 == 0 { Pace::Bulk } else { Pace::Live };
    let media_type = MEDIA_TYPES[usize::from(kind) % MEDIA_TYPES.len()].to_owned();
    let format = EncodedFormat { media_type, pace, ..EncodedFormat::default() };
    let chunk = |data| EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() };
    let bytes = Bytes::copy_from_slice(input);
    Some(bytes.chunks(size).map(|piece| chunk(bytes.slice_ref(piece))).collect())
}

/// Limits that bound the work on one input.
pub(crate) fn config() -> DecodeConfig {
    let limits = Limits { expansion_ratio: 10, duration_seconds: 600, ..Limits::default() };
    DecodeConfig { limits }
}
