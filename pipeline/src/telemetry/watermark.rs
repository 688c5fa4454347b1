//! Event times of what was read and is not committed: up to when everything is done. Pure.

use std::collections::{BTreeMap, VecDeque};

/// See the module.
#[derive(Debug, Default)]
pub struct EventTimes {
    /// Offset and event time of each record that is not committed, by partition.
    pending: BTreeMap<i32, VecDeque<(i64, i64)>>,
    /// The latest event time that was committed.
    committed_ms: Option<i64>,
}

impl EventTimes {
    /// A record was read; one without a time (−1) says nothing.
    pub fn read(&mut self, partition: i32, offset: i64, event_ms: i64) {
        if event_ms < 0 {
            return;
        }
        let pending = self.pending.entry(partition).or_default();
        // Read again after a commit that failed.
        while pending.back().is_some_and(|(last, _)| *last >= offset) {
            pending.pop_back();
        }
        pending.push_back((offset, event_ms));
    }

    /// Positions were committed.
    pub fn commit(&mut self, positions: &[(i32, i64)]) {
        for (partition, position) in positions {
            let Some(pending) = self.pending.get_mut(partition) else { continue };
            while let Some((_, event_ms)) = pending.pop_front_if(|(offset, _)| *offset < *position) {
                self.committed_ms = self.committed_ms.max(Some(event_ms));
            }
        }
    }

    /// Forgets the partitions that are not ours any more.
    pub fn keep(&mut self, ours: impl Fn(i32) -> bool) {
        self.pending.retain(|partition, _| ours(*partition));
    }

    /// The event time, Unix time in milliseconds, up to which everything that was read is committed: the oldest that is
    /// not, or the latest of all. A partition on which nothing comes holds nothing back.
    #[must_use]
    pub fn watermark_ms(&self) -> Option<i64> {
        let waiting = self.pending.values().filter_map(|pending| pending.front());
        waiting.map(|(_, event_ms)| *event_ms).min().or(self.committed_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_record_that_waits_decides_and_an_idle_partition_does_not() {
        let mut times = EventTimes::default();
        assert_eq!(times.watermark_ms(), None);
        times.read(0, 10, 1_000);
        times.read(1, 5, 3_000);
        times.read(1, 6, 2_500);
        assert_eq!(times.watermark_ms(), Some(1_000));
        times.commit(&[(0, 11)]);
        assert_eq!(times.watermark_ms(), Some(3_000), "partition 0 is idle, not late");
        times.commit(&[(1, 7)]);
        assert_eq!(times.watermark_ms(), Some(3_000), "all is done: the latest event");
    }

    #[test]
    fn what_is_read_again_or_lost_is_counted_once() {
        let mut times = EventTimes::default();
        times.read(0, 10, 1_000);
        times.read(0, 11, 2_000);
        times.read(0, 10, 1_000);
        times.commit(&[(0, 11)]);
        assert_eq!(times.watermark_ms(), Some(1_000), "11 has not been read again yet");
        times.read(0, 11, 2_000);
        times.read(7, 1, 5);
        times.keep(|partition| partition == 0);
        assert_eq!(times.watermark_ms(), Some(2_000));
        times.read(0, 12, -1);
        assert_eq!(times.watermark_ms(), Some(2_000), "a record without time says nothing");
    }
}
