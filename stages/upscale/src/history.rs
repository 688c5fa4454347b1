//! The latest samples of a stream, by their absolute index.

/// Room that is given back: more than so many times what is held.
const SPARE: usize = 3;
/// What is held, for that purpose, at least: some 10 ms.
const LEAST: usize = 512;

/// Samples of each channel from `base` on; zero outside.
#[derive(Debug)]
pub(crate) struct History {
    base: u64,
    planes: Vec<Vec<f32>>,
}

impl History {
    /// A history of `channels` channels that begins with sample `base`.
    pub(crate) fn new(channels: usize, base: u64) -> Self {
        Self { base, planes: vec![Vec::new(); channels] }
    }

    pub(crate) fn push(&mut self, planes: &[Vec<f32>]) {
        for (held, plane) in self.planes.iter_mut().zip(planes) {
            held.extend_from_slice(plane);
        }
    }

    /// Appends to one channel; the caller appends as much to the others.
    pub(crate) fn push_channel(&mut self, channel: usize, samples: &[f32]) {
        self.planes[channel].extend_from_slice(samples);
    }

    pub(crate) fn channels(&self) -> usize {
        self.planes.len()
    }

    /// The index after the last sample.
    pub(crate) fn end(&self) -> u64 {
        self.base + self.planes[0].len() as u64
    }

    /// Copies samples from index `start` on to `out`, zeros where there are none.
    pub(crate) fn copy(&self, channel: usize, start: i64, out: &mut [f32]) {
        let plane = &self.planes[channel];
        // Where `out` begins in the plane, and where the plane begins in `out`.
        let offset = start - self.base.cast_signed();
        let lead = usize::try_from(-offset).unwrap_or(0).min(out.len());
        let from = usize::try_from(offset).unwrap_or(0).min(plane.len());
        let count = (plane.len() - from).min(out.len() - lead);
        out[..lead].fill(0.0);
        out[lead..lead + count].copy_from_slice(&plane[from..from + count]);
        out[lead + count..].fill(0.0);
    }

    /// Drops samples before index `start`.
    pub(crate) fn forget_before(&mut self, start: u64) {
        let count = start.saturating_sub(self.base).min(self.planes[0].len() as u64);
        for plane in &mut self.planes {
            plane.drain(..count as usize);
            // While nothing is known of the band, many times as much is held as ever after.
            if plane.capacity() > SPARE * plane.len().max(LEAST) {
                plane.shrink_to(2 * plane.len().max(LEAST));
            }
        }
        self.base += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_held_reads_as_zero() {
        let mut history = History::new(1, 10);
        history.push(&[vec![1.0, 2.0, 3.0]]);
        let read = |history: &History, start: i64| {
            let mut out = [9.0; 5];
            history.copy(0, start, &mut out);
            out
        };
        assert_eq!(read(&history, 8), [0.0, 0.0, 1.0, 2.0, 3.0]);
        assert_eq!(read(&history, 11), [2.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(read(&history, -20), [0.0; 5]);
        assert_eq!(read(&history, 50), [0.0; 5]);
        history.forget_before(12);
        assert_eq!(read(&history, 10), [0.0, 0.0, 3.0, 0.0, 0.0]);
        assert_eq!(history.end(), 13);
    }

    #[test]
    fn room_that_is_not_used_any_more_is_given_back() {
        let mut history = History::new(1, 0);
        history.push(&[vec![1.0; 100_000]]);
        history.forget_before(99_000);
        assert!(history.planes[0].capacity() <= 2_000, "{}", history.planes[0].capacity());
        for index in 0..1_000 {
            history.push(&[vec![1.0; 256]]);
            history.forget_before(99_000 + 256 * index);
        }
        assert!(history.planes[0].capacity() <= SPARE * 2_000);
        assert_eq!(history.end(), 100_000 + 256_000);
    }
}
