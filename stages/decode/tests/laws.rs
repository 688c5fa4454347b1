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
use treble_core::{Assets, EncodedChunk, EncodedFormat, Outbox, Pace, PcmBlock, Restart, Stage, laws};
use treble_decode::{DecodeConfig, DecodeStage};

fn config() -> (DecodeConfig, Assets) {
    (DecodeConfig::default(), Assets::default())
}

/// The stream as a live one, whose grid is ten times finer.
fn live(mut inputs: Vec<EncodedChunk>) -> Vec<EncodedChunk> {
    for input in &mut inputs {
        input.format = EncodedFormat { pace: Pace::Live, ..EncodedFormat::default() };
    }
    inputs
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

#[test]
fn a_successor_continues_where_its_predecessor_was_lost() {
    let (config, assets) = config();
    for name in NAMES {
        let inputs = live(chunks(&fixture(name), &[700, 1_300]));
        laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
    }
}

/// Fixtures whose restart moves, and the share of their chunks that a successor of the last moment is spared.
const MOVING: &[(&str, f64)] = &[
    ("sine_s16.wav", 0.8),
    ("sine_s24.wav", 0.8),
    ("sine_f32.wav", 0.8),
    ("sine_piped.wav", 0.8),
    ("sine_s16.flac", 0.4),
    ("sine_s24.flac", 0.1),
    ("sine.mp3", 0.2),
    ("sine_bare.mp3", 0.1),
];

/// Loses a stage after every `every` chunks, again and again, and returns what came out in all, and where the
/// last restart lay.
fn relay(inputs: &[EncodedChunk], every: usize) -> (Vec<PcmBlock>, u64) {
    let (config, assets) = config();
    let (mut items, mut restart) = (Vec::new(), Restart::default());
    let mut upto = 0;
    while upto < inputs.len() {
        let mut stage = DecodeStage::new(&config, &assets).unwrap();
        stage.restore(&restart.checkpoint).unwrap();
        items.truncate(restart.output as usize);
        let mut out = Outbox::default();
        upto = inputs.len().min(upto + every);
        for input in &inputs[restart.input as usize..upto] {
            stage.push(input.clone(), &mut out).unwrap();
        }
        restart = stage.restart();
        if upto == inputs.len() {
            stage.finish(&mut out).unwrap();
        }
        items.append(&mut out.items);
    }
    (items, restart.input)
}

#[test]
fn restarts_move_forward_and_a_successor_has_successors() {
    for (name, share) in MOVING {
        let inputs = live(chunks(&fixture(name), &[310, 170]));
        let whole = decode(&inputs).unwrap();
        for every in [1, 2, 7, 20] {
            let (items, last) = relay(&inputs, every);
            assert!(items == whole, "{name}: lost every {every} chunks");
            assert!(last as f64 >= share * inputs.len() as f64, "{name}: {last} of {}", inputs.len());
        }
    }
}

#[test]
fn headerless_samples_restart_anywhere() {
    let (config, assets) = config();
    let bytes: Vec<u8> = (0..8_000_u32).flat_map(|i| ((i * 7) as u16).to_le_bytes()).collect();
    let mut inputs = chunks(&bytes, &[333, 1, 1_000]);
    for input in &mut inputs {
        input.format.media_type = "audio/pcm;format=s16le;rate=8000;channels=1".to_owned();
        input.format.pace = Pace::Live;
    }
    laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
    let (items, last) = relay(&inputs, 3);
    assert_eq!(items, decode(&inputs).unwrap());
    assert!(last > 30, "{last} of {}", inputs.len());
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
    fn a_successor_continues_exactly_for_any_cut(
        name in prop::sample::select(MOVING),
        sizes in prop::collection::vec(100_usize..3_000, 1..6),
    ) {
        let (config, assets) = config();
        laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &live(chunks(&fixture(name.0), &sizes)));
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
    fn a_successor_continues_a_damaged_stream_exactly(
        name in prop::sample::select(MOVING),
        faults in prop::collection::vec((0.4_f64..1.0, any::<u8>()), 1..4),
        sizes in prop::collection::vec(200_usize..1_500, 1..4),
    ) {
        let (config, assets) = config();
        let mut bytes = fixture(name.0);
        for (at, value) in faults {
            let at = (at * bytes.len() as f64) as usize;
            bytes[at] = value;
        }
        let inputs = live(chunks(&bytes, &sizes));
        if decode(&inputs).is_ok() {
            laws::replay_equals_uninterrupted::<DecodeStage>(&config, &assets, &inputs);
        }
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
