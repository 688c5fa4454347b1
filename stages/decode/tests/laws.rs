//! The laws that every stage obeys, over every fixture and over hostile variations of them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use support::{NAMES, chunks, decode, fixture, whole};
use treble_core::{Assets, EncodedChunk, Outbox, Stage, laws};
use treble_decode::{DecodeConfig, DecodeStage};

fn config() -> (DecodeConfig, Assets) {
    (DecodeConfig::default(), Assets::default())
}

#[test]
fn bytes_may_come_one_by_one() {
    let (config, assets) = config();
    for name in NAMES {
        laws::blind_to_cuts::<DecodeStage>(&config, &assets, &whole(name), &chunks(&fixture(name), &[1]));
    }
}

#[test]
fn a_finished_stage_is_as_new() {
    let (config, assets) = config();
    for name in NAMES {
        laws::as_new_after_finish::<DecodeStage>(&config, &assets, &whole(name));
    }
}

/// Streams are held by the thousand, each with its reader in the middle of something.
#[test]
fn thousands_of_streams_share_a_thread() {
    let (config, assets) = config();
    let inputs = whole("sine_s16.wav");
    let (data, half) = (&inputs[1].data, inputs[1].data.len() / 2);
    let piece = |data| EncodedChunk { data, ..EncodedChunk::default() };
    let expected = decode(&inputs).unwrap();
    let mut streams: Vec<_> = (0..2_000)
        .map(|_| {
            let (mut stage, mut out) = (DecodeStage::new(&config, &assets).unwrap(), Outbox::default());
            stage.push(piece(data.slice(..half)), &mut out).unwrap();
            (stage, out.items)
        })
        .collect();
    // Most are dropped as they are; every hundredth goes on.
    for (stage, items) in streams.iter_mut().step_by(100) {
        let mut out = Outbox { items: std::mem::take(items), ..Outbox::default() };
        stage.push(piece(data.slice(half..)), &mut out).unwrap();
        stage.finish(&mut out).unwrap();
        assert!(out.items == expected);
    }
}

/// Every prefix of a fixture ends in output or in a typed error, and alike for any cut.
#[test]
fn a_stream_may_end_anywhere() {
    let (config, assets) = config();
    for name in NAMES {
        let bytes = fixture(name);
        for end in (0..bytes.len()).step_by(97) {
            let (one, other) = (chunks(&bytes[..end], &[usize::MAX]), chunks(&bytes[..end], &[251]));
            laws::blind_to_cuts::<DecodeStage>(&config, &assets, &one, &other);
            laws::total::<DecodeStage>(&config, &assets, &one);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn the_cut_never_shows(name in prop::sample::select(NAMES), sizes in prop::collection::vec(1_usize..5_000, 1..8)) {
        let (config, assets) = config();
        let bytes = fixture(name);
        laws::blind_to_cuts::<DecodeStage>(&config, &assets, &whole(name), &chunks(&bytes, &sizes));
    }

    #[test]
    fn damaged_bytes_end_in_output_or_in_an_error_whatever_the_cut(
        name in prop::sample::select(NAMES),
        faults in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        size in 1_usize..3_000,
    ) {
        let (config, assets) = config();
        let mut bytes = fixture(name);
        for (at, value) in faults {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let inputs = chunks(&bytes, &[size]);
        laws::total::<DecodeStage>(&config, &assets, &inputs);
        laws::blind_to_cuts::<DecodeStage>(&config, &assets, &chunks(&bytes, &[usize::MAX]), &inputs);
    }

    #[test]
    fn noise_after_any_magic_is_survived(
        name in prop::sample::select(NAMES),
        keep in 0_usize..200,
        noise in prop::collection::vec(any::<u8>(), 0..4_000),
    ) {
        let (config, assets) = config();
        let head = fixture(name);
        let bytes = [&head[..keep.min(head.len())], &noise].concat();
        laws::total::<DecodeStage>(&config, &assets, &chunks(&bytes, &[311]));
    }
}
