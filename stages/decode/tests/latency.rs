//! How far what comes out of a live stream is behind what went in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{NAMES, chunks, decode, fixture, live, planes};
use treble_core::{Assets, EncodedChunk, EncodedFormat, Outbox, Pace, Stage};
use treble_decode::{DecodeConfig, DecodeStage};

/// WAV of 16 bit, mono, of unknown length.
fn wav(rate_hz: u32, frames: u32) -> Vec<u8> {
    let mut wav = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    wav.extend(rate_hz.to_le_bytes());
    wav.extend((rate_hz * 2).to_le_bytes());
    wav.extend(b"\x02\0\x10\0data\xff\xff\xff\xff");
    wav.extend((0..frames * 2).map(|byte| byte.to_le_bytes()[0]));
    wav
}

#[test]
fn samples_that_came_are_out_with_their_block() {
    for rate_hz in [8_000, 16_000, 44_100, 48_000] {
        let tenth = rate_hz as usize / 10;
        let wav = wav(rate_hz, rate_hz);
        let (head, samples) = wav.split_at(44);
        let mut stage = DecodeStage::new(&DecodeConfig::default(), &Assets::default()).unwrap();
        let mut out = Outbox::default();
        let format = EncodedFormat { pace: Pace::Live, ..EncodedFormat::default() };
        let mut push = |data: &[u8], out: &mut Outbox<_>| {
            let data = bytes::Bytes::copy_from_slice(data);
            stage
                .push(EncodedChunk { format: format.clone(), data, ..EncodedChunk::default() }, out)
                .unwrap();
        };
        push(head, &mut out);
        for (piece, pushed) in samples.chunks(tenth * 2).zip(1..) {
            push(piece, &mut out);
            let frames: usize = out.items.iter().map(treble_core::PcmBlock::frames).sum();
            // The first packet, by which frames are known, is of 1,152.
            let expected = if pushed * tenth < 1_152 { 0 } else { pushed * tenth };
            assert_eq!(frames, expected, "{rate_hz} Hz, after {pushed} tenths of a second");
        }
    }
}

#[test]
fn a_live_stream_has_the_samples_of_the_same_in_bulk() {
    for name in NAMES {
        let inputs = chunks(&fixture(name), &[700, 1_300]);
        let (bulk, live) = (decode(&inputs).unwrap(), decode(&live(inputs)).unwrap());
        assert_eq!(planes(&live), planes(&bulk), "{name}");
    }
}
