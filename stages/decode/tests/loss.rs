//! A successor whose next inputs are lost for good.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{chunks, fixture};
use treble_core::{Assets, EncodedChunk, Outbox, PcmBlock, Restart, Stage};
use treble_decode::{DecodeConfig, DecodeStage};

fn fresh() -> DecodeStage {
    DecodeStage::new(&DecodeConfig::default(), &Assets::default()).unwrap()
}

/// The first restart point in the middle of a stream.
fn middle(inputs: &[EncodedChunk]) -> Restart {
    let mut stage = fresh();
    let mut out = Outbox::default();
    for input in inputs {
        stage.push(input.clone(), &mut out).unwrap();
        if stage.restart().input > 0 {
            return stage.restart();
        }
    }
    panic!("no restart point in the middle");
}

#[test]
fn flac_and_mp3_go_on_behind_a_hole() {
    for name in ["sine_s16.flac", "sine_s24.flac", "sine.mp3", "sine_bare.mp3"] {
        let inputs = chunks(&fixture(name), &[300]);
        let restart = middle(&inputs);
        assert!(DecodeStage::survives_loss(&restart.checkpoint), "{name}");
        for lost in [1, 3, 7] {
            let mut stage = fresh();
            stage.restore(&restart.checkpoint).unwrap();
            let mut out = Outbox::default();
            let first = usize::try_from(restart.input).unwrap();
            for _ in 0..lost {
                stage.push(EncodedChunk::default(), &mut out).unwrap();
            }
            for input in &inputs[first + lost..] {
                stage.push(input.clone(), &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
            }
            stage.finish(&mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
            let frames: usize = out.items.iter().map(PcmBlock::frames).sum();
            assert!(frames > 0, "{name}: nothing came behind a hole of {lost}");
        }
    }
}

#[test]
fn pcm_and_what_restarts_at_its_beginning_do_not() {
    let wave = middle(&chunks(&fixture("sine_s16.wav"), &[300]));
    assert!(!DecodeStage::survives_loss(&wave.checkpoint));
    assert!(!DecodeStage::survives_loss(&[]));
}
