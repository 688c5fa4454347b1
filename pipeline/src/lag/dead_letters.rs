//! Which dead letters wait, by stage: what was seen on their topic, less what it holds no more.

use std::collections::{BTreeMap, VecDeque};

/// Letters that are remembered of a partition, 24 bytes each. Whoever has more has a flood, and other alerts for that.
const MOST: usize = 100_000;

/// The letters of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Waiting {
    /// How many.
    pub count: u64,
    /// When the oldest was written, Unix time in milliseconds.
    pub oldest_ms: Option<i64>,
}

/// One letter, as far as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    offset: i64,
    written_ms: i64,
    stage: u16,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    stages: Vec<&'static str>,
    seen: BTreeMap<i32, VecDeque<Seen>>,
}

impl DeadLetters {
    /// Nothing was seen yet. Letters of `stages` are told apart; those of others, which anybody may write, are `other`.
    #[must_use]
    pub fn new(stages: impl IntoIterator<Item = &'static str>) -> Self {
        let stages = stages.into_iter().chain(["other"]).collect();
        Self { stages, seen: BTreeMap::new() }
    }

    /// Whether a partition has as many as are remembered: what is not, need not be read.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.seen.values().any(|seen| seen.len() >= MOST)
    }

    /// A letter of `stage` was read at `offset`; `None` where it says of no stage that it gave up.
    pub fn add(&mut self, partition: i32, offset: i64, stage: Option<&str>, written_ms: i64) {
        let other = self.stages.len() - 1;
        let known = self.stages[..other].iter().position(|known| Some(*known) == stage);
        let stage = u16::try_from(known.unwrap_or(other)).unwrap_or(u16::MAX);
        let seen = self.seen.entry(partition).or_default();
        if seen.len() < MOST {
            seen.push_back(Seen { offset, written_ms, stage });
        }
    }

    /// The log of `partition` begins at `offset` now: what lay below was purged, or its time was over.
    pub fn begins_at(&mut self, partition: i32, offset: i64) {
        if let Some(seen) = self.seen.get_mut(&partition) {
            let gone = seen.partition_point(|letter| letter.offset < offset);
            seen.drain(..gone);
        }
    }

    /// What waits, for every stage.
    #[must_use]
    pub fn waiting(&self) -> BTreeMap<String, Waiting> {
        let mut by_stage = vec![Waiting::default(); self.stages.len()];
        for letter in self.seen.values().flatten() {
            let waiting = &mut by_stage[usize::from(letter.stage)];
            waiting.count += 1;
            let oldest = waiting.oldest_ms.unwrap_or(i64::MAX).min(letter.written_ms);
            waiting.oldest_ms = Some(oldest);
        }
        self.stages.iter().map(|stage| (*stage).to_owned()).zip(by_stage).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(letters: &DeadLetters, stage: &str) -> (u64, Option<i64>) {
        let all = letters.waiting();
        (all[stage].count, all[stage].oldest_ms)
    }

    #[test]
    fn letters_are_counted_by_stage_until_the_log_holds_them_no_more() {
        let mut letters = DeadLetters::new(["decode", "encode"]);
        assert_eq!(waiting(&letters, "decode"), (0, None), "0 from the start");
        for (offset, stage) in [(3, "decode"), (4, "encode"), (7, "decode"), (8, "no-stage-of-ours")] {
            letters.add(0, offset, Some(stage), 1_000 * offset);
        }
        letters.add(0, 9, None, 9_000);
        assert_eq!(waiting(&letters, "decode"), (2, Some(3_000)));
        assert_eq!(waiting(&letters, "other"), (2, Some(8_000)));
        letters.begins_at(0, 4);
        letters.begins_at(1, 100);
        assert_eq!(waiting(&letters, "decode"), (1, Some(7_000)));
        assert_eq!(waiting(&letters, "encode"), (1, Some(4_000)));
        letters.begins_at(0, 10);
        assert!(letters.waiting().values().all(|waiting| *waiting == Waiting::default()));
    }

    #[test]
    fn a_flood_takes_no_more_memory_than_it_may() {
        let mut letters = DeadLetters::new(["decode"]);
        let most = i64::try_from(MOST).unwrap();
        (0..most + 10).for_each(|offset| letters.add(0, offset, Some("decode"), offset));
        assert!(letters.is_full());
        assert_eq!(waiting(&letters, "decode").0, MOST as u64);
        letters.begins_at(0, 10);
        assert!(!letters.is_full());
    }
}
