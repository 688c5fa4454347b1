//! What was seen of one group's position on one partition: a sliding window of samples.

use std::collections::VecDeque;
use std::time::Duration;

/// Samples that a window holds; taken 10 s apart, they cover 140 s.
pub const SAMPLES: usize = 15;

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Duration,
    /// The committed position.
    pub committed: i64,
    /// When it was committed, as far as that is known: when it was first seen, else.
    pub committed_at: Duration,
    /// The end of the log.
    pub end: i64,
    /// Records to go, 0 where nothing readable is left.
    pub lag: i64,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    samples: VecDeque<Sample>,
}

impl Window {
    /// Adds a look at `at`; the oldest one leaves. `committed_at` where whoever commits tells it.
    pub fn add(&mut self, at: Duration, committed: i64, end: i64, lag: i64, committed_at: Option<Duration>) {
        let seen = self.samples.back().filter(|last| last.committed == committed);
        let committed_at = committed_at.or(seen.map(|last| last.committed_at)).unwrap_or(at);
        if self.samples.len() == SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { at, committed, committed_at, end, lag });
    }

    /// The samples, oldest first.
    #[must_use]
    pub fn samples(&self) -> &VecDeque<Sample> {
        &self.samples
    }

    /// How full it is, 0 to 1.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        self.samples.len() as f64 / SAMPLES as f64
    }

    /// Records a second by which the lag falls over the window; negative where it grows.
    #[must_use]
    pub fn drain_rate(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        let consumed = (last.committed - first.committed) as f64;
        let produced = (last.end - first.end) as f64;
        (seconds > 0.0).then(|| (consumed - produced) / seconds)
    }
}
