//! The envelope model's windows: blocks of frames on an absolute grid (`model/CONTRACT.md`, section 4).

use crate::analysis::Analysis;
use crate::model::EnvelopeSpec;
use crate::spectrum::{HOP, frame_start};
use crate::synthesis::{FEATURE_BANDS, HIGH_BANDS, Prediction, feature, log_powers, mask};
use realfft::num_complex::Complex32;
use std::collections::VecDeque;
use treble_core::Window;

/// `log10` of the power that stands for silence.
const SILENT: f32 = -8.0;

/// Features on their way to the model, and predictions on their way back.
#[derive(Debug)]
pub(super) struct Envelope {
    spec: EnvelopeSpec,
    channels: usize,
    /// The `log10` powers of frames from `first_row` on, channel after channel.
    rows: VecDeque<Vec<f32>>,
    first_row: i64,
    /// Block `j` answers for frames `[j · core - 1, (j + 1) · core - 1)`.
    next_block: i64,
    /// Blocks that the model was asked about, and what it has said so far: one window a channel.
    blocks: VecDeque<(i64, Vec<Window>)>,
}

impl Envelope {
    /// Begins with the block that holds frame `k`.
    pub(super) fn new(spec: EnvelopeSpec, channels: usize, k: i64) -> Self {
        let mut envelope = Self {
            spec,
            channels,
            rows: VecDeque::new(),
            first_row: 0,
            next_block: 0,
            blocks: VecDeque::new(),
        };
        envelope.next_block = envelope.block_of(k);
        envelope.first_row = envelope.first_frame();
        envelope
    }

    fn block_of(&self, k: i64) -> i64 {
        (k + 1).div_euclid(self.spec.core as i64)
    }

    /// The first frame that block `j` answers for.
    fn core_start(&self, block: i64) -> i64 {
        block * self.spec.core as i64 - 1
    }

    /// The first frame that the next block looks at, and that exists.
    pub(super) fn first_frame(&self) -> i64 {
        (self.core_start(self.next_block) - self.spec.left as i64).max(-1)
    }

    /// The first sample that a successor needs which begins with frame `k`.
    pub(super) fn restart_sample(&self, k: i64) -> u64 {
        let first = (self.core_start(self.block_of(k)) - self.spec.left as i64).max(-1);
        u64::try_from(frame_start(first)).unwrap_or(0)
    }

    /// Takes the spectrum of a frame; channels in order, frames in order.
    pub(super) fn observe(&mut self, channel: usize, x: &[Complex32]) {
        if channel == 0 {
            self.rows.push_back(Vec::with_capacity(self.channels * FEATURE_BANDS));
        }
        if let Some(row) = self.rows.back_mut() {
            row.extend_from_slice(&log_powers(x));
        }
    }

    /// Appends the windows of all blocks whose frames have been looked at to `windows`.
    pub(super) fn plan(&mut self, analysis: &Analysis, windows: &mut Vec<Window>) {
        let end = analysis.frames_end();
        let exists = |k: i64| end.is_none_or(|end| k < end);
        loop {
            let core = self.core_start(self.next_block)..self.core_start(self.next_block + 1);
            let last = core.end - 1 + self.spec.right as i64;
            let last = end.map_or(last, |end| last.min(end - 1));
            if !exists(core.start) || last >= analysis.next() || analysis.detector().band(last).is_none() {
                return;
            }
            let band = |k: i64| analysis.detector().band(k);
            if core.clone().any(|k| exists(k) && band(k).is_some_and(|band| band.wants_restoring())) {
                let cutoff = |k: i64| band(k.clamp(-1, last)).map_or(0, |band| band.bin);
                windows.extend((0..self.channels).map(|channel| self.window(channel, cutoff)));
                self.blocks.push_back((self.next_block, Vec::with_capacity(self.channels)));
            }
            self.next_block += 1;
            self.forget();
        }
    }

    /// The features of the next block for one channel.
    fn window(&self, channel: usize, cutoff: impl Fn(i64) -> usize) -> Window {
        let frames = self.spec.left + self.spec.core + self.spec.right;
        let start = self.core_start(self.next_block) - self.spec.left as i64;
        let mut values = vec![0.0; 2 * FEATURE_BANDS * frames];
        let (features, masks) = values.split_at_mut(FEATURE_BANDS * frames);
        for (t, k) in (start..).take(frames).enumerate() {
            let cutoff = cutoff(k);
            let row = usize::try_from(k - self.first_row).ok().and_then(|row| self.rows.get(row));
            for band in 0..FEATURE_BANDS {
                let mask = mask(cutoff, band);
                masks[band * frames + t] = mask;
                if mask >= 1.0 {
                    let power = row.map_or(SILENT, |row| row[channel * FEATURE_BANDS + band]);
                    features[band * frames + t] = feature(power);
                }
            }
        }
        Window(values)
    }

    /// Drops the rows that no further block looks at.
    fn forget(&mut self) {
        let count = usize::try_from(self.first_frame() - self.first_row).unwrap_or(0).min(self.rows.len());
        self.rows.drain(..count);
        self.first_row += count as i64;
    }

    /// Takes one result; `false` where none is awaited or its size is wrong.
    pub(super) fn supply(&mut self, result: Window) -> bool {
        let channels = self.channels;
        match self.blocks.iter_mut().find(|(_, results)| results.len() < channels) {
            Some((_, results)) if result.0.len() == 2 * HIGH_BANDS * self.spec.core => {
                results.push(result);
                true
            }
            _ => false,
        }
    }

    /// Whether the predictions for frame `k`, which wants some, are there.
    pub(super) fn is_ready(&mut self, k: i64) -> bool {
        let block = self.block_of(k);
        while self.blocks.front().is_some_and(|&(index, _)| index < block) {
            self.blocks.pop_front();
        }
        self.blocks.front().is_some_and(|(index, results)| *index == block && results.len() == self.channels)
    }

    /// The prediction for a frame that [is ready](Self::is_ready).
    pub(super) fn prediction(&self, k: i64, channel: usize) -> Option<Prediction> {
        let (block, results) = self.blocks.front()?;
        let values = &results.get(channel)?.0;
        let (core, t) = (self.spec.core, (k - self.core_start(*block)) as usize);
        let (gains, mix) = values.split_at(HIGH_BANDS * core);
        Some(Prediction {
            gains: std::array::from_fn(|band| gains[band * core + t]),
            mix: std::array::from_fn(|band| mix[band * core + t]),
        })
    }
}

/// The first of the frames that cover sample `n`.
pub(super) fn first_frame_over(n: u64) -> i64 {
    (n / HOP as u64).cast_signed() - 1
}
