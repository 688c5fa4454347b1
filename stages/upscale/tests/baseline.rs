//! The stage without a model: laws, and what it makes of difficult streams.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod support;

use proptest::prelude::*;
use support::signals::{blocks, noise, planes, sine, spec};
use treble_core::grid::chunk_frames;
use treble_core::{Assets, Outbox, Pace, PcmBlock, SampleDepth, Stage, StageError, laws};
use treble_upscale::{UpscaleConfig, UpscaleStage};

fn run(inputs: &[PcmBlock]) -> Result<Vec<PcmBlock>, StageError> {
    laws::run::<UpscaleStage>(&UpscaleConfig::default(), &Assets::default(), inputs)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_output_is_blind_to_cuts(
        hz in prop::sample::select(vec![1_u32, 8_000, 16_000, 44_100, 44_101, 48_000, 96_000]),
        live in any::<bool>(),
        seconds in 0.0..1.2_f64,
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let pace = if live { Pace::Live } else { Pace::Bulk };
        let spec = spec(hz, 2, pace);
        let frames = (seconds * f64::from(hz)) as usize;
        let both = [noise(1, frames, 0.5), noise(2, frames, 0.5)];
        laws::blind_to_cuts::<UpscaleStage>(
            &UpscaleConfig::default(),
            &Assets::default(),
            &blocks(spec, &both, &[]),
            &blocks(spec, &both, &cuts),
        );
    }

    #[test]
    fn a_successor_continues_bit_for_bit(
        hz in prop::sample::select(vec![8_000_u32, 16_000, 44_100, 44_101, 48_000, 96_000]),
        cuts in prop::collection::vec(any::<usize>(), 8..16),
    ) {
        let spec = spec(hz, 1, Pace::Live);
        let one = [noise(3, hz as usize, 0.5)];
        let mut inputs = blocks(spec, &one, &cuts);
        let middle = inputs.len() / 2;
        inputs[middle] = inputs[middle].clone().with_discontinuity(true);
        laws::replay_equals_uninterrupted::<UpscaleStage>(&UpscaleConfig::default(), &Assets::default(), &inputs);
    }
}

#[test]
fn a_finished_stage_is_as_new() {
    let inputs =
        blocks(spec(16_000, 2, Pace::Bulk), &[noise(4, 20_000, 0.9), noise(5, 20_000, 0.9)], &[7_000]);
    laws::as_new_after_finish::<UpscaleStage>(&UpscaleConfig::default(), &Assets::default(), &inputs);
}

#[test]
fn the_restart_point_of_a_long_stream_moves_forward_and_stays_near() {
    for hz in [8_000, 44_100, 48_000] {
        let spec = spec(hz, 1, Pace::Live);
        let tenth = hz as usize / 10;
        let mut stage = UpscaleStage::new(&UpscaleConfig::default(), &Assets::default()).unwrap();
        let mut out = Outbox::default();
        for block in 0..100_u64 {
            let (input, _) = PcmBlock::new(spec, block * tenth as u64, vec![noise(block, tenth, 0.5)]);
            stage.push(input, &mut out).unwrap();
            let lag = block + 1 - stage.restart().input;
            assert!(lag <= 5 || block < 5, "{hz} Hz: {lag} inputs of 100 ms would be pushed again");
        }
    }
}

#[test]
fn the_first_item_announces_the_format_and_the_others_lie_on_the_grid() {
    let items =
        run(&blocks(spec(8_000, 2, Pace::Live), &[noise(6, 8_123, 0.5), noise(7, 8_123, 0.5)], &[])).unwrap();
    let format = items[0].spec();
    assert_eq!((format.rate.hz(), format.channels.count()), (48_000, 2));
    assert_eq!((format.depth, format.pace, items[0].frames()), (SampleDepth::F32, Pace::Live, 0));
    let chunk = chunk_frames(format);
    for (k, item) in items[1..].iter().enumerate() {
        assert_eq!(item.first_frame(), (k * chunk) as u64);
        assert!(item.frames() == chunk || k + 2 == items.len());
    }
    assert_eq!(planes(&items)[1].len(), 8_123 * 6);
}

#[test]
fn an_empty_stream_gives_an_announcement_and_no_input_gives_nothing() {
    let items = run(&blocks(spec(8_000, 1, Pace::Bulk), &[vec![]], &[])).unwrap();
    assert_eq!((items.len(), items[0].frames()), (1, 0));
    assert_eq!(run(&[]).unwrap(), []);
}

#[test]
fn one_sample_silence_direct_current_and_a_full_scale_square_come_out_valid() {
    let square: Vec<f32> = (0..8_000).map(|n| if n / 40 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    for (name, x) in [("one sample", vec![0.5]), ("silence", vec![0.0; 8_000]), ("square", square)] {
        for hz in [1, 8_000, 16_000, 44_100, 48_000, 768_000] {
            let x = if hz == 1 { x[..1].to_vec() } else { x.clone() };
            let frames = x.len() as u64;
            let y = planes(&run(&blocks(spec(hz, 1, Pace::Bulk), &[x], &[])).unwrap()).remove(0);
            assert_eq!(y.len() as u64, (frames * 48_000).div_ceil(u64::from(hz)), "{name} at {hz} Hz");
            assert!(y.iter().all(|s| s.is_finite() && s.abs() < 1.5), "{name} at {hz} Hz");
            assert!(name != "silence" || y.iter().all(|&s| s == 0.0));
        }
    }
    let y = planes(&run(&blocks(spec(44_100, 1, Pace::Bulk), &[vec![0.25; 44_100]], &[])).unwrap()).remove(0);
    assert!(y[2_000..46_000].iter().all(|s| (s - 0.25).abs() < 1e-5), "direct current keeps its level");
}

#[test]
fn samples_at_the_limits_of_f32_end_in_finite_output() {
    let wild: Vec<f32> = (0..20_000).map(|n| [f32::MAX, f32::MIN, f32::NAN, f32::INFINITY][n % 4]).collect();
    for hz in [8_000, 44_101, 48_000] {
        let inputs = blocks(spec(hz, 1, Pace::Bulk), std::slice::from_ref(&wild), &[]);
        laws::total::<UpscaleStage>(&UpscaleConfig::default(), &Assets::default(), &inputs);
        assert!(planes(&run(&inputs).unwrap())[0].iter().all(|s| s.is_finite()));
    }
}

#[test]
fn equal_rates_pass_through_untouched() {
    let x = noise(8, 100_000, 0.9);
    let y = planes(&run(&blocks(spec(48_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[777])).unwrap());
    assert!(y[0] == x);
}

#[test]
fn a_gap_is_marked_on_the_block_that_holds_it() {
    let mut inputs = blocks(spec(16_000, 1, Pace::Live), &[sine(440.0, 16_000, 16_000, 0.5)], &[8_000]);
    inputs[2] = inputs[2].clone().with_discontinuity(true);
    let marked: Vec<u64> =
        run(&inputs).unwrap().iter().filter(|item| item.discontinuity()).map(PcmBlock::first_frame).collect();
    assert_eq!(marked, [24_000]);
}

#[test]
fn another_rate_in_the_middle_is_an_error_that_names_both() {
    let mut inputs = blocks(spec(16_000, 1, Pace::Live), &[noise(9, 100, 0.5)], &[]);
    inputs.push(PcmBlock::announce(spec(8_000, 1, Pace::Live), 100));
    let error = run(&inputs).unwrap_err().to_string();
    assert!(error.contains("16000 Hz") && error.contains("8000 Hz"), "{error}");
}
