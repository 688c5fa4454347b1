//! Where the band of a source ends: its Nyquist frequency, or the low-pass of a codec or resampler that it
//! went through before.
//!
//! The detector listens on the frames of [`crate::spectrum`]. While the stream is silent there is nothing to
//! decide and nothing to restore, so the frames carry the band that the sample rate allows. From the first
//! frame that is not silent it gathers the mean power spectrum of a fixed number of frames, then decides once
//! for the rest of the stream. All of it is a function of the sample index alone.

use crate::spectrum::BINS;
use serde::{Deserialize, Serialize};

/// Frames that are gathered: 1.5 seconds at 48 kHz.
const FRAMES: u32 = 281;
/// Fewer frames than these at the end of a stream say nothing.
const LEAST_FRAMES: u32 = 8;
/// Mean power over the bins above which a frame is not silent: -86 dBFS.
const SILENCE: f32 = 1e-6;
/// Power that bins without content may have, in dB: 10 dB above the dither of 16 bits.
const FLOOR_DB: f64 = -60.0;
/// By how much power must drop over an edge, and by how much all above must lie below it unless it is at the
/// floor, in dB. Sound that merely fades out towards high frequencies has no such edge.
const DROP_DB: f64 = 15.0;
const EMPTY_DB: f64 = 35.0;
/// Bins that an edge may span, and over which the power on either side is averaged.
const EDGE: usize = 8;
const SIDE: usize = 8;
/// An edge this near to the one that the sample rate implies is that one.
const NEAR: usize = 6;

/// The band of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Band {
    /// The first bin above it (`cutoff_bin` of the contract).
    pub(crate) bin: usize,
    /// Whether nothing is missing above it.
    pub(crate) full: bool,
}

impl Band {
    /// Whether a high band is made for it: with less than 3 kHz there is too little to go by.
    pub(crate) fn wants_restoring(self) -> bool {
        !self.full && (64..=480).contains(&self.bin)
    }
}

/// What a successor must know of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Decision {
    /// The first frame it holds for.
    pub(crate) first: i64,
    /// The band.
    pub(crate) band: Band,
}

/// The first frame of a decision that was never open.
const EVER: i64 = i64::MIN;

impl Decision {
    /// Whether it rests on what was heard, and not on the sample rate alone.
    pub(crate) fn was_measured(self) -> bool {
        self.first != EVER
    }
}

/// The detector of one stream.
#[derive(Debug)]
pub(crate) struct Detector {
    /// The band that the sample rate allows.
    widest: Band,
    /// The bin at which the resampler's slope begins.
    passed_bin: usize,
    /// The least bin that counts as full band.
    full_bin: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// All frames before `next` were silent.
    Listening { next: i64 },
    /// Frames from `first` on are gathered.
    Gathering { first: i64, frames: u32, power: Vec<f64> },
    /// Done.
    Decided(Decision),
}

impl Detector {
    /// A detector for a source that ends at `nyquist_hz`, of which a resampler lets `edge_hz` pass, analysed at
    /// `rate_hz`. Without `detect` the sample rate decides.
    ///
    /// A source that fills what the resampler lets pass is limited by its rate: its band ends at its Nyquist frequency,
    /// not on the resampler's slope, so that nothing is added on that slope (`model/CONTRACT.md`, section 2).
    pub(crate) fn new(nyquist_hz: f64, edge_hz: f64, rate_hz: u32, full_band_hz: u32, detect: bool) -> Self {
        let bin = |hz: f64| ((hz * 1_024.0 / f64::from(rate_hz)) as usize).min(BINS - 1);
        let widest = Band { bin: bin(nyquist_hz), full: edge_hz >= f64::from(full_band_hz) };
        let state = if detect {
            State::Listening { next: -1 }
        } else {
            State::Decided(Decision { first: EVER, band: widest })
        };
        Self { widest, passed_bin: bin(edge_hz), full_bin: bin(f64::from(full_band_hz)), state }
    }

