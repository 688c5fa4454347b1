//! Whether a segment is ready, and what it waits for if not.

/// What is known of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether any broker answers.
    pub reachable: bool,
    /// Partitions that are ours; `None` before the group has answered once.
    pub assigned: Option<u64>,
    /// Those of them that are restored and read.
    pub live: u64,
}

/// How it stands with a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Every partition that is ours is restored and read.
    Ready,
    /// The group has not answered yet, or partitions are being restored.
    Restoring,
    /// No broker answers.
    Unreachable,
}

impl Readiness {
    /// What the facts amount to. A member without partitions is ready: it stands by.
    #[must_use]
    pub fn of(facts: Facts) -> Self {
        match facts {
            Facts { reachable: false, .. } => Self::Unreachable,
            Facts { assigned: Some(assigned), live, .. } if assigned == live => Self::Ready,
            Facts { .. } => Self::Restoring,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reachable: bool, assigned: Option<u64>, live: u64, expect: Readiness) {
        assert_eq!(Readiness::of(Facts { reachable, assigned, live }), expect);
    }

    #[test]
    fn ready_is_who_reads_all_that_is_assigned_and_is_answered() {
        check(true, Some(4), 4, Readiness::Ready);
        check(true, Some(0), 0, Readiness::Ready);
        check(true, Some(4), 3, Readiness::Restoring);
        check(true, None, 0, Readiness::Restoring);
        check(false, Some(4), 4, Readiness::Unreachable);
        check(false, None, 0, Readiness::Unreachable);
    }
}
