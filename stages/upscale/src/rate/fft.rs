//! rubato's FFT converter on an absolute grid of blocks.
//!
//! Block `b` takes input frames `[b·I, (b+1)·I)`. rubato transforms each block alone and adds the tail of the
//! one before, so block `b` gives output frames `[b·O - O/2, (b+1)·O - O/2)` and depends on blocks `b-1` and
//! `b` only. `I` and `O` are even, which makes the filter's delay of `I/2` input frames a whole number of
//! output frames.
//!
//! A stream keeps the block before, and borrows the rest, of which there is far more, from its thread ([`converters`]).

use super::converters::{self, Pair, Ticket};
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{Fft, Indexing, Resampler as _};
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
    pair: Pair,
    /// What this stream left in the thread's converter.
    ticket: Ticket,
    edge_hz: f64,
    /// The block that was converted last (silence, where a stream begins), then input frames that wait for a whole one.
    held: Vec<Vec<f32>>,
    /// Input frames still to be ignored, up to the next block's beginning.
    ignore: usize,
    /// Output frames still to be dropped: the filter's delay.
    drop: usize,
    next_output: u64,
}

impl FftRate {
    /// A converter fed from input frame `from`; `None` where the pair of rates needs too large a block.
    pub(super) fn new(input: SampleRate, output: SampleRate, channels: usize, from: u64) -> Option<Self> {
        let (block_in, block_out) = block(input, output)?;
        let pair = Pair { input, output, block_in, block_out, channels };
        let cutoff = converters::with(&pair, |converter| converter.fft.cutoff())?;
        let edge_hz = f64::from(cutoff) * f64::from(input.hz()) / 2.0;
        let first = from.div_ceil(block_in as u64);
        let ignore = usize::try_from(first * block_in as u64 - from).ok()?;
        let (held, drop, next_output) = if first == 0 {
            (vec![0.0; block_in], block_out / 2, 0)
        } else {
            (Vec::new(), 0, (first + 1) * block_out as u64 - block_out as u64 / 2)
        };
        let (held, ticket) = (vec![held; channels], Ticket::default());
        Some(Self { pair, ticket, edge_hz, held, ignore, drop, next_output })
    }

    pub(super) fn next_output(&self) -> u64 {
        self.next_output
    }

    pub(super) fn edge_hz(&self) -> f64 {
        self.edge_hz
    }

    /// The first frame of the block before the one that gives `output`.
    pub(super) fn restart_frame(&self, output: u64) -> u64 {
        let block_out = self.pair.block_out as u64;
        let block = (output + block_out / 2) / block_out;
        if block == 0 { 0 } else { (block - 1) * self.pair.block_in as u64 }
    }

    pub(super) fn push(&mut self, planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let skip = self.ignore.min(planes[0].len());
        self.ignore -= skip;
        for (held, plane) in self.held.iter_mut().zip(planes) {
            held.extend_from_slice(&plane[skip..]);
        }
        self.run((self.held[0].len() / self.pair.block_in).saturating_sub(1))
    }

    /// The last `missing` output frames, the stream continued by silence.
    pub(super) fn finish(&mut self, missing: usize) -> Vec<Vec<f32>> {
        let blocks = (missing + self.drop).div_ceil(self.pair.block_out);
        for held in &mut self.held {
            held.resize((1 + blocks) * self.pair.block_in, 0.0);
        }
        let mut out = self.run(blocks);
        for plane in &mut out {
            plane.truncate(missing);
        }
        out
    }

    /// Converts the first `blocks` blocks after the one that was converted last.
    fn run(&mut self, blocks: usize) -> Vec<Vec<f32>> {
        let Pair { block_in, block_out, channels, .. } = self.pair;
        let mut out = vec![vec![0.0; blocks * block_out]; channels];
        if blocks > 0 {
            let (held, ticket) = (&self.held, &mut self.ticket);
            converters::with(&self.pair, |converter| {
                if !converter.enter(ticket) {
                    converter.fft.reset();
                    // What it gives is known; what it leaves in the converter is what the next block is added to.
                    convert(&mut converter.fft, held, 0, &mut converter.warm_up, 0);
                }
                for block in 0..blocks {
                    convert(&mut converter.fft, held, (block + 1) * block_in, &mut out, block * block_out);
                }
                *ticket = converter.leave();
            })
            .expect("it was built when the stream began");
        }
        for plane in &mut self.held {
            plane.drain(..blocks * block_in);
            // What a long push took is not held until the next one.
            plane.shrink_to(2 * block_in);
        }
        let drop = self.drop.min(out[0].len());
        self.drop -= drop;
        for plane in &mut out {
            plane.drain(..drop);
        }
        out
    }
}

/// Converts the block of `from` that begins at frame `at` to `to`, from frame `out_at` on.
fn convert(fft: &mut Fft<f32>, from: &[Vec<f32>], at: usize, to: &mut [Vec<f32>], out_at: usize) {
    let (channels, frames, out_frames) = (from.len(), from[0].len(), to[0].len());
    let from = SequentialSliceOfVecs::new(from, channels, frames).expect("equal planes");
    let mut to = SequentialSliceOfVecs::new_mut(to, channels, out_frames).expect("equal planes");
    let at = Indexing::new().input_offset(at).output_offset(out_at);
    fft.process_into_buffer(&from, &mut to, Some(&at)).expect("whole blocks on both sides");
}