    /// The detector, for frames from `next` on: those before it were silent, or the decision is made.
    pub(crate) fn starting_at(mut self, next: i64) -> Self {
        if let State::Listening { next: listening } = &mut self.state {
            *listening = next;
        }
        self
    }

    /// A detector that has decided.
    pub(crate) fn with_decision(mut self, decision: Decision) -> Self {
        self.state = State::Decided(decision);
        self
    }

    /// The decision, once it is made.
    pub(crate) fn decision(&self) -> Option<Decision> {
        match self.state {
            State::Decided(decision) => Some(decision),
            State::Listening { .. } | State::Gathering { .. } => None,
        }
    }

    /// The band of frame `k`; `None` while that is open.
    pub(crate) fn band(&self, k: i64) -> Option<Band> {
        match self.state {
            State::Listening { next } => (k < next).then_some(self.widest),
            State::Gathering { first, .. } => (k < first).then_some(self.widest),
            State::Decided(Decision { first, band }) => Some(if k < first { self.widest } else { band }),
        }
    }

    /// Takes the power of frame `k`, a mean over the channels; `whole` says that the frame lies inside the
    /// stream. Frames come in order.
    pub(crate) fn push(&mut self, k: i64, power: &[f32], whole: bool) {
        if let State::Listening { next } = &mut self.state {
            let level = power.iter().sum::<f32>() / power.len() as f32;
            *next = k + 1;
            if level > SILENCE && whole {
                self.state = State::Gathering { first: k, frames: 0, power: vec![0.0; BINS] };
            }
        }
        if let State::Gathering { frames, power: sum, .. } = &mut self.state {
            if whole {
                *frames += 1;
                for (sum, &power) in sum.iter_mut().zip(power) {
                    *sum += f64::from(power);
                }
            }
            if *frames == FRAMES {
                self.decide();
            }
        }
    }

    /// Takes the end of the stream.
    pub(crate) fn finish(&mut self) {
        match self.state {
            State::Listening { .. } => {
                self.state = State::Decided(Decision { first: EVER, band: self.widest });
            }
            State::Gathering { .. } => self.decide(),
            State::Decided(_) => {}
        }
    }

    fn decide(&mut self) {
        let State::Gathering { first, frames, power } = &self.state else { return };
        let edge = if *frames < LEAST_FRAMES { None } else { edge(power, f64::from(*frames)) };
        let band = match edge {
            Some(bin) if bin + NEAR < self.passed_bin => Band { bin, full: bin >= self.full_bin },
            _ => self.widest,
        };
        self.state = State::Decided(Decision { first: *first, band });
    }
}

/// The bin of the last edge of a spectrum above which there is nothing, where it is 3 dB down.
fn edge(power: &[f64], frames: f64) -> Option<usize> {
    let level: Vec<f64> = power.iter().map(|power| 10.0 * (power / frames + 1e-8).log10()).collect();
    let mean = |bins: std::ops::Range<usize>| level[bins.clone()].iter().sum::<f64>() / bins.len() as f64;
    // The highest level from each bin on.
    let mut highest = level.clone();
    for bin in (0..BINS - 1).rev() {
        highest[bin] = highest[bin].max(highest[bin + 1]);
    }
    let drop_at = |bin: usize| {
        let below = mean(bin - SIDE..bin);
        let drop = below - mean(bin + EDGE..bin + EDGE + SIDE);
        let empty = highest[bin + EDGE] <= (below - EMPTY_DB).max(FLOOR_DB);
        (empty && drop >= DROP_DB).then_some(drop)
    };
    let steepest = (2 * SIDE..BINS - EDGE - SIDE)
        .filter_map(|bin| drop_at(bin).map(|drop| (bin, drop)))
        .max_by(|(_, one), (_, other)| one.total_cmp(other))?
        .0;
    // From above, so that a dip in what was kept is not taken for its end.
    let kept = mean(steepest - 2 * SIDE..steepest - SIDE / 2);
    (steepest - 2 * SIDE..=steepest + EDGE).rev().find(|&bin| level[bin] >= kept - 3.0).map(|bin| bin + 1)
}

#[cfg(test)]
mod tests;
