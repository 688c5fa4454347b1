//! One partition's log: records, and the markers that settle transactions.

use crate::ports::OutRecord;
use std::collections::BTreeMap;

/// What became of the transaction that wrote an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Open,
    Committed,
    Aborted,
}

/// A record, or a marker (`None`), which takes an offset as it does in Kafka.
#[derive(Debug)]
struct Entry {
    record: Option<OutRecord>,
    transaction: Option<usize>,
}

/// One partition; its offsets are indices.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    pub(super) fn append(&mut self, record: OutRecord, transaction: Option<usize>) {
        self.entries.push(Entry { record: Some(record), transaction });
    }

    pub(super) fn mark(&mut self) {
        self.entries.push(Entry { record: None, transaction: None });
    }

    pub(super) fn end(&self) -> i64 {
        i64::try_from(self.entries.len()).unwrap_or(i64::MAX)
    }

    /// The offset before which everything is settled.
    pub(super) fn stable_end(&self, fates: &BTreeMap<usize, Fate>) -> i64 {
        let open = |entry: &Entry| entry.transaction.is_some_and(|number| fates[&number] == Fate::Open);
        let first = self.entries.iter().position(open).unwrap_or(self.entries.len());
        i64::try_from(first).unwrap_or(i64::MAX)
    }

    /// The first record at or after `from` that a `read_committed` reader sees.
    pub(super) fn next_committed(
        &self,
        from: i64,
        fates: &BTreeMap<usize, Fate>,
    ) -> Option<(i64, &OutRecord)> {
        for (index, entry) in self.entries.iter().enumerate().skip(usize::try_from(from).unwrap_or(0)) {
            let fate = entry.transaction.map_or(Fate::Committed, |number| fates[&number]);
            match (fate, &entry.record) {
                (Fate::Open, _) => return None,
                (Fate::Committed, Some(record)) => {
                    return Some((i64::try_from(index).unwrap_or(i64::MAX), record));
                }
                (Fate::Aborted, _) | (Fate::Committed, None) => {}
            }
        }
        None
    }
}
