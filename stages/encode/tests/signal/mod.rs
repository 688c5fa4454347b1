//! Signals and ways to cut them.

use treble_core::{ChannelCount, Pace, PcmBlock, PcmSpec, SampleDepth, SampleRate};

pub(crate) fn spec(hz: u32, channels: u32, depth: SampleDepth, pace: Pace) -> PcmSpec {
    PcmSpec {
        rate: SampleRate::new(hz).unwrap(),
        channels: ChannelCount::new(channels).unwrap(),
        depth,
        pace,
    }
}

/// A decaying chord with noise, different in each channel, on the grid of the depth.
pub(crate) fn tone(spec: PcmSpec, frames: usize) -> Vec<Vec<f32>> {
    let grid = match spec.depth {
        SampleDepth::S16 => Some(32_768.0),
        SampleDepth::S24 => Some(8_388_608.0),
        SampleDepth::F32 => None,
    };
    let mut noise = 1_u32;
    let mut sample = |frame: usize, channel: usize| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let t = frame as f32 / spec.rate.hz() as f32;
        let chord = (t * 2765.0 + channel as f32).sin() * 0.4 + (t * 17_420.0).sin() * 0.2;
        let value = chord * (-t).exp() + (noise as f32 / u32::MAX as f32 - 0.5) * 0.01;
        grid.map_or(value, |grid| (value * grid).round() / grid)
    };
    (0..spec.channels.count())
        .map(|channel| (0..frames).map(|frame| sample(frame, channel)).collect())
        .collect()
}

/// The announcement, and the planes cut into blocks of the given lengths over and over.
pub(crate) fn blocks(spec: PcmSpec, planes: &[Vec<f32>], lengths: &[usize]) -> Vec<PcmBlock> {
    let frames = planes[0].len();
    let mut blocks = vec![PcmBlock::announce(spec, 0)];
    let (mut at, mut lengths) = (0, lengths.iter().cycle());
    while at < frames {
        let end = frames.min(at + lengths.next().copied().unwrap_or(frames));
        let part = planes.iter().map(|plane| plane[at..end].to_vec()).collect();
        blocks.push(PcmBlock::new(spec, at as u64, part).0);
        at = end;
    }
    blocks
}
