//! When dead letters mean a bad deploy rather than bad input.

use std::collections::VecDeque;
use std::time::Duration;

/// Counts dead letters in a sliding window of one minute.
#[derive(Debug)]
pub struct FloodGate {
    per_minute: usize,
    recent: VecDeque<Duration>,
}

impl FloodGate {
    /// A gate that opens above `per_minute` dead letters a minute.
    #[must_use]
    pub fn new(per_minute: usize) -> Self {
        Self { per_minute, recent: VecDeque::new() }
    }

    /// One more dead letter at `now`; `true` where the limit is passed and the stage must halt.
    pub fn admit(&mut self, now: Duration) -> bool {
        let horizon = now.saturating_sub(Duration::from_secs(60));
        while self.recent.front().is_some_and(|at| *at < horizon) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.recent.len() > self.per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halts_above_the_limit_within_a_minute_and_forgets_older_ones() {
        let mut gate = FloodGate::new(2);
        assert!(!gate.admit(Duration::from_secs(1)));
        assert!(!gate.admit(Duration::from_secs(2)));
        assert!(!gate.admit(Duration::from_secs(62)));
        assert!(gate.admit(Duration::from_secs(62)));
    }
}
