//! The signal at the output's rate, frame by frame: what the detector and the features are taken from.

use crate::bandwidth::Detector;
use crate::history::History;
use crate::spectrum::{BINS, FRAME, HOP, Spectrum, frame_start, frames_end};
use realfft::num_complex::Complex32;

/// The latest of a signal, and how far it has been looked at.
#[derive(Debug)]
pub(crate) struct Analysis {
    signal: History,
    detector: Detector,
    /// The next frame to look at.
    next: i64,
    /// Samples of the whole stream, once they are known.
    end: Option<u64>,
    spectrum: Spectrum,
    bins: Vec<Complex32>,
    power: Vec<f32>,
}

impl Analysis {
    /// Looks at frames from `next` on of a signal whose samples are pushed from index `base` on.
    pub(crate) fn new(channels: usize, base: u64, detector: Detector, next: i64) -> Self {
        Self {
            signal: History::new(channels, base),
            detector: detector.starting_at(next),
            next,
            end: None,
            spectrum: Spectrum::new(),
            bins: vec![Complex32::default(); BINS],
            power: vec![0.0; BINS],
        }
    }

    pub(crate) fn signal(&self) -> &History {
        &self.signal
    }

    pub(crate) fn detector(&self) -> &Detector {
        &self.detector
    }

    /// The first frame that has not been looked at.
    pub(crate) fn next(&self) -> i64 {
        self.next
    }

    /// Samples of the whole stream, once they are known.
    pub(crate) fn end(&self) -> Option<u64> {
        self.end
    }

    /// The frame after the stream's last, once it is known.
    pub(crate) fn frames_end(&self) -> Option<i64> {
        self.end.map(frames_end)
    }

    /// Takes the next samples.
    pub(crate) fn push(&mut self, planes: &[Vec<f32>]) {
        self.signal.push(planes);
    }

    /// Takes the next samples for the detector alone: nothing is held once it has decided.
    pub(crate) fn listen(&mut self, planes: &[Vec<f32>]) {
        if self.detector.decision().is_none() {
            self.push(planes);
            self.advance(false, |_, _, _| ());
            self.forget_before(i64::MAX);
            if self.detector.decision().is_some() {
                self.signal = History::new(self.signal.channels(), self.signal.end());
            }
        }
    }

    /// Takes the end of the stream.
    pub(crate) fn finish(&mut self) {
        self.end = Some(self.signal.end());
    }

    /// Looks at all frames that are complete; shows their spectra to `observe` (frame, channel, bins) where
    /// it wants them. Where neither it nor the detector does, nothing is transformed.
    pub(crate) fn advance(&mut self, wanted: bool, mut observe: impl FnMut(i64, usize, &[Complex32])) {
        let complete = (self.signal.end().cast_signed() - FRAME as i64 / 2).div_euclid(HOP as i64) + 1;
        let until = self.frames_end().unwrap_or(complete);
        while self.next < until {
            let band = self.detector.decision().map(|decision| decision.band);
            if band.is_some_and(|band| !wanted || !band.wants_restoring()) {
                self.next = until;
                break;
            }
            self.look(complete, &mut observe);
        }
        if self.end.is_some() {
            self.detector.finish();
        }
    }

    fn look(&mut self, complete: i64, observe: &mut impl FnMut(i64, usize, &[Complex32])) {
        let k = self.next;
        self.power.fill(0.0);
        for channel in 0..self.signal.channels() {
            self.spectrum(k, channel);
            observe(k, channel, &self.bins);
            for (power, bin) in self.power.iter_mut().zip(&self.bins) {
                *power += bin.norm_sqr();
            }
        }
        let scale = (self.signal.channels() as f32).recip();
        self.power.iter_mut().for_each(|power| *power *= scale);
        self.detector.push(k, &self.power, frame_start(k) >= 0 && k < complete);
        self.next = k + 1;
    }

    /// The spectrum of a frame of one channel.
    pub(crate) fn spectrum(&mut self, k: i64, channel: usize) -> &[Complex32] {
        self.signal.copy(channel, frame_start(k), &mut self.spectrum.frame);
        self.spectrum.analyse(&mut self.bins);
        &self.bins
    }

    /// Drops samples that neither frame `k` nor the next frame to look at covers.
    pub(crate) fn forget_before(&mut self, k: i64) {
        let start = frame_start(k.min(self.next));
        self.signal.forget_before(u64::try_from(start).unwrap_or(0));
    }
}
