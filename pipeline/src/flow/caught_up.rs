//! Until when a partition is known to have been read whole.
//!
//! Time-outs of streams are about what producers do, not about how far behind we are: after an outage, the chunk that a
//! stream seems to lack may lie in the backlog. So they are judged at the latest time at which everything that the log
//! held had been looked at.

use std::time::Duration;

/// Follows one partition: what came, what was looked at, and when the log's end was reached.
#[derive(Debug, Default)]
pub struct CaughtUp {
    received: u64,
    taken: u64,
    /// How many records had come when the end was first met after the last time that we were caught up.
    pending_end: Option<u64>,
    /// How many had come when it was met last.
    latest_end: Option<u64>,
    caught_up_at: Option<Duration>,
}

impl CaughtUp {
    /// A record came.
    pub fn receive(&mut self) {
        self.received += 1;
    }

    /// The next record was looked at.
    pub fn take(&mut self, now: Duration) {
        self.taken += 1;
        self.settle(now);
    }

    /// The log holds no more than what has come so far.
    pub fn reach_end(&mut self, now: Duration) {
        self.latest_end = Some(self.received);
        self.pending_end.get_or_insert(self.received);
        self.settle(now);
    }

    fn settle(&mut self, now: Duration) {
        if self.pending_end.is_some_and(|end| self.taken >= end) {
            self.pending_end = None;
            self.caught_up_at = Some(now);
        }
    }

    /// The latest time, `now` at most, at which nothing was left to look at; `None` before the first.
    #[must_use]
    pub fn at(&self, now: Duration) -> Option<Duration> {
        let nothing_since = self.latest_end == Some(self.received) && self.taken == self.received;
        if nothing_since { Some(now) } else { self.caught_up_at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_backlog_stands_still_in_time() {
        let mut caught_up = CaughtUp::default();
        caught_up.receive();
        assert_eq!(caught_up.at(9 * SECOND), None, "the end was never seen");
        caught_up.receive();
        caught_up.take(10 * SECOND);
        caught_up.reach_end(11 * SECOND);
        assert_eq!(caught_up.at(12 * SECOND), None, "one record waits");
        caught_up.take(13 * SECOND);
        assert_eq!(caught_up.at(14 * SECOND), Some(14 * SECOND), "nothing came since");
    }

    #[test]
    fn under_a_steady_load_each_end_counts_once_it_is_passed() {
        let mut caught_up = CaughtUp::default();
        caught_up.receive();
        caught_up.reach_end(SECOND);
        caught_up.receive();
        caught_up.reach_end(2 * SECOND);
        caught_up.take(3 * SECOND);
        assert_eq!(
            caught_up.at(4 * SECOND),
            Some(3 * SECOND),
            "the first end was passed, the second not yet"
        );
    }
}
