//! Adds windowed frames of a high band to the signal, and gives the samples that are final.

use crate::history::History;
use crate::spectrum::{FRAME, HOP, frame_start};

/// The sum of the squared window over the four frames that cover a sample.
const WINDOW_POWER: f32 = 1.5;

/// Frames in the making. A sample is final with the last of the four frames that cover it; they are added
/// from the lowest up, so that the sum does not depend on how the stream was cut.
#[derive(Debug)]
pub(crate) struct Overlap {
    /// The frame that is added next.
    next: i64,
    /// For each channel the sums from the first sample of that frame on.
    sums: Vec<[f32; FRAME]>,
}

impl Overlap {
    /// Begins with frame `next`: the samples that earlier frames cover too are not to be used.
    pub(crate) fn new(channels: usize, next: i64) -> Self {
        Self { next, sums: vec![[0.0; FRAME]; channels] }
    }

    /// The frame that is added next.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Adds one channel of the frame.
    pub(crate) fn add(&mut self, channel: usize, frame: &[f32]) {
        for (sum, sample) in self.sums[channel].iter_mut().zip(frame) {
            *sum += sample;
        }
    }

    /// Goes on to the next frame; appends what is now final, the signal with its high band, to `out`.
    /// `end` is the stream's end, once it is known.
    pub(crate) fn advance(&mut self, signal: &History, end: Option<u64>, out: &mut [Vec<f32>]) {
        let start = frame_start(self.next);
        let stop = end.map_or(i64::MAX, u64::cast_signed).min(start + HOP as i64);
        for (channel, (sums, out)) in self.sums.iter_mut().zip(out).enumerate() {
            if stop > start && start >= 0 {
                let count = (stop - start) as usize;
                let mut samples = [0.0; HOP];
                signal.copy(channel, start, &mut samples[..count]);
                let restored =
                    samples.iter().zip(sums.iter()).map(|(sample, sum)| sample + sum / WINDOW_POWER);
                out.extend(restored.take(count));
            }
            sums.copy_within(HOP.., 0);
            sums[FRAME - HOP..].fill(0.0);
        }
        self.next += 1;
    }
}
