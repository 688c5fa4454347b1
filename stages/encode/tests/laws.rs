//! The laws of `treble_core::laws`, over every format, depth and pace.

#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure is a failed test")]

mod signal;

use proptest::prelude::*;
use signal::{blocks, spec, tone};
use treble_core::{Assets, Codec, Pace, PcmBlock, PcmSpec, SampleDepth, Stage, laws};
use treble_encode::{BitDepth, EncodeConfig, EncodeStage};

fn config(codec: Codec, bits_per_sample: BitDepth) -> EncodeConfig {
    EncodeConfig { codec, bits_per_sample, ..EncodeConfig::default() }
}

fn any_config() -> impl Strategy<Value = EncodeConfig> {
    let codec = prop_oneof![Just(Codec::Flac), Just(Codec::Opus), Just(Codec::Wav)];
    let bits = prop_oneof![Just(BitDepth::B16), Just(BitDepth::B24)];
    (codec, bits).prop_map(|(codec, bits)| config(codec, bits))
}

fn any_spec() -> impl Strategy<Value = PcmSpec> {
    let depth = prop_oneof![Just(SampleDepth::S16), Just(SampleDepth::S24), Just(SampleDepth::F32)];
    let pace = prop_oneof![Just(Pace::Live), Just(Pace::Bulk)];
    (1_u32..=2, depth, pace).prop_map(|(channels, depth, pace)| spec(48_000, channels, depth, pace))
}

fn any_cut() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![1_usize..40, 4000_usize..5000, 1_usize..30_000], 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_cut_of_the_input_never_shows(
        config in any_config(), spec in any_spec(), frames in 0_usize..60_000, one in any_cut(), other in any_cut(),
    ) {
        let planes = tone(spec, frames);
        let (one, other) = (blocks(spec, &planes, &one), blocks(spec, &planes, &other));
        laws::blind_to_cuts::<EncodeStage>(&config, &Assets::default(), &one, &other);
    }

    #[test]
    fn a_successor_continues_the_same_bytes(
        config in any_config(), spec in any_spec(), frames in 0_usize..60_000, length in 900_usize..20_000,
        marked in 0_usize..8,
    ) {
        let mut inputs = blocks(spec, &tone(spec, frames), &[length]);
        if let Some(block) = inputs.get_mut(marked) {
            *block = block.clone().with_discontinuity(true);
        }
        laws::replay_equals_uninterrupted::<EncodeStage>(&config, &Assets::default(), &inputs);
    }

    #[test]
    fn a_finished_stage_is_as_new(config in any_config(), spec in any_spec(), frames in 0_usize..20_000) {
        let inputs = blocks(spec, &tone(spec, frames), &[5000]);
        laws::as_new_after_finish::<EncodeStage>(&config, &Assets::default(), &inputs);
    }

    #[test]
    fn no_input_makes_it_panic(
        config in any_config(), hz in 1_u32..=768_000, channels in 1_u32..=32, level in any::<f32>(),
        frames in 0_usize..6000,
    ) {
        let spec = spec(hz, channels, SampleDepth::F32, Pace::Live);
        let planes = vec![vec![level; frames]; channels as usize];
        let other = signal::spec(8_000, 1, SampleDepth::S16, Pace::Bulk);
        let mut inputs = blocks(spec, &planes, &[1000]);
        laws::total::<EncodeStage>(&config, &Assets::default(), &inputs);
        inputs.push(PcmBlock::announce(other, 0));
        laws::total::<EncodeStage>(&config, &Assets::default(), &inputs);
    }

    #[test]
    fn no_checkpoint_makes_it_panic(config in any_config(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut stage = EncodeStage::new(&config, &Assets::default()).unwrap();
        let _refused_or_not = stage.restore(&bytes);
    }
}

/// A successor's successor: the numbers in a checkpoint count from the stream's beginning.
#[test]
fn restart_points_survive_several_losses() {
    let spec = spec(48_000, 2, SampleDepth::F32, Pace::Live);
    let inputs = blocks(spec, &tone(spec, 60_000), &[7000]);
    for codec in [Codec::Flac, Codec::Wav] {
        let config = config(codec, BitDepth::B24);
        let whole = laws::run::<EncodeStage>(&config, &Assets::default(), &inputs).unwrap();
        let mut items = Vec::new();
        let (mut next, mut restart) = (0, treble_core::Restart::default());
        while next < inputs.len() {
            let mut stage = EncodeStage::new(&config, &Assets::default()).unwrap();
            stage.restore(&restart.checkpoint).unwrap();
            items.truncate(restart.output as usize);
            let mut out = treble_core::Outbox::default();
            next = inputs.len().min(next + 3);
            for input in &inputs[restart.input as usize..next] {
                stage.push(input.clone(), &mut out).unwrap();
            }
            restart = stage.restart();
            if next == inputs.len() {
                stage.finish(&mut out).unwrap();
            }
            items.append(&mut out.items);
        }
        assert!(restart.input > 6, "the restart point moves forward");
        assert_eq!(items, whole);
    }
}
