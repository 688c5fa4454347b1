//! Cuts output into blocks on the grid of [`treble_core::grid`].

use std::collections::VecDeque;
use treble_core::grid::{chunk_frames, make_room};
use treble_core::{Fact, Outbox, PcmBlock, PcmSpec};

/// Gathers output frames and emits them as blocks `[k·n, (k+1)·n)`; the last block of a stream may be short.
#[derive(Debug)]
pub(crate) struct Cutter {
    spec: PcmSpec,
    chunk: usize,
    held: Vec<Vec<f32>>,
    /// The index of the first held frame.
    first: u64,
    /// Frames still to be ignored: a successor's warm-up.
    ignore: u64,
    /// Output frames before which something is missing.
    gaps: VecDeque<u64>,
}

impl Cutter {
    /// A cutter that emits from frame `first` on, a multiple of the chunk, and is fed from frame `fed` on.
    pub(crate) fn new(spec: PcmSpec, first: u64, fed: u64) -> Self {
        let held = vec![Vec::new(); spec.channels.count()];
        let ignore = first.saturating_sub(fed);
        Self { spec, chunk: chunk_frames(spec), held, first, ignore, gaps: VecDeque::new() }
    }

    /// The index of the first frame that has not been emitted.
    pub(crate) fn next_frame(&self) -> u64 {
        self.first
    }

    /// The number of the next item: the announcement is item 0, block `k` is item `k + 1`.
    pub(crate) fn next_item(&self) -> u64 {
        self.first / self.chunk as u64 + 1
    }

    /// Marks that something is missing just before output frame `frame`.
    pub(crate) fn gap(&mut self, frame: u64) {
        if frame >= self.first && self.gaps.back() != Some(&frame) {
            self.gaps.push_back(frame);
        }
    }

    /// Takes the next output frames.
    pub(crate) fn push(&mut self, planes: &[Vec<f32>], out: &mut Outbox<PcmBlock>) {
        let frames = planes[0].len();
        let mut at = usize::try_from(self.ignore).unwrap_or(usize::MAX).min(frames);
        self.ignore -= at as u64;
        while at < frames {
            let take = (self.chunk - self.held[0].len()).min(frames - at);
            for (held, plane) in self.held.iter_mut().zip(planes) {
                make_room(held, take, self.chunk);
                held.extend_from_slice(&plane[at..at + take]);
            }
            at += take;
            if self.held[0].len() == self.chunk {
                self.emit(out);
            }
        }
    }

    /// Emits what is left.
    pub(crate) fn finish(&mut self, out: &mut Outbox<PcmBlock>) {
        if !self.held[0].is_empty() {
            self.emit(out);
        }
    }

    fn emit(&mut self, out: &mut Outbox<PcmBlock>) {
        let planes = self.held.iter_mut().map(std::mem::take).collect();
        let (block, replaced) = PcmBlock::new(self.spec, self.first, planes);
        self.first += block.frames() as u64;
        let mut gap = false;
        while self.gaps.front().is_some_and(|&frame| frame < self.first) {
            self.gaps.pop_front();
            gap = true;
        }
        if replaced > 0 {
            out.note(Fact::SamplesReplaced { samples: replaced });
        }
        out.emit(block.with_discontinuity(gap));
    }
}
