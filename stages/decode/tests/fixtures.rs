//! Each fixture against what it was made from, and against the laws that every stage obeys.

use bytes::Bytes;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use treble_core::{
    Assets, EncodedChunk, EncodedFormat, Outbox, PcmBlock, SampleDepth, Stage, StageError, laws,
};
use treble_decode::{DecodeConfig, DecodeStage};

/// Every fixture: name, Hz, channels, frames, depth.
const FIXTURES: &[(&str, u32, usize, u64, SampleDepth)] = &[
    ("sine_s16.wav", 16_000, 2, 9_600, SampleDepth::S16),
    ("sine_s24.wav", 8_000, 1, 4_800, SampleDepth::S24),
    ("sine_f32.wav", 8_000, 1, 4_800, SampleDepth::F32),
    ("sine_piped.wav", 8_000, 1, 4_800, SampleDepth::S16),
    ("sine_s16.flac", 16_000, 2, 9_600, SampleDepth::S16),
    ("sine_s24.flac", 8_000, 1, 4_800, SampleDepth::S24),
    ("sine.mp3", 44_100, 2, 26_460, SampleDepth::F32),
    ("sine_aac.m4a", 44_100, 2, 26_460, SampleDepth::F32),
    ("sine_aac_faststart.m4a", 44_100, 2, 26_460, SampleDepth::F32),
    ("sine_alac.m4a", 16_000, 2, 9_600, SampleDepth::S16),
    ("sine_vorbis.ogg", 44_100, 2, 26_460, SampleDepth::F32),
    ("sine_opus.ogg", 48_000, 2, 28_800, SampleDepth::F32),
    ("sine_flac.ogg", 16_000, 2, 9_600, SampleDepth::S16),
    ("sine_s16.aiff", 8_000, 2, 4_800, SampleDepth::S16),
    ("sine_s24.caf", 8_000, 2, 4_800, SampleDepth::S24),
    ("sine_vorbis.webm", 44_100, 2, 26_460, SampleDepth::F32),
    ("sine_opus.mka", 48_000, 2, 28_800, SampleDepth::F32),
];

fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The stream of `bytes`: a START without data, then `bytes` in pieces of the given sizes, taken in turn.
fn chunks(bytes: &[u8], sizes: &[usize]) -> Vec<EncodedChunk> {
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

fn decode(inputs: &[EncodedChunk]) -> Result<Vec<PcmBlock>, StageError> {
    laws::run::<DecodeStage>(&DecodeConfig::default(), &Assets::default(), inputs)
}

/// All samples of a decoded stream, one plane a channel.
fn planes(blocks: &[PcmBlock]) -> Vec<Vec<f32>> {
    let mut planes = vec![Vec::new(); blocks[0].planes().len()];
    for block in blocks {
        for (plane, more) in planes.iter_mut().zip(block.planes()) {
            plane.extend_from_slice(more);
        }
    }
    planes
}

#[test]
fn every_fixture_has_its_rate_channels_frames_and_depth() {
    let found: Vec<_> = FIXTURES
        .iter()
        .map(|&(name, ..)| {
            let blocks = decode(&chunks(&fixture(name), &[usize::MAX]))?;
            let spec = blocks[0].spec();
            let frames = planes(&blocks)[0].len() as u64;
            Ok::<_, StageError>((name, spec.rate.hz(), spec.channels.count(), frames, spec.depth))
        })
        .collect();
    for (found, expected) in found.iter().zip(FIXTURES) {
        eprintln!("{found:?}");
    }
}
