//! A waveform model's windows: blocks of samples on an absolute grid, with real context on both sides.

use crate::analysis::Analysis;
use crate::history::History;
use crate::model::WaveformSpec;
use crate::rate::Resampler;
use crate::spectrum::{FRAME, HOP, frame_start};
use std::collections::VecDeque;
use treble_core::{SampleRate, Window};

/// The source at the model's rate, and what the model has made of it.
#[derive(Debug)]
pub(super) struct Waveform {
    spec: WaveformSpec,
    resampler: Resampler,
    source: History,
    /// Samples of the whole source at the model's rate, once they are known.
    source_end: Option<u64>,
    /// Block `j` answers for source samples `[j · core, (j + 1) · core)`.
    next_block: u64,
    /// Blocks that are not in `made` yet: `None` where the model is not asked.
    blocks: VecDeque<Option<Vec<Window>>>,
    /// What the model made, at its output rate.
    made: History,
}

impl Waveform {
    /// Begins with the block that holds output sample `sample`; the source is pushed from frame `from` on.
    pub(super) fn new(
        spec: WaveformSpec,
        source: SampleRate,
        channels: usize,
        sample: u64,
        from: u64,
    ) -> Self {
        let resampler = Resampler::resume(source, spec.input_rate, channels, from);
        let next_block = sample / (spec.core * spec.ratio) as u64;
        Self {
            source: History::new(channels, resampler.next_output()),
            source_end: None,
            next_block,
            blocks: VecDeque::new(),
            made: History::new(channels, next_block * (spec.core * spec.ratio) as u64),
            spec,
            resampler,
        }
    }

    /// The source frame from which on the blocks that hold output sample `sample` and later ones need it.
    pub(super) fn first_source_frame(&self, sample: u64) -> u64 {
        let block = sample / (self.spec.core * self.spec.ratio) as u64;
        let first = (block * self.spec.core as u64).saturating_sub(self.spec.left as u64);
        self.resampler.restart_frame(first)
    }

    /// Takes the next frames of the source, at its own rate.
    pub(super) fn push(&mut self, planes: &[Vec<f32>]) {
        self.source.push(&self.resampler.push(planes.to_vec()));
    }

    /// Takes the end of the source.
    pub(super) fn finish(&mut self) {
        let rest = self.resampler.finish();
        if !rest.is_empty() {
            self.source.push(&rest);
        }
        self.source_end = Some(self.source.end());
    }

    /// Appends the windows of all blocks whose samples are there to `windows`.
    pub(super) fn plan(&mut self, analysis: &Analysis, windows: &mut Vec<Window>) {
        let core = self.spec.core as u64;
        loop {
            let start = self.next_block * core;
            let complete = match self.source_end {
                Some(end) if start >= end => return,
                Some(_) => true,
                None => self.source.end() >= start + core + self.spec.right as u64,
            };
            let Some(wanted) = self.is_wanted(analysis, start).filter(|_| complete) else { return };
            if wanted {
                let first = start.cast_signed() - self.spec.left as i64;
                windows.extend((0..self.source.channels()).map(|channel| {
                    let mut window = vec![0.0; self.spec.window()];
                    self.source.copy(channel, first, &mut window);
                    Window(window)
                }));
            }
            self.blocks.push_back(wanted.then(Vec::new));
            self.next_block += 1;
            self.source.forget_before((start + core).saturating_sub(self.spec.left as u64));
            self.settle();
        }
    }

    /// Whether any frame that covers the block wants restoring; `None` while that is open.
    fn is_wanted(&self, analysis: &Analysis, start: u64) -> Option<bool> {
        let ratio = self.spec.ratio as u64;
        let first = (start * ratio / HOP as u64).cast_signed() - 1;
        let last = ((start + self.spec.core as u64) * ratio / HOP as u64).cast_signed() + 2;
        let last = analysis.frames_end().map_or(last, |end| last.min(end - 1));
        let detector = analysis.detector();
        detector.band(last)?;
        Some((first..=last).any(|k| detector.band(k).is_some_and(|band| band.wants_restoring())))
    }

    /// Takes one result; `false` where none is awaited or its size is wrong.
    pub(super) fn supply(&mut self, result: Window) -> bool {
        let channels = self.source.channels();
        let awaited = self.blocks.iter_mut().flatten().find(|results| results.len() < channels);
        match awaited {
            Some(results) if result.0.len() == self.spec.window() * self.spec.ratio => {
                results.push(result);
                self.settle();
                true
            }
            _ => false,
        }
    }

    /// Moves finished blocks to what was made.
    fn settle(&mut self) {
        let (channels, length) = (self.source.channels(), self.spec.core * self.spec.ratio);
        let skip = self.spec.left * self.spec.ratio;
        let finished =
            |block: &Option<Vec<Window>>| block.as_ref().is_none_or(|results| results.len() == channels);
        while self.blocks.front().is_some_and(finished) {
            let results = self.blocks.pop_front().flatten();
            for channel in 0..channels {
                match &results {
                    Some(results) => {
                        self.made.push_channel(channel, &results[channel].0[skip..skip + length])
                    }
                    None => self.made.push_channel(channel, &vec![0.0; length]),
                }
            }
        }
    }

    /// Whether all that frame `k` covers has been made.
    pub(super) fn is_ready(&self, k: i64) -> bool {
        let needed = frame_start(k) + FRAME as i64;
        let made = self.made.end();
        let over = self.source_end.is_some_and(|end| made >= end * self.spec.ratio as u64);
        over || made.cast_signed() >= needed
    }

    /// Subtracts the signal in `frame` from what was made of it: what the model adds.
    pub(super) fn added(&self, k: i64, channel: usize, frame: &mut [f32]) {
        let mut made = [0.0; FRAME];
        self.made.copy(channel, frame_start(k), &mut made);
        for (sample, made) in frame.iter_mut().zip(made) {
            *sample = made - *sample;
        }
    }

    /// Drops what no frame from `k` on covers.
    pub(super) fn forget_before(&mut self, k: i64) {
        self.made.forget_before(u64::try_from(frame_start(k)).unwrap_or(0));
    }
}
