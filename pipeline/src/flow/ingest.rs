//! What the reader of the topic of events does next, and where it begins.

use super::assignment::OnLostRestart;
use std::time::Duration;
use thiserror::Error;

/// When rows are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Age of the oldest record that waits.
    pub interval: Duration,
    /// Bytes of the records that wait.
    pub max_bytes: usize,
    /// Their number.
    pub max_rows: usize,
}

/// What is known of the records that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// How many there are.
    pub rows: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Since when the oldest waits; `None` without any.
    pub age: Option<Duration>,
    /// Whether those before them are being committed.
    pub committing: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Read on.
    Read,
    /// Commit what waits, and read on.
    Commit,
    /// Read nothing until the commit in flight is through.
    Pause,
}

/// Decides what to do with the records that wait. One commit is in flight at a time: memory is bounded by two of them.
#[must_use]
pub fn next(facts: Facts, limits: Limits) -> Next {
    let is_full = facts.bytes >= limits.max_bytes || facts.rows >= limits.max_rows;
    let is_due = is_full || facts.age.is_some_and(|age| age >= limits.interval);
    match (facts.committing, is_full, is_due) {
        (true, true, _) => Next::Pause,
        (false, _, true) => Next::Commit,
        _ => Next::Read,
    }
}

/// Where a partition begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// The first offset to read.
    pub from: i64,
    /// Offsets that no table holds and the log neither.
    pub lost: i64,
}

/// Why a partition cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BeginError {
    /// Records that were never stored are gone.
    #[error(
        "offsets {stored}..{log_start} are not in the lake and retention deleted them; raise the topic's retention, and set \
         flow.on_lost_restart = \"cold_restart\" to go on without them"
    )]
    Lost {
        /// The offset that was to be read next.
        stored: i64,
        /// The first offset still in the log.
        log_start: i64,
    },
    /// The log ends before what the lake holds.
    #[error(
        "the lake holds everything before offset {stored}, but the log ends at {log_end}: the topic was created anew, or the \
         cluster lost its end; give this pipeline another lake.url, or another prefix"
    )]
    Shrunk {
        /// The offset that was to be read next.
        stored: i64,
        /// Where the log ends.
        log_end: i64,
    },
}

/// Decides where to read from: where the table that is furthest behind stands (`None` where one of them never took
/// anything), within the bounds of the log.
pub fn begin(
    stored: Option<i64>,
    log_start: i64,
    log_end: i64,
    policy: OnLostRestart,
) -> Result<Beginning, BeginError> {
    match stored {
        None => Ok(Beginning { from: log_start, lost: 0 }),
        Some(stored) if stored > log_end => Err(BeginError::Shrunk { stored, log_end }),
        Some(stored) if stored >= log_start => Ok(Beginning { from: stored, lost: 0 }),
        Some(stored) => match policy {
            OnLostRestart::Fail => Err(BeginError::Lost { stored, log_start }),
            OnLostRestart::ColdRestart => Ok(Beginning { from: log_start, lost: log_start - stored }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rows: usize, bytes: usize, age_ms: Option<u64>, committing: bool, expect: Next) {
        let limits = Limits { interval: Duration::from_millis(100), max_bytes: 1000, max_rows: 10 };
        let facts = Facts { rows, bytes, age: age_ms.map(Duration::from_millis), committing };
        assert_eq!(next(facts, limits), expect, "{facts:?}");
    }

    #[test]
    fn records_are_committed_when_they_are_old_or_many() {
        check(0, 0, None, false, Next::Read);
        check(9, 999, Some(99), false, Next::Read);
        check(1, 1, Some(100), false, Next::Commit);
        check(10, 1, Some(0), false, Next::Commit);
        check(1, 1000, Some(0), false, Next::Commit);
    }

    #[test]
    fn while_a_commit_is_in_flight_another_one_waits_and_no_more() {
        check(9, 999, Some(5000), true, Next::Read);
        check(10, 1, Some(0), true, Next::Pause);
    }

    #[test]
    fn reading_begins_where_the_tables_stand_or_says_what_is_missing() {
        let check = |stored, policy, expect| assert_eq!(begin(stored, 10, 100, policy), expect);
        let at = |from, lost| Ok(Beginning { from, lost });
        check(None, OnLostRestart::Fail, at(10, 0));
        check(Some(10), OnLostRestart::Fail, at(10, 0));
        check(Some(100), OnLostRestart::Fail, at(100, 0));
        check(Some(4), OnLostRestart::Fail, Err(BeginError::Lost { stored: 4, log_start: 10 }));
        check(Some(4), OnLostRestart::ColdRestart, at(10, 6));
        check(Some(101), OnLostRestart::ColdRestart, Err(BeginError::Shrunk { stored: 101, log_end: 100 }));
    }
}
