//! How far each partition is read. Pure.

use std::collections::BTreeMap;
use treble_analyse::commit::{Move, Stand};
use treble_analyse::tables::Origin;

/// How far one partition is read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Progress {
    /// It is not known yet where it stands.
    Waiting,
    /// It is read.
    Reading {
        /// Where the tables stand, once the commit in flight is through.
        stand: Stand,
        /// The offset that was to be read next when the buffer was last cut.
        cut: i64,
        /// The offset that is to be read next.
        next: i64,
        /// The offset before which everything is in the lake; `None` where nothing was committed since reading began.
        committed: Option<i64>,
    },
}

/// The partitions that are ours.
#[derive(Debug)]
pub(super) struct Partitions {
    origin: Origin,
    all: BTreeMap<i32, Progress>,
}

impl Partitions {
    /// None yet, of a topic of records of `origin`.
    pub(super) const fn new(origin: Origin) -> Self {
        Self { origin, all: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn assign(&mut self, partitions: &[i32]) {
        for partition in partitions {
            self.all.insert(*partition, Progress::Waiting);
        }
    }

    pub(super) fn remove(&mut self, partitions: &[i32]) {
        self.all.retain(|partition, _| !partitions.contains(partition));
    }

    pub(super) fn is_waiting(&self, partition: i32) -> bool {
        matches!(self.all.get(&partition), Some(Progress::Waiting))
    }

    pub(super) fn is_reading(&self, partition: i32) -> bool {
        matches!(self.all.get(&partition), Some(Progress::Reading { .. }))
    }

    fn which(&self, wanted: impl Fn(&Progress) -> bool) -> Vec<i32> {
        self.all.iter().filter(|(_, progress)| wanted(progress)).map(|(partition, _)| *partition).collect()
    }

    pub(super) fn waiting(&self) -> Vec<i32> {
        self.which(|progress| matches!(progress, Progress::Waiting))
    }

    pub(super) fn reading(&self) -> Vec<i32> {
        self.which(|progress| matches!(progress, Progress::Reading { .. }))
    }

    pub(super) fn start(&mut self, partition: i32, stand: Stand, from: i64) {
        self.all.insert(partition, Progress::Reading { stand, cut: from, next: from, committed: None });
    }

    /// Whether the record at `offset` is one to take. Offsets have holes: of markers and of aborted records.
    pub(super) fn is_next(&self, partition: i32, offset: i64) -> bool {
        matches!(self.all.get(&partition), Some(Progress::Reading { next, .. }) if offset >= *next)
    }

    /// The record at `offset` was taken.
    pub(super) fn read(&mut self, partition: i32, offset: i64) {
        if let Some(Progress::Reading { next, .. }) = self.all.get_mut(&partition) {
            *next = offset + 1;
        }
    }

    /// What was read since the last cut. From now on partitions stand where they will once it is committed.
    pub(super) fn cut(&mut self) -> BTreeMap<i32, Move> {
        let mut moves = BTreeMap::new();
        for (&partition, progress) in &mut self.all {
            if let Progress::Reading { stand, cut, next, .. } = progress
                && *next > *cut
            {
                let ahead = self.origin.tables().iter().map(|table| {
                    let stood = stand.get(table).copied().unwrap_or(*next);
                    (*table, stood.max(*next))
                });
                let ahead = ahead.collect();
                let from = std::mem::replace(stand, ahead);
                moves.insert(partition, Move { from, to: *next });
                *cut = *next;
            }
        }
        moves
    }

    /// `positions` are committed.
    pub(super) fn committed(&mut self, positions: &[(i32, i64)]) {
        for (partition, position) in positions {
            if let Some(Progress::Reading { committed, .. }) = self.all.get_mut(partition) {
                *committed = Some(*position);
            }
        }
    }

    /// The positions that were committed since reading began.
    pub(super) fn positions(&self) -> Vec<(i32, i64)> {
        let position = |(partition, progress): (&i32, &Progress)| match progress {
            Progress::Reading { committed: Some(committed), .. } => Some((*partition, *committed)),
            _ => None,
        };
        self.all.iter().filter_map(position).collect()
    }

    /// Everything is to be read again: the partitions that were read.
    pub(super) fn restart(&mut self) -> Vec<i32> {
        let reading = self.reading();
        for progress in self.all.values_mut() {
            *progress = Progress::Waiting;
        }
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_analyse::tables::Table;

    fn stand(events: i64, others: i64) -> Stand {
        let stood = |table: Table| if table == Table::StageEvents { events } else { others };
        Origin::Events.tables().iter().map(|table| (*table, stood(*table))).collect()
    }

    #[test]
    fn a_cut_tells_where_tables_stood_and_the_next_one_goes_on_from_there() {
        let mut partitions = Partitions::new(Origin::Events);
        partitions.assign(&[0, 1]);
        assert!(!partitions.is_next(0, 5), "nothing is known of it yet");
        partitions.start(0, stand(9, 5), 5);
        for offset in [5, 6, 11] {
            assert!(partitions.is_next(0, offset));
            partitions.read(0, offset);
        }
        assert!(!partitions.is_next(0, 6), "it was taken");
        assert_eq!(partitions.cut(), BTreeMap::from([(0, Move { from: stand(9, 5), to: 12 })]));
        assert!(partitions.cut().is_empty());
        partitions.read(0, 12);
        assert_eq!(partitions.cut(), BTreeMap::from([(0, Move { from: stand(12, 12), to: 13 })]));
        partitions.committed(&[(0, 12), (7, 1)]);
        assert_eq!(partitions.positions(), [(0, 12)]);
    }

    #[test]
    fn a_table_that_is_ahead_of_the_cut_stays_where_it_is() {
        let mut partitions = Partitions::new(Origin::Events);
        partitions.start(0, stand(20, 5), 5);
        partitions.read(0, 7);
        assert_eq!(partitions.cut()[&0], Move { from: stand(20, 5), to: 8 });
        partitions.read(0, 8);
        assert_eq!(partitions.cut()[&0], Move { from: stand(20, 8), to: 9 });
    }

    #[test]
    fn a_restart_waits_for_every_partition_anew() {
        let mut partitions = Partitions::new(Origin::Events);
        partitions.assign(&[0, 1]);
        partitions.start(1, Stand::new(), 0);
        assert_eq!(partitions.restart(), [1]);
        assert_eq!((partitions.waiting(), partitions.reading()), (vec![0, 1], vec![]));
        partitions.remove(&[0]);
        assert_eq!((partitions.len(), partitions.is_waiting(1)), (1, true));
    }
}
