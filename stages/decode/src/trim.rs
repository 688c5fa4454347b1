//! What an encoder put around the audio: priming before it, padding behind it.

use std::ops::Range;

/// A window of frames that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Trim {
    /// Frames still to drop.
    pub(crate) skip: u64,
    /// Frames still to keep after those; all of them where it is unknown.
    pub(crate) keep: Option<u64>,
}

impl Trim {
    /// The part that is kept of the next `frames` decoded frames.
    pub(crate) fn next(&mut self, frames: usize) -> Range<usize> {
        let start = usize::try_from(self.skip).unwrap_or(usize::MAX).min(frames);
        self.skip -= start as u64;
        let Some(keep) = self.keep.as_mut() else { return start..frames };
        let end = start + usize::try_from(*keep).unwrap_or(usize::MAX).min(frames - start);
        *keep -= (end - start) as u64;
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_cut_out_of_runs_of_any_length() {
        let mut trim = Trim { skip: 5, keep: Some(6) };
        let kept: Vec<_> = [3, 4, 3, 9].into_iter().map(|frames| trim.next(frames)).collect();
        assert_eq!(kept, [3..3, 2..4, 0..3, 0..1]);
        assert_eq!(Trim { skip: 1, keep: None }.next(4), 1..4);
    }
}
