//! Any bytes, in any cut, end in output or in a typed error, alike for each cut, within bounded memory.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_core::{Assets, EncodedChunk, EncodedFormat, laws};
use treble_decode::{DecodeConfig, DecodeStage, Limits};

/// What the bytes are said to be: nothing, or one of the forms of raw samples.
const MEDIA_TYPES: [&str; 4] =
    ["", "audio/L16;rate=8000", "audio/pcm;format=f32le;rate=48000;channels=2", "audio/basic"];

fuzz_target!(|input: (u8, u16, Vec<u8>)| {
    let (kind, size, bytes) = input;
    let format = EncodedFormat {
        media_type: MEDIA_TYPES[usize::from(kind) % MEDIA_TYPES.len()].to_owned(),
        ..EncodedFormat::default()
    };
    let chunk = |data| EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() };
    let bytes = Bytes::from(bytes);
    let pieces: Vec<_> =
        bytes.chunks(usize::from(size).max(1)).map(|piece| chunk(bytes.slice_ref(piece))).collect();
    let config = DecodeConfig { limits: Limits { expansion_ratio: 10, ..Limits::default() } };
    laws::total::<DecodeStage>(&config, &Assets::default(), &pieces);
    laws::blind_to_cuts::<DecodeStage>(&config, &Assets::default(), &[chunk(bytes.clone())], &pieces);
});
