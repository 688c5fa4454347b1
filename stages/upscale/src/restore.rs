//! One stream's restoration: analysis, windows for the model, synthesis of the high band.

mod envelope;
mod waveform;

use crate::analysis::Analysis;
use crate::bandwidth::Detector;
use crate::crossover::keep_above;
use crate::excitation::{Noise, SEED};
use crate::model::ModelSpec;
use crate::overlap::Overlap;
use crate::spectrum::{BINS, Spectrum, frame_start};
use crate::synthesis::high_band;
use envelope::{Envelope, first_frame_over};
use realfft::num_complex::Complex32;
use treble_core::{SampleRate, StageError, Window};
use waveform::Waveform;

/// Adds the high band that a model predicts.
#[derive(Debug)]
pub(crate) struct Restorer {
    analysis: Analysis,
    predictor: Predictor,
    overlap: Overlap,
    /// Windows that wait to be handed out, and how many were.
    windows: Vec<Window>,
    handed_out: usize,
    noise: Noise,
    noise_bins: Vec<Complex32>,
    spectrum: Spectrum,
    bins: Vec<Complex32>,
}

#[derive(Debug)]
enum Predictor {
    Envelope(Envelope),
    Waveform(Waveform),
}

/// Where a stream begins, or goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// The rate of the source.
    pub(crate) source_rate: SampleRate,
    /// The first source frame that will be pushed.
    pub(crate) source_frame: u64,
    /// The first frame of the signal at the output's rate that will be pushed.
    pub(crate) signal_frame: u64,
    /// The first output frame that is wanted.
    pub(crate) output_frame: u64,
}

impl Restorer {
    /// A restorer for `channels` channels.
    pub(crate) fn new(model: &ModelSpec, channels: usize, start: Start, detector: Detector) -> Self {
        let first = first_frame_over(start.output_frame);
        let sample = u64::try_from(frame_start(first)).unwrap_or(0);
        let (predictor, look_from) = match *model {
            ModelSpec::Envelope(spec) => {
                let envelope = Envelope::new(spec, channels, first);
                let from = envelope.first_frame();
                (Predictor::Envelope(envelope), from)
            }
            ModelSpec::Waveform(spec) => {
                let Start { source_rate, source_frame, .. } = start;
                (Predictor::Waveform(Waveform::new(spec, source_rate, channels, sample, source_frame)), first)
            }
        };
        Self {
            analysis: Analysis::new(channels, start.signal_frame, detector, look_from),
            predictor,
            overlap: Overlap::new(channels, first),
            windows: Vec::new(),
            handed_out: 0,
            noise: Noise::new(SEED),
            noise_bins: vec![Complex32::default(); BINS],
            spectrum: Spectrum::new(),
            bins: vec![Complex32::default(); BINS],
        }
    }

    /// The detector.
    pub(crate) fn detector(&self) -> &Detector {
        self.analysis.detector()
    }

    /// The index of the next sample that is given.
    pub(crate) fn next_sample(&self) -> u64 {
        u64::try_from(frame_start(self.overlap.next())).unwrap_or(0)
    }

    /// What a successor must be fed for output from frame `output` on: signal frame, source frame (where the
    /// source itself is used).
    pub(crate) fn restart_frames(&self, output: u64) -> (u64, Option<u64>) {
        let first = first_frame_over(output);
        let sample = u64::try_from(frame_start(first)).unwrap_or(0);
        match &self.predictor {
            Predictor::Envelope(envelope) => (envelope.restart_sample(first), None),
            Predictor::Waveform(waveform) => (sample, Some(waveform.first_source_frame(sample))),
        }
    }

    /// Takes the next frames of the source, at its own rate.
    pub(crate) fn push_source(&mut self, planes: &[Vec<f32>]) {
        if let Predictor::Waveform(waveform) = &mut self.predictor {
            waveform.push(planes);
        }
    }

    /// Takes the next frames of the signal at the output's rate; gives restored frames that are final.
    pub(crate) fn push(&mut self, planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
        self.analysis.push(planes);
        self.advance()
    }

