//! What the tests of this crate share. Not every test uses all of it.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test is a crate of its own")]

use bytes::Bytes;
use std::fs;
use std::path::Path;
use treble_core::{Assets, EncodedChunk, EncodedFormat, Pace, PcmBlock, StageError, laws};
use treble_decode::{DecodeConfig, DecodeStage};

/// Every fixture.
pub const NAMES: &[&str] = &[
    "sine_s16.wav",
    "sine_s24.wav",
    "sine_f32.wav",
    "sine_adpcm.wav",
    "sine_piped.wav",
    "sine_s16.flac",
    "sine_s24.flac",
    "sine.mp3",
    "sine_bare.mp3",
    "sine.aac",
    "sine_aac.m4a",
    "sine_aac_faststart.m4a",
    "sine_alac.m4a",
    "sine_vorbis.ogg",
    "sine_opus.ogg",
    "sine_flac.ogg",
    "sine_s16.aiff",
    "sine_s24.caf",
    "sine_vorbis.webm",
    "sine_opus.mka",
    "sine_mp3.mka",
];

/// The bytes of a fixture.
pub fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The stream of `bytes`: a START without data, then `bytes` in pieces of the given sizes, taken in turn.
pub fn chunks(bytes: &[u8], sizes: &[usize]) -> Vec<EncodedChunk> {
    let mut chunks = vec![EncodedChunk::default()];
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).clamp(1, rest.len()));
        chunks.push(EncodedChunk { data: Bytes::copy_from_slice(head), ..EncodedChunk::default() });
        rest = tail;
    }
    chunks
}

/// The stream of a fixture, in one piece.
pub fn whole(name: &str) -> Vec<EncodedChunk> {
    chunks(&fixture(name), &[usize::MAX])
}

/// Decodes a stream with the default configuration.
pub fn decode(inputs: &[EncodedChunk]) -> Result<Vec<PcmBlock>, StageError> {
    laws::run::<DecodeStage>(&DecodeConfig::default(), &Assets::default(), inputs)
}

/// All samples of a decoded stream, one plane a channel.
pub fn planes(blocks: &[PcmBlock]) -> Vec<Vec<f32>> {
    let mut planes = vec![Vec::new(); blocks[0].planes().len()];
    for block in blocks {
        for (plane, more) in planes.iter_mut().zip(block.planes()) {
            plane.extend_from_slice(more);
        }
    }
    planes
}

/// The stream as a live one, whose grid is ten times finer.
pub fn live(mut inputs: Vec<EncodedChunk>) -> Vec<EncodedChunk> {
    for input in &mut inputs {
        input.format = EncodedFormat { pace: Pace::Live, ..EncodedFormat::default() };
    }
    inputs
}
