//! The stage with a model: laws, what stays untouched, what is left alone, what the engine gets wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod support;

use proptest::prelude::*;
use std::sync::{Arc, OnceLock};
use support::library::engine;
use support::signals::{blocks, noise, planes, sine, spec};
use treble_core::{
    Assets, Fact, Inference, ModelInfo, Outbox, Pace, PcmBlock, Stage, StageError, Window, laws,
};
use treble_upscale::{Mode, UpscaleConfig, UpscaleStage};

fn ai() -> UpscaleConfig {
    UpscaleConfig { mode: Mode::Ai, ..UpscaleConfig::default() }
}

/// Both kinds of model, each opened once.
fn models() -> &'static [(&'static str, Assets); 2] {
    static MODELS: OnceLock<[(&'static str, Assets); 2]> = OnceLock::new();
    MODELS.get_or_init(|| {
        ["envelope.onnx", "waveform.onnx"]
            .map(|name| (name, Assets { inference: Some(Arc::new(engine(name, 4))) }))
    })
}

/// Items and facts of one run.
fn run(config: &UpscaleConfig, assets: &Assets, inputs: &[PcmBlock]) -> (Vec<PcmBlock>, Vec<Fact>) {
    let mut stage = UpscaleStage::new(config, assets).unwrap();
    let mut out = Outbox::default();
    for input in inputs {
        stage.push(input.clone(), &mut out).unwrap();
        laws::settle(&mut stage, assets.inference.as_deref(), &mut out).unwrap();
    }
    stage.finish(&mut out).unwrap();
    laws::settle(&mut stage, assets.inference.as_deref(), &mut out).unwrap();
    (out.items, out.facts)
}

/// `x` through the baseline.
fn resampled(hz: u32, x: &[f32]) -> Vec<f32> {
    let inputs = blocks(spec(hz, 1, Pace::Bulk), &[x.to_vec()], &[]);
    planes(&run(&UpscaleConfig::default(), &Assets::default(), &inputs).0).remove(0)
}

/// Silence, then noise with tones: long enough to pass the detector's decision, unless `seconds` says less.
fn programme(hz: u32, silence: f64, seconds: f64) -> Vec<f32> {
    let frames = (seconds * f64::from(hz)) as usize;
    let mut x = vec![0.0; (silence * f64::from(hz)) as usize];
    let tone = sine(0.11 * f64::from(hz), hz, frames, 0.2);
    x.extend(noise(hz.into(), frames, 0.2).iter().zip(tone).map(|(noise, tone)| noise + tone));
    x
}

/// Power of `x` between two frequencies at 48 kHz, by Goertzel at 40 places: enough to compare.
fn band_power(x: &[f32], from_hz: f64, to_hz: f64) -> f64 {
    let places = (0..40).map(|place| from_hz + (to_hz - from_hz) * f64::from(place) / 40.0);
    let power = places.map(|hz| {
        let step = 2.0 * (std::f64::consts::TAU * hz / 48_000.0).cos();
        let (mut one, mut two) = (0.0, 0.0);
        for (n, &sample) in x.iter().enumerate() {
            let window = 0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / x.len() as f64).cos();
            (one, two) = (f64::from(sample) * window + step * one - two, one);
        }
        one * one + two * two - step * one * two
    });
    power.sum::<f64>() / x.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn the_output_is_blind_to_cuts(
        hz in prop::sample::select(vec![8_000_u32, 16_000, 22_050, 44_101]),
        silence in 0.0..0.4_f64,
        seconds in 0.0..2.4_f64,
        cuts in prop::collection::vec(any::<usize>(), 1..10),
    ) {
        let spec = spec(hz, 2, Pace::Live);
        let both = [programme(hz, silence, seconds), programme(hz, silence, seconds)];
        for (_, assets) in models() {
            let (one, other) = (blocks(spec, &both, &[]), blocks(spec, &both, &cuts));
            laws::blind_to_cuts::<UpscaleStage>(&ai(), assets, &one, &other);
        }
    }
}

#[test]
fn a_successor_continues_bit_for_bit() {
    for (name, assets) in models() {
        for (hz, silence, seconds) in [(16_000, 1.0, 2.5), (44_100, 0.0, 2.2), (8_000, 3.0, 0.4)] {
            let x = programme(hz, silence, seconds);
            let tenths: Vec<usize> = (1..x.len()).filter(|n| n % (hz as usize / 5) == 0).collect();
            let inputs = blocks(spec(hz, 1, Pace::Live), &[x], &tenths);
            laws::replay_equals_uninterrupted::<UpscaleStage>(&ai(), assets, &inputs);
            println!("{name} at {hz} Hz: {} places", inputs.len());
        }
    }
}

#[test]
fn a_finished_stage_is_as_new() {
    for (_, assets) in models() {
        let inputs = blocks(spec(16_000, 1, Pace::Bulk), &[programme(16_000, 0.1, 2.0)], &[9_000]);
        laws::as_new_after_finish::<UpscaleStage>(&ai(), assets, &inputs);
    }
}

#[test]
fn the_restart_point_of_an_endless_stream_stays_near() {
    for (name, assets) in models() {
        for level in [0.0, 0.3] {
            let mut stage = UpscaleStage::new(&ai(), assets).unwrap();
            let mut out = Outbox::default();
            for block in 0..80_u64 {
                let x = noise(block, 1_600, level);
                let (input, _) = PcmBlock::new(spec(16_000, 1, Pace::Live), block * 1_600, vec![x]);
                stage.push(input, &mut out).unwrap();
                laws::settle(&mut stage, assets.inference.as_deref(), &mut out).unwrap();
                let lag = block + 1 - stage.restart().input;
                assert!(lag <= 8 || block < 30, "{name}: {lag} inputs of 100 ms would be pushed again");
            }
        }
    }
}

#[test]
fn the_original_band_is_untouched_and_the_missing_one_is_filled() {
    for (name, assets) in models() {
        let x = programme(16_000, 0.0, 3.0);
        let (items, facts) =
            run(&ai(), assets, &blocks(spec(16_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[]));
        let (plain, restored) = (resampled(16_000, &x), planes(&items).remove(0));
        assert_eq!(plain.len(), restored.len());
        assert_eq!(facts, [Fact::BandwidthDetected { hz: 7_968 }], "{name}");
        let middle = 40_000..104_000;
        let added: Vec<f32> =
            restored[middle.clone()].iter().zip(&plain[middle.clone()]).map(|(y, x)| y - x).collect();
        let snr = 10.0
            * (band_power(&plain[middle.clone()], 100.0, 7_500.0) / band_power(&added, 100.0, 7_500.0))
                .log10();
        let gain = 10.0
            * (band_power(&restored[middle.clone()], 8_500.0, 20_000.0)
                / band_power(&plain[middle], 8_500.0, 20_000.0))
            .log10();
        println!("{name}: signal over error below 7.5 kHz {snr:.1} dB, high band raised by {gain:.1} dB");
        assert!(snr > 80.0, "{name}: the low band changed: {snr:.1} dB");
        assert!(gain > 30.0, "{name}: the high band is as empty as before: {gain:.1} dB");
    }
}

#[test]
fn the_shipped_models_obey_the_laws_and_fill_the_band() {
    for file in ["../treble.onnx", "../treble-live.onnx"] {
        obeys_the_laws_and_fills_the_band(file);
    }
}

fn obeys_the_laws_and_fills_the_band(file: &str) {
    let assets = Assets { inference: Some(Arc::new(engine(file, 1))) };
    let x = programme(16_000, 0.2, 2.6);
    let (spec, tenths) =
        (spec(16_000, 1, Pace::Live), (1..26).map(|tenth| tenth * 1_600).collect::<Vec<_>>());
    let (one, other) =
        (blocks(spec, std::slice::from_ref(&x), &[]), blocks(spec, std::slice::from_ref(&x), &tenths));
    laws::blind_to_cuts::<UpscaleStage>(&ai(), &assets, &one, &other);
    laws::replay_equals_uninterrupted::<UpscaleStage>(
        &ai(),
        &assets,
        &blocks(spec, std::slice::from_ref(&x), &tenths[20..]),
    );
    let (plain, restored) = (resampled(16_000, &x), planes(&run(&ai(), &assets, &other).0).remove(0));
    let high = |y: &[f32]| 10.0 * band_power(&y[40_000..104_000], 8_500.0, 20_000.0).log10();
    let gain = high(&restored) - high(&plain);
    assert!(gain > 20.0, "{file}: {gain:.1} dB");
}

/// Frames at 16 kHz that a stream is behind after three seconds of a live source.
fn behind(assets: &Assets) -> usize {
    let x = programme(16_000, 0.0, 3.0);
    let cuts: Vec<usize> = (1..300).map(|hundredth| hundredth * 160).collect();
    let mut stage = UpscaleStage::new(&ai(), assets).unwrap();
    let mut out = Outbox::default();
    for block in blocks(spec(16_000, 1, Pace::Live), std::slice::from_ref(&x), &cuts) {
        stage.push(block, &mut out).unwrap();
        laws::settle(&mut stage, assets.inference.as_deref(), &mut out).unwrap();
    }
    let emitted = planes(&out.items).first().map_or(0, Vec::len);
    x.len() - emitted / 3
}

#[test]
fn the_live_model_keeps_a_live_stream_a_tenth_of_a_second_nearer() {
    let [quality, live] = ["../treble.onnx", "../treble-live.onnx"]
        .map(|file| behind(&Assets { inference: Some(Arc::new(engine(file, 1))) }));
    println!("behind by {quality} frames with the quality model, by {live} with the live one");
    assert!(live + 1_600 <= quality, "{live} against {quality}");
}

#[test]
fn equal_channels_stay_equal() {
    for (name, assets) in models() {
        let x = programme(16_000, 0.0, 2.0);
        let (items, _) = run(&ai(), assets, &blocks(spec(16_000, 2, Pace::Bulk), &[x.clone(), x], &[]));
        let both = planes(&items);
        assert!(both[0] == both[1], "{name}");
    }
}

#[test]
fn full_band_audio_comes_out_as_it_went_in_and_says_so() {
    for (name, assets) in models() {
        let x = noise(1, 150_000, 0.5);
        let (items, facts) =
            run(&ai(), assets, &blocks(spec(48_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[]));
        assert!(planes(&items)[0] == x, "{name}");
        assert!(facts.contains(&Fact::AlreadyFullBand), "{facts:?}");
    }
}

#[test]
fn a_low_pass_inside_full_rate_audio_is_found_and_restored() {
    for (name, assets) in models() {
        let x = resampled(16_000, &programme(16_000, 0.0, 3.0));
        let (items, facts) =
            run(&ai(), assets, &blocks(spec(48_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[]));
        let [Fact::BandwidthDetected { hz }] = facts[..] else { panic!("{name}: {facts:?}") };
        assert!((7_600..=7_950).contains(&hz), "{name}: {hz} Hz");
        assert!(planes(&items)[0] != x, "{name}: something was added");
    }
}

#[test]
fn the_baseline_measures_the_band_too() {
    let x = resampled(8_000, &programme(8_000, 0.2, 3.0));
    let inputs = blocks(spec(48_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[]);
    let (items, facts) = run(&UpscaleConfig::default(), &Assets::default(), &inputs);
    assert!(planes(&items)[0] == x);
    assert!(matches!(facts[..], [Fact::BandwidthDetected { hz: 3_700..=3_950 }]), "{facts:?}");
    let off = UpscaleConfig { detection: false, ..UpscaleConfig::default() };
    assert_eq!(
        run(&off, &Assets::default(), &inputs).1,
        [Fact::AlreadyFullBand],
        "48 kHz, taken at its word"
    );
}

#[test]
fn silence_one_sample_and_nothing_come_out_as_the_baseline_has_them() {
    for (name, assets) in models() {
        for x in [vec![], vec![0.5], vec![0.0; 40_000]] {
            let inputs = blocks(spec(16_000, 1, Pace::Bulk), std::slice::from_ref(&x), &[]);
            let y = planes(&run(&ai(), assets, &inputs).0).remove(0);
            assert_eq!(y.len(), x.len() * 3, "{name}");
            assert!(y.iter().all(|sample| sample.is_finite()));
            assert!(x.len() < 2 || y.iter().all(|&sample| sample == 0.0), "{name}: silence in, silence out");
        }
    }
}

#[test]
fn wild_samples_and_a_full_scale_square_stay_finite() {
    let wild: Vec<f32> = (0..40_000).map(|n| [f32::MAX, f32::MIN, 1.0, -1.0][n % 4]).collect();
    let square: Vec<f32> = (0..40_000).map(|n| if n / 20 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    for (_, assets) in models() {
        for x in [&wild, &square] {
            let inputs = blocks(spec(16_000, 1, Pace::Bulk), std::slice::from_ref(x), &[]);
            laws::total::<UpscaleStage>(&ai(), assets, &inputs);
            let y = planes(&run(&ai(), assets, &inputs).0);
            assert!(y[0].iter().all(|sample| sample.is_finite()));
        }
    }
}

#[test]
fn ai_without_a_model_or_at_another_rate_is_a_fault_of_the_configuration() {
    let error = UpscaleStage::new(&ai(), &Assets::default()).unwrap_err();
    assert_eq!(error.key, "upscale.mode");
    let config = UpscaleConfig { output_rate_hz: spec(44_100, 1, Pace::Bulk).rate, ..ai() };
    assert_eq!(UpscaleStage::new(&config, &models()[0].1).unwrap_err().key, "upscale.output_rate_hz");
}

/// An engine whose results are too short.
#[derive(Debug)]
struct Broken(ModelInfo);

impl Inference for Broken {
    fn infer(&self, windows: Vec<Window>) -> Result<Vec<Window>, StageError> {
        Ok(windows.iter().map(|_| Window(vec![0.0; 3])).collect())
    }
    fn model(&self) -> &ModelInfo {
        &self.0
    }
}

#[test]
fn results_that_are_not_what_the_model_promised_are_an_error() {
    for (_, assets) in models() {
        let info = assets.inference.as_ref().unwrap().model().clone();
        let broken = Assets { inference: Some(Arc::new(Broken(info))) };
        let inputs = blocks(spec(16_000, 1, Pace::Bulk), &[programme(16_000, 0.0, 2.5)], &[]);
        let error = laws::run::<UpscaleStage>(&ai(), &broken, &inputs).unwrap_err();
        assert_eq!(error.code(), "inference");
    }
}
