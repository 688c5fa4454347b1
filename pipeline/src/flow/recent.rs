//! Which streams just ended: a late repeat of one of their chunks is dropped instead of being taken for a new
//! stream without a beginning.

use std::collections::{HashSet, VecDeque};
use treble_schemas::StreamId;

/// How many ended streams a partition remembers: repeats come within seconds, and 4,096 ids are 200 KiB.
const CAPACITY: usize = 4096;

/// The streams that ended last on one partition.
#[derive(Debug, Default)]
pub struct RecentStreams {
    order: VecDeque<StreamId>,
    known: HashSet<StreamId>,
}

impl RecentStreams {
    /// `id` has ended; the oldest is forgotten where there are too many.
    pub fn remember(&mut self, id: StreamId) {
        if !self.known.insert(id.clone()) {
            return;
        }
        self.order.push_back(id);
        if self.order.len() > CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }

    /// Whether `id` ended recently.
    #[must_use]
    pub fn contains(&self, id: &StreamId) -> bool {
        self.known.contains(id)
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
        (0..=CAPACITY).for_each(|number| recent.remember(id(number)));
        assert!(!recent.contains(&id(0)));
        assert!(recent.contains(&id(1)) && recent.contains(&id(CAPACITY)));
    }
}
