//! Where to read from after an assignment (KIP-447 and the restore protocol of ADR 0002).

use thiserror::Error;

/// What was observed about one assigned partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The group's committed position, stable (no transaction pending on it); `None` before the first commit.
    pub committed: Option<i64>,
    /// The first offset still in the log.
    pub log_start: i64,
    /// The last stable offset: the end of what a `read_committed` reader sees.
    pub log_end: i64,
    /// The restart offset of every stream that the state topic knows; at least `log_start` where the stream was given up.
    pub restart_offsets: Vec<i64>,
}

/// What the operator chose for streams whose restart offset has left the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLostRestart {
    /// Refuse to start, with a message that says what to do.
    Fail,
    /// Go on. An affected stream goes on behind the hole, marked as a discontinuity, where its first stage can; else it
    /// is given up (ABORT on the output, reason `lost_restart`).
    ColdRestart,
}

/// What the caller must now do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Read from `from`; what lies below `live_from` is replay for the streams that the state topic knows.
    From {
        /// The first offset to read.
        from: i64,
        /// The first offset whose effects are not committed yet.
        live_from: i64,
    },
    /// As `From`, and of streams whose restart offset lies below `from`, inputs may be missing.
    FromWithLosses {
        /// The first offset to read.
        from: i64,
        /// The first offset whose effects are not committed yet.
        live_from: i64,
    },
}

/// Why a partition cannot be resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ResumeError {
    /// A stream must be read again from an offset that retention has deleted.
    #[error(
        "a stream in flight must be read again from offset {wanted}, but the log starts at {log_start}: retention \
         deleted it; raise the topic's retention, and set flow.on_lost_restart = \"cold_restart\" to go on behind the hole, \
         or to give such streams up where their codec cannot"
    )]
    RestartLost {
        /// The lowest restart offset.
        wanted: i64,
        /// The first offset still in the log.
        log_start: i64,
    },
    /// Records that were never processed are gone.
    #[error(
        "offsets {committed}..{log_start} were never processed and retention deleted them; raise the topic's \
         retention, and set flow.on_lost_restart = \"cold_restart\" to go on without them"
    )]
    InputLost {
        /// The committed position.
        committed: i64,
        /// The first offset still in the log.
        log_start: i64,
    },
}

/// Decides where to read from. A group without commits starts at the log's beginning.
pub fn resume(facts: &Facts, policy: OnLostRestart) -> Result<Resume, ResumeError> {
    let log_start = facts.log_start;
    let live_from = facts.committed.unwrap_or(log_start);
    let wanted = facts.restart_offsets.iter().copied().min().unwrap_or(live_from).min(live_from);
    if wanted >= log_start {
        return Ok(Resume::From { from: wanted, live_from });
    }
    match policy {
        OnLostRestart::Fail if live_from < log_start => {
            Err(ResumeError::InputLost { committed: live_from, log_start })
        }
        OnLostRestart::Fail => Err(ResumeError::RestartLost { wanted, log_start }),
        OnLostRestart::ColdRestart => {
            Ok(Resume::FromWithLosses { from: log_start, live_from: live_from.max(log_start) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        committed: Option<i64>,
        log_start: i64,
        restarts: &[i64],
        policy: OnLostRestart,
        expect: Result<Resume, ResumeError>,
    ) {
        let facts = Facts { committed, log_start, log_end: 100, restart_offsets: restarts.to_vec() };
        assert_eq!(resume(&facts, policy), expect);
    }

    #[test]
    fn a_new_group_starts_at_the_beginning_of_the_log() {
        check(None, 3, &[], OnLostRestart::Fail, Ok(Resume::From { from: 3, live_from: 3 }));
    }

    #[test]
    fn the_lowest_restart_offset_wins_and_the_commit_bounds_it() {
        let expect = Ok(Resume::From { from: 20, live_from: 50 });
        check(Some(50), 0, &[40, 20], OnLostRestart::Fail, expect);
        check(Some(50), 0, &[70], OnLostRestart::Fail, Ok(Resume::From { from: 50, live_from: 50 }));
    }

    #[test]
    fn what_retention_deleted_is_an_error_or_an_explicit_loss() {
        let lost = ResumeError::RestartLost { wanted: 20, log_start: 30 };
        check(Some(50), 30, &[20], OnLostRestart::Fail, Err(lost));
        let cold = Ok(Resume::FromWithLosses { from: 30, live_from: 50 });
        check(Some(50), 30, &[20], OnLostRestart::ColdRestart, cold);
        let input = ResumeError::InputLost { committed: 10, log_start: 30 };
        check(Some(10), 30, &[], OnLostRestart::Fail, Err(input));
    }
}
