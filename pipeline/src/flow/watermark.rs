//! What may be committed: the offset below which everything is settled (invariant 2).

/// The committed position of one partition, moved forward as records settle in the order they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermark {
    next: i64,
    committed: i64,
}

impl Watermark {
    /// A partition whose committed position is `committed`: the next offset that a successor reads.
    #[must_use]
    pub fn new(committed: i64) -> Self {
        Self { next: committed, committed }
    }

    /// Everything up to and including `offset` is settled. Offsets below the position are replays and change
    /// nothing; offsets may skip, since markers and compaction leave holes.
    pub fn settle(&mut self, offset: i64) {
        self.next = self.next.max(offset + 1);
    }

    /// Whether `offset` lies below the committed position: a replay, whose effects are already durable.
    #[must_use]
    pub fn is_replay(&self, offset: i64) -> bool {
        offset < self.committed
    }

    /// The position to commit.
    #[must_use]
    pub fn position(&self) -> i64 {
        self.next
    }

    /// Whether there is a position to commit.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.next > self.committed
    }

    /// The position to commit, if it has moved since the last call that returned one.
    pub fn freeze(&mut self) -> Option<i64> {
        let moved = self.next > self.committed;
        self.committed = self.next;
        moved.then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_replay_never_moves_the_position() {
        let mut mark = Watermark::new(10);
        mark.settle(4);
        assert_eq!(mark.freeze(), None);
        assert!(mark.is_replay(9) && !mark.is_replay(10));
    }

    proptest! {
        #[test]
        fn the_position_is_one_past_the_highest_settled_offset_and_never_falls(
            start in 0i64..100, offsets in proptest::collection::vec(0i64..200, 0..50)
        ) {
            let mut mark = Watermark::new(start);
            let mut last = start;
            for offset in &offsets {
                mark.settle(*offset);
                prop_assert!(mark.position() >= last);
                last = mark.position();
            }
            let expect = offsets.iter().map(|offset| offset + 1).max().unwrap_or(start).max(start);
            prop_assert_eq!(mark.position(), expect);
        }
    }
}
