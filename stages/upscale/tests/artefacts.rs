//! What a listener would hate, looked for in what the shipped models make.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod support;

use std::sync::Arc;
use support::library::engine;
use support::signals::{blocks, noise, planes, sine, spec};
use treble_core::{Assets, Pace, laws};
use treble_upscale::{Mode, UpscaleConfig, UpscaleStage};

const RATE_HZ: u32 = 16_000;
/// The models, and how many samples at 48 kHz one run of them makes new: frames of 256 samples (`model/CONTRACT.md`).
const MODELS: [(&str, usize); 2] = [("../treble.onnx", 64 * 256), ("../treble-live.onnx", 4 * 256)];

fn restored(assets: &Assets, mode: Mode, x: &[f32]) -> Vec<f32> {
    let config = UpscaleConfig { mode, ..UpscaleConfig::default() };
    let inputs = blocks(spec(RATE_HZ, 1, Pace::Bulk), &[x.to_vec()], &[]);
    planes(&laws::run::<UpscaleStage>(&config, assets, &inputs).unwrap()).remove(0)
}

fn model(file: &str) -> Assets {
    Assets { inference: Some(Arc::new(engine(file, 1))) }
}

/// Tone and noise, the same all the time.
fn steady(seconds: usize) -> Vec<f32> {
    let frames = seconds * RATE_HZ as usize;
    let tone = sine(1_760.0, RATE_HZ, frames, 0.2);
    noise(7, frames, 0.2).iter().zip(tone).map(|(noise, tone)| noise + tone).collect()
}

/// What the model adds to `x`.
fn added(assets: &Assets, x: &[f32]) -> Vec<f32> {
    let plain = restored(&Assets::default(), Mode::Baseline, x);
    restored(assets, Mode::Ai, x).iter().zip(&plain).map(|(restored, plain)| restored - plain).collect()
}

fn power(x: &[f32]) -> f64 {
    x.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / x.len().max(1) as f64
}

/// The greatest and the middle power of jumps, by the place within a run of the model.
fn jumps(added: &[f32], run: usize) -> (f64, f64) {
    const PLACE: usize = 16;
    let jumps: Vec<f32> = added.windows(3).map(|at| at[0] - 2.0 * at[1] + at[2]).collect();
    // The first second is the detector's, and the last frames see the end.
    let settled = &jumps[48_000 / run * run + run..jumps.len() - 48_000];
    let mut places: Vec<f64> = (0..run / PLACE)
        .map(|place| {
            let here = settled.chunks_exact(run).map(|run| power(&run[place * PLACE..(place + 1) * PLACE]));
            here.clone().sum::<f64>() / here.count() as f64
        })
        .collect();
    places.sort_by(f64::total_cmp);
    (places[places.len() - 1], places[places.len() / 2])
}

#[test]
fn there_is_no_click_where_one_run_of_the_model_follows_another() {
    let x = steady(14);
    for (file, run) in MODELS {
        let mut added = added(&model(file), &x);
        let (most, middle) = jumps(&added, run);
        println!("{file}: {:.2} of the middle", most / middle);
        assert!(middle > 0.0 && most < 1.6 * middle, "{file}: {most:e} in one place, {middle:e} in most");
        // A click of five times the added band's level at each edge is found.
        let level = power(&added).sqrt() as f32;
        added.iter_mut().step_by(run).for_each(|sample| *sample += 5.0 * level);
        let (most, middle) = jumps(&added, run);
        assert!(most > 1.6 * middle, "{file}: clicks are not found");
    }
}

#[test]
fn nothing_is_heard_after_the_last_sound() {
    let mut x = steady(2);
    x.extend(vec![0.0; 2 * RATE_HZ as usize]);
    for (file, _) in MODELS {
        let y = restored(&model(file), Mode::Ai, &x);
        let silence = &y[2 * 48_000 + 12_000..];
        let dbfs = 10.0 * (power(silence) + 1e-20).log10();
        println!("{file}: {dbfs:.0} dBFS");
        assert!(dbfs <= -90.0, "{file}: {dbfs:.1} dBFS a quarter of a second after the sound");
    }
}

#[test]
fn the_level_of_the_kept_band_stays() {
    let x = steady(4);
    let plain = restored(&Assets::default(), Mode::Baseline, &x);
    for (file, _) in MODELS {
        let kept = restored(&model(file), Mode::Ai, &x);
        // The tone lies in the kept band, and is the loudest there is at its frequency.
        let tone = |y: &[f32]| {
            let y = &y[48_000..3 * 48_000];
            let at = |n: usize| std::f64::consts::TAU * 1_760.0 * n as f64 / 48_000.0;
            let sum = |wave: fn(f64) -> f64| {
                y.iter().enumerate().map(|(n, y)| f64::from(*y) * wave(at(n))).sum::<f64>()
            };
            sum(f64::sin).hypot(sum(f64::cos))
        };
        let change_db = 20.0 * (tone(&kept) / tone(&plain)).log10();
        assert!(change_db.abs() < 0.01, "{file}: {change_db:.3} dB");
    }
}

#[test]
fn direct_current_clipping_squares_and_single_samples_stay_finite_and_in_bounds() {
    let clipped: Vec<f32> = steady(2).iter().map(|sample| (8.0 * sample).clamp(-1.0, 1.0)).collect();
    let square: Vec<f32> = (0..32_000).map(|n| if n / 20 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    for (file, _) in MODELS {
        let assets = model(file);
        for (name, x) in [
            ("direct current", &vec![0.9; 32_000]),
            ("clipping", &clipped),
            ("square", &square),
            ("one sample", &vec![1.0]),
        ] {
            let plain = restored(&Assets::default(), Mode::Baseline, x);
            let y = restored(&assets, Mode::Ai, x);
            assert!(y.len() == 3 * x.len() && y.iter().all(|sample| sample.is_finite()), "{file}: {name}");
            let peak = |y: &[f32]| y.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            assert!(peak(&y) < 2.0 * peak(&plain).max(1.0), "{file}: {name} has a peak of {}", peak(&y));
        }
    }
}
