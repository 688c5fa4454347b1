//! When to commit: an epoch is cut by age or by bytes, whichever comes first.

use std::time::Duration;

/// The limits of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochLimits {
    /// The longest time between commits while there is something to commit.
    pub interval: Duration,
    /// The most output bytes that are buffered before a commit.
    pub max_bytes: u64,
}

/// What is known of the epoch that is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochFacts {
    /// Time since the last epoch was cut.
    pub age: Duration,
    /// Input bytes given to the stages since then.
    pub input_bytes: u64,
    /// Whether anything was read, or a timer went off, since then.
    pub dirty: bool,
    /// Whether the previous epoch is still on its way to Kafka.
    pub in_flight: bool,
}

/// Whether to cut now. One epoch is in flight at a time; the next fills meanwhile.
#[must_use]
pub fn is_due(facts: &EpochFacts, limits: &EpochLimits) -> bool {
    facts.dirty && !facts.in_flight && (facts.age >= limits.interval || facts.input_bytes >= limits.max_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(age_ms: u64, input_bytes: u64, dirty: bool, in_flight: bool, expect: bool) {
        let limits = EpochLimits { interval: Duration::from_millis(100), max_bytes: 1000 };
        let facts = EpochFacts { age: Duration::from_millis(age_ms), input_bytes, dirty, in_flight };
        assert_eq!(is_due(&facts, &limits), expect);
    }

    #[test]
    fn an_epoch_is_cut_by_age_or_bytes_and_never_while_one_is_in_flight() {
        check(99, 999, true, false, false);
        check(100, 0, true, false, true);
        check(0, 1000, true, false, true);
        check(100, 1000, false, false, false);
        check(100, 1000, true, true, false);
    }
}
