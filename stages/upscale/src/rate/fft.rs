//! rubato's FFT converter on an absolute grid of blocks.
//!
//! Block `b` takes input frames `[b·I, (b+1)·I)`. rubato transforms each block alone and adds the tail of the
//! one before, so block `b` gives output frames `[b·O - O/2, (b+1)·O - O/2)` and depends on blocks `b-1` and
//! `b` only. `I` and `O` are even, which makes the filter's delay of `I/2` input frames a whole number of
//! output frames.

use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};
use treble_core::SampleRate;

/// The longest block, in frames of either side, and in seconds: beyond it the FFT costs more delay and memory
/// than it saves time.
const MAX_BLOCK_FRAMES: u64 = 32_768;
const MAX_BLOCK_SECONDS: f64 = 0.25;

/// The filter's length in frames of the lower rate: long enough to keep 97 % (98.6 % from 32 kHz) of the band.
const fn filter_frames(lower_hz: u64) -> u64 {
    if lower_hz < 32_000 { 512 } else { 1_024 }
}

/// Block sizes for a pair of rates: input frames, output frames; `None` where they would be too large.
fn block(input: SampleRate, output: SampleRate) -> Option<(usize, usize)> {
    let (input, output) = (u64::from(input.hz()), u64::from(output.hz()));
    let divisor = gcd(input, output);
    let (unit_in, unit_out) = (input / divisor, output / divisor);
    let units = filter_frames(input.min(output)).div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
    let (block_in, block_out) = (units * unit_in, units * unit_out);
    let seconds = block_in as f64 / input as f64;
    let fits = block_in.max(block_out) <= MAX_BLOCK_FRAMES && seconds <= MAX_BLOCK_SECONDS;
    fits.then(|| usize::try_from(block_in).ok().zip(usize::try_from(block_out).ok())).flatten()
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[derive(Debug)]
pub(super) struct FftRate {
    fft: Fft<f32>,
    edge_hz: f64,
    block_in: usize,
    block_out: usize,
    /// Input frames that wait for a whole block.
    waiting: Vec<Vec<f32>>,
    /// Input frames still to be ignored, up to the next block's beginning.
    ignore: usize,
    /// Output frames still to be dropped: the filter's delay, or the warm-up block.
    drop: usize,
    next_output: u64,
}

impl FftRate {
    /// A converter fed from input frame `from`; `None` where the pair of rates needs too large a block.
    pub(super) fn new(input: SampleRate, output: SampleRate, channels: usize, from: u64) -> Option<Self> {
        let (block_in, block_out) = block(input, output)?;
        let fft = Fft::new_custom(
            input.hz() as usize,
            output.hz() as usize,
            block_in,
            1,
            channels,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .ok()?;
        debug_assert_eq!((fft.fft_size_in(), fft.fft_size_out()), (block_in, block_out));
        let edge_hz = f64::from(fft.cutoff()) * f64::from(input.hz()) / 2.0;
        let first = from.div_ceil(block_in as u64);
        let ignore = usize::try_from(first * block_in as u64 - from).ok()?;
        let (drop, next_output) = if first == 0 {
            (block_out / 2, 0)
        } else {
            (block_out, (first + 1) * block_out as u64 - block_out as u64 / 2)
        };
        let waiting = vec![Vec::new(); channels];
        Some(Self { fft, edge_hz, block_in, block_out, waiting, ignore, drop, next_output })
    }

    pub(super) fn next_output(&self) -> u64 {
        self.next_output
    }

    pub(super) fn edge_hz(&self) -> f64 {
        self.edge_hz
    }

    /// The first frame of the block before the one that gives `output`.
    pub(super) fn restart_frame(&self, output: u64) -> u64 {
        let block = (output + self.block_out as u64 / 2) / self.block_out as u64;
        if block == 0 { 0 } else { (block - 1) * self.block_in as u64 }
    }

    pub(super) fn push(&mut self, planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let skip = self.ignore.min(planes[0].len());
        self.ignore -= skip;
        for (waiting, plane) in self.waiting.iter_mut().zip(planes) {
            waiting.extend_from_slice(&plane[skip..]);
        }
        self.run(self.waiting[0].len() / self.block_in)
    }

    /// The last `missing` output frames, the stream continued by silence.
    pub(super) fn finish(&mut self, missing: usize) -> Vec<Vec<f32>> {
        let blocks = (missing + self.drop).div_ceil(self.block_out);
        for waiting in &mut self.waiting {
            waiting.resize(blocks * self.block_in, 0.0);
        }
        let mut out = self.run(blocks);
        for plane in &mut out {
            plane.truncate(missing);
        }
        out
    }

    /// Converts the first `blocks` blocks that wait.
    fn run(&mut self, blocks: usize) -> Vec<Vec<f32>> {
        let (channels, frames) = (self.waiting.len(), self.waiting[0].len());
        let mut out = vec![vec![0.0; blocks * self.block_out]; channels];
        if blocks > 0 {
            let from = SequentialSliceOfVecs::new(&self.waiting, channels, frames).expect("equal planes");
            let mut to = SequentialSliceOfVecs::new_mut(&mut out, channels, blocks * self.block_out)
                .expect("equal planes");
            for block in 0..blocks {
                let at =
                    Indexing::new().input_offset(block * self.block_in).output_offset(block * self.block_out);
                self.fft.process_into_buffer(&from, &mut to, Some(&at)).expect("whole blocks on both sides");
            }
        }
        for plane in &mut self.waiting {
            plane.drain(..blocks * self.block_in);
        }
        let drop = self.drop.min(out[0].len());
        self.drop -= drop;
        for plane in &mut out {
            plane.drain(..drop);
        }
        out
    }
}
