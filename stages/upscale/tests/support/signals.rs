//! Signals that the tests of this crate share.

use treble_core::{ChannelCount, Pace, PcmBlock, PcmSpec, SampleDepth, SampleRate};

pub fn spec(hz: u32, channels: u32, pace: Pace) -> PcmSpec {
    PcmSpec {
        rate: SampleRate::new(hz).expect("a valid rate"),
        channels: ChannelCount::new(channels).expect("a valid count"),
        depth: SampleDepth::F32,
        pace,
    }
}

/// White noise in [-level, level), the same for the same seed.
pub fn noise(seed: u64, frames: usize, level: f32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..frames)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) * level
        })
        .collect()
}

pub fn sine(hz: f64, rate: u32, frames: usize, level: f64) -> Vec<f32> {
    (0..frames)
        .map(|n| (level * (std::f64::consts::TAU * hz * n as f64 / f64::from(rate)).sin()) as f32)
        .collect()
}

/// `planes` as blocks that end at `cuts` (in frames, in any order) and at the end.
pub fn blocks(spec: PcmSpec, planes: &[Vec<f32>], cuts: &[usize]) -> Vec<PcmBlock> {
    let frames = planes[0].len();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (frames + 1)).chain([frames]).collect();
    ends.sort_unstable();
    let mut start = 0;
    let mut blocks = vec![PcmBlock::announce(spec, 0)];
    for end in ends {
        let part = planes.iter().map(|plane| plane[start..end].to_vec()).collect();
        blocks.push(PcmBlock::new(spec, start as u64, part).0);
        start = end;
    }
    blocks
}

/// The samples of all items, one plane a channel.
pub fn planes(items: &[PcmBlock]) -> Vec<Vec<f32>> {
    let channels = items.first().map_or(0, |item| item.planes().len());
    (0..channels)
        .map(|channel| items.iter().flat_map(|item| item.planes()[channel].iter().copied()).collect())
        .collect()
}
