//! What encoding leaves behind in the process, whoever allocates it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![cfg(target_os = "linux")]

use std::fs;
use treble_core::{
    Assets, ChannelCount, Codec, Outbox, Pace, PcmBlock, PcmSpec, SampleDepth, SampleRate, Stage,
};
use treble_encode::{EncodeConfig, EncodeStage};

const PUSHES: u64 = 2_000;
const FRAMES: u64 = 4_096;
/// Half of what a process would have grown by that loses 16 KiB with each push.
const ALLOWED_BYTES: u64 = 16 << 20;

/// Bytes of this process that are in memory.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn push(stage: &mut EncodeStage, spec: PcmSpec, number: u64) {
    let plane: Vec<f32> =
        (0..FRAMES).map(|frame| ((frame * (number + 3)) % 1_000) as f32 / 2_000.0).collect();
    let block = PcmBlock::new(spec, number * FRAMES, vec![plane; spec.channels.count()]).0;
    stage.push(block, &mut Outbox::default()).unwrap();
}

#[test]
fn a_long_stream_leaves_nothing_behind() {
    let spec = PcmSpec {
        rate: SampleRate::HZ_48000,
        channels: ChannelCount::STEREO,
        depth: SampleDepth::F32,
        pace: Pace::Live,
    };
    let config = EncodeConfig { codec: Codec::Flac, ..EncodeConfig::default() };
    let mut stage = EncodeStage::new(&config, &Assets::default()).unwrap();
    (0..100).for_each(|number| push(&mut stage, spec, number));
    let before = resident_bytes();
    (100..100 + PUSHES).for_each(|number| push(&mut stage, spec, number));
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < ALLOWED_BYTES, "{} KiB more after {PUSHES} frames", grown >> 10);
}
