//! How a member of a consumer group stands: whether Kafka answers it, and which partitions it has. Told by the loop that polls, read
//! by probes.

use super::log::event::Event;
use crate::flow::readiness::{Facts, Readiness};
use prometheus::IntGauge;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// See the module.
#[derive(Debug)]
pub(super) struct Membership {
    /// The segment or stage, for the log.
    name: String,
    reachable: (AtomicBool, IntGauge),
    assigned: (AtomicI64, IntGauge),
    live: (AtomicI64, IntGauge),
}

impl Membership {
    /// Of a member that has just come, with its gauges: whether any broker answers, partitions that are ours, those of them
    /// that are read.
    pub(super) fn new(name: &str, reachable: IntGauge, assigned: IntGauge, live: IntGauge) -> Self {
        reachable.set(1);
        Self {
            name: name.to_owned(),
            // Until the client library says otherwise; what it cannot reach from the start stays "restoring" meanwhile.
            reachable: (AtomicBool::new(true), reachable),
            // Not ready before the group has answered once, with whatever partitions.
            assigned: (AtomicI64::new(-1), assigned),
            live: (AtomicI64::new(0), live),
        }
    }

    /// How it stands.
    pub(super) fn readiness(&self) -> Readiness {
        Readiness::of(Facts {
            reachable: self.reachable.0.load(Ordering::Acquire),
            assigned: u64::try_from(self.assigned.0.load(Ordering::Acquire)).ok(),
            live: self.live().unsigned_abs(),
        })
    }

    /// Partitions that are read.
    pub(super) fn live(&self) -> i64 {
        self.live.0.load(Ordering::Acquire)
    }

    /// Whether any broker answers: told again and again, noted where it changes.
    pub(super) fn contact(&self, reachable: bool) {
        if self.reachable.0.swap(reachable, Ordering::AcqRel) == reachable {
            return;
        }
        self.reachable.1.set(i64::from(reachable));
        let segment = self.name.as_str();
        if reachable {
            tracing::info!(event = Event::KafkaReachable.text(), segment, "brokers answer again");
        } else {
            let event = Event::KafkaUnreachable.text();
            tracing::warn!(event, segment, "no broker answers; work goes on once one does");
        }
    }

    /// How many partitions are ours, and how many of them are read.
    pub(super) fn partitions(&self, assigned: usize, live: usize) {
        for ((told, gauge), count) in [(&self.live, live), (&self.assigned, assigned)] {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            gauge.set(count);
            told.store(count, Ordering::Release);
        }
    }
}
