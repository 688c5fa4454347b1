//! Which chunk of a stream is next: repeats are dropped, early arrivals wait, a gap has a limit.

use std::collections::BTreeMap;
use std::time::Duration;

/// The most chunks that wait for an earlier one, per stream.
pub const MAX_HELD: usize = 256;

/// What became of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It is the next one (and maybe others after it): call [`Reorder::next`].
    Ready,
    /// It came too early and waits.
    Held,
    /// It had been seen: dropped.
    Repeat,
    /// It came too early and too many wait already: the gap will not close.
    Overflow,
}

/// Sequence numbers `from..=to` are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first missing number.
    pub from: u64,
    /// The last missing number.
    pub to: u64,
}

/// Puts the chunks of one stream in order.
#[derive(Debug)]
pub struct Reorder<T> {
    next_seq: u64,
    held: BTreeMap<u64, T>,
    gap_since: Option<Duration>,
}

impl<T> Reorder<T> {
    /// A stream whose next sequence number is `next_seq`.
    #[must_use]
    pub fn new(next_seq: u64) -> Self {
        Self { next_seq, held: BTreeMap::new(), gap_since: None }
    }

    /// Takes chunk `seq` at time `now`.
    pub fn accept(&mut self, seq: u64, chunk: T, now: Duration) -> Arrival {
        if seq < self.next_seq || self.held.contains_key(&seq) {
            return Arrival::Repeat;
        }
        if seq > self.next_seq {
            if self.held.len() >= MAX_HELD {
                return Arrival::Overflow;
            }
            self.gap_since.get_or_insert(now);
        }
        self.held.insert(seq, chunk);
        if seq == self.next_seq { Arrival::Ready } else { Arrival::Held }
    }

    /// The next chunk in order, if it is here.
    pub fn next(&mut self, now: Duration) -> Option<(u64, T)> {
        let chunk = self.held.remove(&self.next_seq)?;
        let seq = self.next_seq;
        self.next_seq += 1;
        let gap_remains = !self.held.is_empty() && !self.held.contains_key(&self.next_seq);
        self.gap_since = gap_remains.then_some(now);
        Some((seq, chunk))
    }

    /// Does not wait for the chunks before `seq` any more.
    pub fn skip_to(&mut self, seq: u64) {
        self.next_seq = self.next_seq.max(seq);
        self.held = self.held.split_off(&self.next_seq);
        self.gap_since = None;
    }

    /// Whether the next chunk in order is here.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.held.contains_key(&self.next_seq)
    }

    /// The next sequence number to hand out.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The chunks that wait.
    pub fn held(&self) -> impl Iterator<Item = &T> {
        self.held.values()
    }

    /// What is missing, if something waits for it.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        let (first, _) = self.held.first_key_value()?;
        (*first > self.next_seq).then(|| Gap { from: self.next_seq, to: first - 1 })
    }

    /// The gap that has been open for longer than `limit`.
    #[must_use]
    pub fn expired_gap(&self, now: Duration, limit: Duration) -> Option<Gap> {
        let since = self.gap_since?;
        (now.saturating_sub(since) >= limit).then(|| self.gap())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_gap_expires_with_the_missing_range() {
        let mut order = Reorder::new(2);
        assert_eq!(order.accept(5, "five", Duration::ZERO), Arrival::Held);
        let limit = Duration::from_secs(10);
        assert_eq!(order.expired_gap(Duration::from_secs(9), limit), None);
        assert_eq!(order.expired_gap(Duration::from_secs(10), limit), Some(Gap { from: 2, to: 4 }));
    }

    #[test]
    fn too_many_early_chunks_overflow() {
        let mut order = Reorder::new(0);
        for seq in 1..=MAX_HELD as u64 {
            assert_eq!(order.accept(seq, (), Duration::ZERO), Arrival::Held);
        }
        assert_eq!(order.accept(9_999, (), Duration::ZERO), Arrival::Overflow);
    }

    proptest! {
        #[test]
        fn any_order_with_repeats_comes_out_once_and_in_order(
            mut arrivals in proptest::collection::vec(0u64..40, 0..120)
        ) {
            arrivals.extend(0..40);
            let mut order = Reorder::new(0);
            let mut seen = Vec::new();
            for seq in arrivals {
                order.accept(seq, seq, Duration::ZERO);
                while let Some((seq, chunk)) = order.next(Duration::ZERO) {
                    prop_assert_eq!(seq, chunk);
                    seen.push(seq);
                }
            }
            prop_assert_eq!(seen, (0..40).collect::<Vec<_>>());
        }
    }
}
