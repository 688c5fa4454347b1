//! Which input holds which frame, so that a restart can name an input.

use std::collections::VecDeque;

/// The inputs of a stream that may have to be pushed again.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    /// (first frame, frames) of each input from `first` on.
    spans: VecDeque<(u64, u64)>,
    /// The number of the first input in `spans`.
    first: u64,
    /// Frames of all inputs so far, counted from the stream's first.
    end: u64,
}

impl Inputs {
    /// The inputs of a stream whose input number `first` begins at frame `frame`.
    pub(crate) fn resume(first: u64, frame: u64) -> Self {
        Self { spans: VecDeque::new(), first, end: frame }
    }

    /// Takes note of an input of `frames` frames; gives the index of its first frame.
    pub(crate) fn push(&mut self, frames: u64) -> u64 {
        let start = self.end;
        self.spans.push_back((start, frames));
        self.end += frames;
        start
    }

    /// Forgets the inputs that end before `frame`. Afterwards the first one kept is the one to push again in
    /// order to be fed from `frame` on.
    pub(crate) fn forget_before(&mut self, frame: u64) {
        while self.spans.front().is_some_and(|&(start, frames)| start < frame && start + frames <= frame) {
            self.spans.pop_front();
            self.first += 1;
        }
    }

    /// The number and the first frame of the first input kept.
    pub(crate) fn front(&self) -> (u64, u64) {
        (self.first, self.spans.front().map_or(self.end, |&(start, _)| start))
    }
}
