//! Which streams just ended: a late repeat of one of their chunks is dropped instead of being taken for a new
//! stream, with a beginning or without.

use std::collections::{HashMap, VecDeque};
use treble_schemas::StreamId;

/// How many ended streams a partition remembers: repeats come within seconds, and 4,096 ids are 200 KiB.
const CAPACITY: usize = 4096;

/// The streams that ended last on one partition.
#[derive(Debug, Default)]
pub struct RecentStreams {
    order: VecDeque<StreamId>,
    known: HashMap<StreamId, i64>,
}

impl RecentStreams {
    /// `id`, whose START was captured at `started_at_us`, has ended; the oldest is forgotten where there are too many.
    /// A stream that was given up is remembered with time 0: publishing it again, once the cause is mended, is no repeat.
    pub fn remember(&mut self, id: StreamId, started_at_us: i64) {
        if self.known.insert(id.clone(), started_at_us).is_some() {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether chunk `seq`, captured at `capture_time_us`, repeats one of the stream `id` that ended recently. A
    /// START does where it carries the time of that stream's; without a time (0) it begins another stream.
    #[must_use]
    pub fn repeats(&self, id: &StreamId, seq: u64, capture_time_us: i64) -> bool {
        let same_start = |started_at_us: &i64| capture_time_us != 0 && *started_at_us == capture_time_us;
        self.known.get(id).is_some_and(|started_at_us| seq > 0 || same_start(started_at_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> StreamId {
        StreamId::new(format!("s{number}")).unwrap()
    }

    #[test]
    fn remembers_the_latest_and_forgets_the_oldest() {
        let mut recent = RecentStreams::default();
        (0..=CAPACITY).for_each(|number| recent.remember(id(number), 5));
        assert!(!recent.repeats(&id(0), 1, 0));
        assert!(recent.repeats(&id(1), 1, 0) && recent.repeats(&id(CAPACITY), 1, 0));
    }

    #[test]
    fn a_start_is_a_repeat_only_where_it_carries_the_same_time() {
        let mut recent = RecentStreams::default();
        recent.remember(id(1), 5);
        assert!(recent.repeats(&id(1), 0, 5));
        assert!(!recent.repeats(&id(1), 0, 6), "another stream of the same id");
        recent.remember(id(1), 0);
        assert!(!recent.repeats(&id(1), 0, 0), "its producer knows no time");
    }
}
