//! The Python recipe and this crate compute the same: golden vectors of `model/golden` (`model/CONTRACT.md`,
//! section 8).

use super::*;
use crate::bandwidth::{Band, Decision};
use crate::model::EnvelopeSpec;
use crate::spectrum::frames_end;
use crate::synthesis::{FEATURE_BANDS, HIGH_BANDS};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("model/golden")
}

fn description() -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder().join("golden.json")).unwrap()).unwrap()
}

fn values(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(format!("{name}.f32"))).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn seed(golden: &serde_json::Value) -> u64 {
    u64::from_str_radix(golden["seed"].as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// The largest difference.
fn difference(one: &[f32], other: &[f32]) -> f64 {
    assert_eq!(one.len(), other.len());
    one.iter().zip(other).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max)
}

/// The golden input through a restorer with one block of all its frames, answered with `gains` and `mix`:
/// the window that it asked with, and its output.
fn restore(golden: &serde_json::Value, gains: &[f32], mix: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let input = values("input");
    let core = usize::try_from(frames_end(input.len() as u64) + 1).unwrap();
    let model = ModelSpec::Envelope(EnvelopeSpec { left: 0, right: 0, core });
    let bin = usize::try_from(golden["cutoff_bin"].as_u64().unwrap()).unwrap();
    let decision = Decision { first: i64::MIN, band: Band { bin, full: false } };
    let detector = Detector::new(8_000.0, 8_000.0, 48_000, 20_000, true).with_decision(decision);
    let rate = SampleRate::HZ_48000;
    let start = Start { source_rate: rate, source_frame: 0, signal_frame: 0, output_frame: 0 };
    let mut restorer = Restorer::new(&model, 1, start, detector);
    restorer.noise = Noise::new(seed(golden));
    let mut output = restorer.push(&[input]).remove(0);
    output.extend(restorer.finish().remove(0));
    let window = restorer.windows().remove(0).0;
    output.extend(restorer.supply(vec![Window([gains, mix].concat())]).unwrap().remove(0));
    assert!(restorer.is_done());
    (window, output)
}

#[test]
fn noise_equals_that_of_the_recipe() {
    let golden = description();
    let first = golden["noise_start"].as_i64().unwrap();
    let noise = Noise::new(seed(&golden));
    let ours: Vec<f32> = (first..).take(2_048).map(|n| noise.sample(n)).collect();
    assert!(ours == values("noise"));
}

#[test]
fn features_equal_those_of_the_recipe() {
    let golden = description();
    let (window, _) = restore(&golden, &values("formula_gains"), &values("formula_mix"));
    let theirs = values("features");
    let difference = difference(&window, &theirs);
    assert!(difference <= 1e-4, "{difference}");
    assert!(theirs[..theirs.len() / 2].iter().any(|&value| value > -1.0), "the vectors hold sound");
    assert_eq!(theirs.len() % (2 * FEATURE_BANDS), 0);
}

#[test]
fn the_output_for_given_predictions_equals_that_of_the_recipe() {
    let golden = description();
    for case in ["formula", "model"] {
        if golden["files"].get(format!("{case}_output.f32")).is_none() {
            println!("no golden vectors of a trained model yet");
            continue;
        }
        let (gains, mix) = (values(&format!("{case}_gains")), values(&format!("{case}_mix")));
        assert_eq!(gains.len() % HIGH_BANDS, 0);
        let (_, output) = restore(&golden, &gains, &mix);
        let theirs = values(&format!("{case}_output"));
        let (difference, added) = (difference(&output, &theirs), difference(&values("input"), &theirs));
        println!("{case}: differs by {difference:e}, the high band reaches {added:e}");
        assert!(difference <= 1e-4 && added > 100.0 * difference, "{case}: {difference}, {added}");
    }
}
