use super::*;
use crate::excitation::{Noise, SEED};
use crate::spectrum::{FRAME, HOP, Spectrum};
use realfft::num_complex::Complex32;

/// Frames of noise whose spectrum is shaped by `gain(bin)`, over the noise of 16 bits.
fn listen(detector: &mut Detector, frames: i64, gain: impl Fn(usize) -> f32) {
    let (mut spectrum, mut bins) = (Spectrum::new(), vec![Complex32::default(); BINS]);
    for k in 2..frames + 2 {
        Noise::new(SEED).analyse(k * (FRAME / HOP) as i64, &mut spectrum, &mut bins);
        let power: Vec<f32> =
            bins.iter().enumerate().map(|(bin, value)| (value * gain(bin)).norm_sqr() + 9e-8).collect();
        detector.push(k, &power, true);
    }
    detector.finish();
}

fn detected(edge_hz: f64, gain: impl Fn(usize) -> f32) -> Band {
    let mut detector = Detector::new(edge_hz, edge_hz, 48_000, 20_000, true);
    listen(&mut detector, 300, gain);
    detector.band(300).unwrap()
}

#[test]
fn the_edge_of_a_low_pass_is_found_within_two_bins() {
    for cutoff in [72, 85, 166, 234, 341, 400] {
        for width in [1.0, 4.0, 8.0] {
            for level in [0.03, 1.0, 10.0] {
                // -3 dB at the cutoff, 80 dB over `width` bins.
                let gain = |bin: usize| {
                    let over = (bin as f32 - cutoff as f32) / width;
                    level * 10.0_f32.powf(-(80.0 * over + 3.0).clamp(0.0, 100.0) / 20.0)
                };
                let band = detected(24_000.0, gain);
                assert!(band.bin.abs_diff(cutoff) <= 2, "cutoff {cutoff}, width {width}: {band:?}");
                assert!(!band.full && band.wants_restoring());
            }
        }
    }
}

#[test]
fn sound_that_fades_out_slowly_is_full_band() {
    for slope in [0.0, 0.1, 0.2] {
        let band = detected(24_000.0, |bin| 3.0 * 10.0_f32.powf(-slope * bin as f32 / 20.0));
        assert_eq!(band, Band { bin: 512, full: true }, "{slope} dB a bin");
    }
}

#[test]
fn a_gap_in_the_middle_of_the_band_is_no_edge() {
    let band = detected(24_000.0, |bin| if (100..300).contains(&bin) { 0.0 } else { 1.0 });
    assert!(band.full, "{band:?}");
}

#[test]
fn a_low_pass_at_the_edge_that_the_rate_implies_is_that_edge() {
    let band = detected(7_784.0, |bin| if bin < 164 { 1.0 } else { 0.0 });
    assert_eq!(band.bin, 166);
}

#[test]
fn a_low_pass_above_20_khz_leaves_nothing_to_restore() {
    assert!(detected(24_000.0, |bin| if bin < 440 { 1.0 } else { 0.0 }).full);
}

#[test]
fn silence_decides_nothing_and_the_first_sound_opens_the_question() {
    let mut detector = Detector::new(8_000.0, 7_784.0, 48_000, 20_000, true);
    let widest = Band { bin: 170, full: false };
    for k in -1..1_000 {
        detector.push(k, &[0.0; BINS], true);
        assert_eq!((detector.band(k), detector.band(k + 1)), (Some(widest), None));
    }
    detector.push(1_000, &[1.0; BINS], true);
    assert_eq!((detector.band(999), detector.band(1_000)), (Some(widest), None));
    detector.finish();
    assert_eq!(detector.band(1_000), Some(widest), "too short to tell: what the rate implies");
}

#[test]
fn without_detection_the_rate_decides_at_once() {
    let detector = Detector::new(4_000.0, 3_890.0, 48_000, 20_000, false);
    assert_eq!(detector.band(0), Some(Band { bin: 85, full: false }));
}

/// Nothing may be added on the resampler's slope: what is kept there would lose its likeness.
#[test]
fn a_source_that_fills_its_rate_ends_at_its_nyquist_frequency() {
    let mut detector = Detector::new(8_000.0, 7_781.0, 48_000, 20_000, true);
    // -3 dB at the resampler's edge, steep behind it.
    let gain = |bin: usize| 10.0_f32.powf(-((bin as f32 - 166.0) * 8.0 + 3.0).clamp(0.0, 100.0) / 20.0);
    listen(&mut detector, 300, gain);
    assert_eq!(detector.band(300).map(|band| band.bin), Some(170));
}
