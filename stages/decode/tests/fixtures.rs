//! Each fixture against the signal it was made from.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it skips"
)]

mod support;

use SampleDepth::{F32, S16, S24};
use std::f64::consts::PI;
use support::{decode, planes, whole};
use treble_core::SampleDepth;

/// What a fixture decodes to.
struct Fixture {
    name: &'static str,
    hz: u32,
    channels: usize,
    /// Frames of the encoder's delay that nothing in the file tells, and so stay.
    delay: u64,
    /// Frames in all.
    frames: u64,
    depth: SampleDepth,
    /// How far the error lies below the signal at least, in dB.
    snr_db: f64,
}

const fn fixture_of(
    name: &'static str,
    (hz, channels, depth): (u32, usize, SampleDepth),
    (delay, frames): (u64, u64),
    snr_db: f64,
) -> Fixture {
    Fixture { name, hz, channels, delay, frames, depth, snr_db }
}

const FIXTURES: &[Fixture] = &[
    fixture_of("sine_s16.wav", (16_000, 2, S16), (0, 9_600), 80.0),
    fixture_of("sine_s24.wav", (8_000, 1, S24), (0, 4_800), 120.0),
    fixture_of("sine_f32.wav", (8_000, 2, F32), (0, 4_800), 120.0),
    fixture_of("sine_adpcm.wav", (8_000, 2, F32), (0, 5_085), 25.0),
    fixture_of("sine_piped.wav", (8_000, 1, S16), (0, 4_800), 80.0),
    fixture_of("sine_s16.flac", (16_000, 2, S16), (0, 9_600), 80.0),
    fixture_of("sine_s24.flac", (8_000, 1, S24), (0, 4_800), 120.0),
    fixture_of("sine.mp3", (44_100, 2, F32), (0, 26_460), 25.0),
    fixture_of("sine_bare.mp3", (22_050, 2, F32), (1_105, 14_400), 25.0),
    fixture_of("sine.aac", (44_100, 2, F32), (1_024, 27_648), 15.0),
    fixture_of("sine_aac.m4a", (44_100, 2, F32), (0, 26_460), 15.0),
    fixture_of("sine_aac_faststart.m4a", (44_100, 2, F32), (0, 26_460), 15.0),
    fixture_of("sine_alac.m4a", (16_000, 2, S16), (0, 9_600), 80.0),
    fixture_of("sine_vorbis.ogg", (44_100, 2, F32), (0, 26_460), 25.0),
    fixture_of("sine_opus.ogg", (48_000, 2, F32), (0, 28_800), 25.0),
    fixture_of("sine_flac.ogg", (16_000, 2, S16), (0, 9_600), 80.0),
    fixture_of("sine_s16.aiff", (8_000, 2, S16), (0, 4_800), 80.0),
    fixture_of("sine_s24.caf", (8_000, 2, S24), (0, 4_800), 120.0),
    fixture_of("sine_vorbis.webm", (44_100, 2, F32), (0, 27_200), 25.0),
    fixture_of("sine_opus.mka", (48_000, 2, F32), (0, 29_448), 25.0),
    fixture_of("sine_mp3.mka", (44_100, 2, F32), (1_105, 27_648), 25.0),
];

/// The signal of `make.sh` at frame `frame`: left and right, or their mean.
fn signal(frame: u64, hz: u32, channels: usize) -> Vec<f64> {
    let t = frame as f64 / f64::from(hz);
    let left = 0.5 * (2.0 * PI * 440.0 * t).sin() * (PI * t / 0.6).sin();
    let right = 0.3 * (2.0 * PI * 523.25 * t).sin() * (PI * t / 1.2).cos();
    if channels == 1 { vec![(left + right) / 2.0] } else { vec![left, right] }
}

/// How far the difference of the decoded planes from the signal lies below the signal, in dB.
fn snr_db(planes: &[Vec<f32>], hz: u32, delay: u64) -> f64 {
    let frames = (0.6 * f64::from(hz)).round() as u64;
    let (mut power, mut error) = (0.0, 1e-30);
    for frame in 0..frames {
        for (plane, expected) in planes.iter().zip(signal(frame, hz, planes.len())) {
            power += expected * expected;
            error += (f64::from(plane[(frame + delay) as usize]) - expected).powi(2);
        }
    }
    10.0 * f64::log10(power / error)
}

#[test]
fn every_fixture_is_the_signal_it_was_made_from() {
    let mut faults = Vec::new();
    for expected in FIXTURES {
        let blocks = match decode(&whole(expected.name)) {
            Ok(blocks) => blocks,
            Err(error) => {
                faults.push(format!("{}: {error}", expected.name));
                continue;
            }
        };
        let (spec, planes) = (blocks[0].spec(), planes(&blocks));
        let found = (spec.rate.hz(), planes.len(), spec.depth, planes[0].len() as u64);
        let snr = snr_db(&planes, expected.hz, expected.delay);
        let wanted = (expected.hz, expected.channels, expected.depth, expected.frames);
        if found != wanted || snr < expected.snr_db {
            faults.push(format!("{}: {found:?} for {wanted:?}, {snr:.1} dB", expected.name));
        }
        let early = planes.iter().map(|plane| [&[0.0], &plane[..]].concat()).collect::<Vec<_>>();
        let late = planes.iter().map(|plane| [&plane[1..], &[0.0]].concat()).collect::<Vec<_>>();
        if [early, late].iter().any(|shifted| snr_db(shifted, expected.hz, expected.delay) > snr) {
            faults.push(format!("{}: aligned better when shifted by a frame", expected.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