    /// Takes the end of the stream; gives restored frames that are final.
    pub(crate) fn finish(&mut self) -> Vec<Vec<f32>> {
        self.analysis.finish();
        if let Predictor::Waveform(waveform) = &mut self.predictor {
            waveform.finish();
        }
        self.advance()
    }

    /// Whether the stream has ended and all of it was given.
    pub(crate) fn is_done(&self) -> bool {
        self.analysis.frames_end().is_some_and(|end| self.overlap.next() >= end)
    }

    /// The windows that wait for the model; each is handed out once.
    pub(crate) fn windows(&mut self) -> Vec<Window> {
        self.handed_out += self.windows.len();
        std::mem::take(&mut self.windows)
    }

    /// Takes the results of all windows handed out; gives restored frames that are final.
    pub(crate) fn supply(&mut self, results: Vec<Window>) -> Result<Vec<Vec<f32>>, StageError> {
        let wrong = |detail: String| StageError::Inference { detail };
        let (expected, actual) = (std::mem::take(&mut self.handed_out), results.len());
        if expected != actual {
            return Err(wrong(format!("{actual} results came for {expected} windows")));
        }
        for result in results {
            let length = result.0.len();
            let taken = match &mut self.predictor {
                Predictor::Envelope(envelope) => envelope.supply(result),
                Predictor::Waveform(waveform) => waveform.supply(result),
            };
            if !taken {
                return Err(wrong(format!(
                    "a result of {length} values is not what the model's metadata promise"
                )));
            }
        }
        Ok(self.advance())
    }

    /// Does all that can be done now.
    fn advance(&mut self) -> Vec<Vec<f32>> {
        match &mut self.predictor {
            Predictor::Envelope(envelope) => {
                self.analysis.advance(true, |_, channel, bins| envelope.observe(channel, bins));
                envelope.plan(&self.analysis, &mut self.windows);
            }
            Predictor::Waveform(waveform) => {
                self.analysis.advance(false, |_, _, _| ());
                waveform.plan(&self.analysis, &mut self.windows);
            }
        }
        let channels = self.analysis.signal().channels();
        let mut out = vec![Vec::new(); channels];
        let until = self.analysis.next();
        while self.overlap.next() < until && self.synthesise(self.overlap.next()) {
            self.overlap.advance(self.analysis.signal(), self.analysis.end(), &mut out);
        }
        self.analysis.forget_before(self.overlap.next());
        if let Predictor::Waveform(waveform) = &mut self.predictor {
            waveform.forget_before(self.overlap.next());
        }
        out
    }

    /// Adds frame `k`; `false` while it cannot be.
    fn synthesise(&mut self, k: i64) -> bool {
        let Some(band) = self.analysis.detector().band(k) else { return false };
        if !band.wants_restoring() {
            return true;
        }
        let ready = match &mut self.predictor {
            Predictor::Envelope(envelope) => {
                let ready = envelope.is_ready(k);
                if ready {
                    self.noise.analyse(k, &mut self.spectrum, &mut self.noise_bins);
                }
                ready
            }
            Predictor::Waveform(waveform) => waveform.is_ready(k),
        };
        if ready {
            for channel in 0..self.analysis.signal().channels() {
                self.add(k, channel, band.bin);
            }
        }
        ready
    }

    /// Adds one channel of frame `k`, whose predictions are there.
    fn add(&mut self, k: i64, channel: usize, cutoff: usize) {
        match &self.predictor {
            Predictor::Envelope(envelope) => {
                let Some(prediction) = envelope.prediction(k, channel) else { return };
                let x = self.analysis.spectrum(k, channel);
                high_band(x, cutoff, prediction, &self.noise_bins, &mut self.bins);
            }
            Predictor::Waveform(waveform) => {
                self.analysis.signal().copy(channel, frame_start(k), &mut self.spectrum.frame);
                waveform.added(k, channel, &mut self.spectrum.frame);
                self.spectrum.analyse(&mut self.bins);
                keep_above(cutoff, &mut self.bins);
            }
        }
        self.spectrum.synthesise(&mut self.bins);
        self.overlap.add(channel, &self.spectrum.frame);
    }
}

#[cfg(test)]
mod tests;
