//! What analyse does, counted and logged.

use super::family::Each;
use super::labels::{
    Closed, Dependency, ErrorType, LakeOutcome, LakeTable, Partition, Reason, Rebalance, RecordResult, Stage,
    Topic,
};
use super::log::event::Event;
use super::membership::Membership;
use super::metrics::Metrics;
use crate::flow::readiness::Readiness;
use crate::ports::{Clock, InRecord};
use crate::schema_registry::RegistryError;
use crate::topology::ANALYSE;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge};
use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use treble_analyse::commit::Receipt;
use treble_analyse::lake::LakeError;
use treble_analyse::tables::{Origin, Table};

/// Records that are gone before they were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Their partition.
    pub partition: i32,
    /// Offsets that they had at most.
    pub offsets: i64,
}

/// The series of one table.
#[derive(Debug)]
struct TableMetrics {
    commits: Each<LakeOutcome, IntCounter>,
    rows: IntCounter,
    duration: Histogram,
    last_commit: Gauge,
    files: IntGauge,
}

impl TableMetrics {
    fn of(table: LakeTable, all: &Metrics) -> Self {
        Self {
            commits: Each::new(|outcome| all.lake_commits.of((table, outcome))),
            rows: all.lake_rows.of((table,)),
            duration: all.lake_commit_duration.of((table,)),
            last_commit: all.lake_last_commit.of((table,)),
            files: all.lake_files.of((table,)),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct LakeTelemetry {
    all: Metrics,
    clock: Arc<dyn Clock>,
    topic: String,
    tables: Vec<(LakeTable, TableMetrics)>,
    received: IntCounter,
    processed: Each<RecordResult, IntCounter>,
    input_bytes: IntCounter,
    consumed: (IntCounter, IntCounter),
    registry_failures: IntCounter,
    retries: Each<ErrorType, IntCounter>,
    rebalances: Each<Rebalance, IntCounter>,
    last_processed: Gauge,
    /// Where lines of the log are stored.
    newest_canary: Option<Gauge>,
    membership: Membership,
    /// Whether the last commit was refused: a lake that can be read may take nothing.
    commits_fail: AtomicBool,
}

impl LakeTelemetry {
    /// Telemetry of a process that reads `topic`, which holds records of `origin`, into the lake.
    #[must_use]
    pub fn new(all: &Metrics, clock: Arc<dyn Clock>, topic: &str, origin: Origin) -> Self {
        let newest_canary = (origin == Origin::Logs).then(|| all.log_canary_stored.only());
        if let Some(newest_canary) = &newest_canary {
            // Until one is stored: nothing is missed before somebody looks.
            newest_canary.set(clock.unix_us() as f64 / 1e6);
        }
        let stage = || Stage::from(ANALYSE);
        let of_topic = || Topic::from(topic);
        let labels = origin.tables().iter().filter_map(|table| LakeTable::of(table.name()));
        // The process would not have come so far without them.
        Dependency::ALL.iter().for_each(|needed| all.needs(*needed, true));
        Self {
            tables: labels.map(|table| (table, TableMetrics::of(table, all))).collect(),
            received: all.records_received.of((stage(),)),
            processed: Each::new(|result| all.records_processed.of((stage(), result))),
            input_bytes: all.input_bytes.of((stage(),)),
            consumed: (all.consumed_records.of((of_topic(),)), all.consumed_bytes.of((of_topic(),))),
            registry_failures: all.registry_failures.of((stage(),)),
            retries: Each::new(|kind| all.retries.of((stage(), Reason(kind)))),
            rebalances: Each::new(|kind| all.rebalances.of((stage(), kind))),
            last_processed: all.last_processed.of((stage(),)),
            newest_canary,
            membership: Membership::new(
                ANALYSE,
                all.reachable.of((stage(),)),
                all.assigned_partitions.of((of_topic(),)),
                all.live_partitions.of((of_topic(),)),
            ),
            commits_fail: AtomicBool::new(false),
            all: all.clone(),
            clock,
            topic: topic.to_owned(),
        }
    }

    fn table(&self, name: &str) -> Option<&TableMetrics> {
        self.tables.iter().find(|(table, _)| table.text() == name).map(|(_, metrics)| metrics)
    }

    /// How it stands with the reader.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.membership.readiness()
    }

    /// Whether any broker answers: told again and again, noted where it changes.
    pub fn contact(&self, reachable: bool) {
        self.membership.contact(reachable);
        self.all.needs(Dependency::Kafka, reachable);
    }

    pub(crate) fn received(&self, record: &InRecord) {
        let bytes = record.size_bytes();
        self.received.inc();
        self.input_bytes.inc_by(bytes);
        self.consumed.0.inc();
        self.consumed.1.inc_by(bytes);
    }

    pub(crate) fn rebalanced(&self, kind: &'static str, partitions: &[i32]) {
        if let Some(kind) = Rebalance::of(kind) {
            self.rebalances.of(kind).inc();
        }
        let event = Event::Rebalanced.text();
        tracing::info!(event, stage = ANALYSE, ?partitions, "partitions {kind}");
    }

    /// How many partitions are ours, and how many of them are read.
    pub(crate) fn partitions(&self, assigned: usize, live: usize) {
        self.membership.partitions(assigned, live);
    }

    pub(crate) fn committed(&self, receipts: &[Receipt]) {
        self.commits_fail.store(false, Ordering::Relaxed);
        self.all.needs(Dependency::Lake, true);
        let now = self.clock.unix_us() as f64 / 1e6;
        for receipt in receipts {
            let Some(table) = self.table(receipt.table.name()) else { continue };
            table.commits.of(LakeOutcome::Committed).inc();
            table.rows.inc_by(receipt.rows as u64);
            table.duration.observe(receipt.took.as_secs_f64());
            table.last_commit.set(now);
            table.files.set(i64::try_from(receipt.files_in_all).unwrap_or(i64::MAX));
            let result =
                if receipt.table == Table::Unreadable { RecordResult::Dlq } else { RecordResult::Ok };
            self.processed.of(result).inc_by(receipt.rows as u64);
            let Receipt { version, rows, files, .. } = receipt;
            tracing::debug!(table = receipt.table.name(), version, rows, files, "committed");
        }
        self.last_processed.set(now);
    }

    /// The partitions that were ours throughout a commit.
    pub(crate) fn reached(&self, positions: &[(i32, i64)]) {
        let now = self.clock.unix_us() as f64 / 1e6;
        for (partition, _) in positions {
            self.all.last_commit.of((Topic::from(self.topic.as_str()), Partition(*partition))).set(now);
        }
    }

    /// When the newest canary was written of the lines that a commit stored.
    pub(crate) fn canary_stored(&self, unix_us: Option<i64>) {
        if let (Some(newest), Some(unix_us)) = (&self.newest_canary, unix_us) {
            newest.set(newest.get().max(unix_us as f64 / 1e6));
        }
    }

    pub(crate) fn overtaken(&self, table: Table, partition: Option<i32>) {
        if let Some(table) = self.table(table.name()) {
            table.commits.of(LakeOutcome::Overtaken).inc();
        }
        self.retries.of(ErrorType::LakeError).inc();
        let table = table.name();
        tracing::warn!(
            stage = ANALYSE,
            table,
            partition,
            "another commit came first, of an owner that stored these rows or of upkeep that dropped days; reading again"
        );
    }

    /// The lake says how far it has read the topic; what it takes is another question.
    pub(crate) fn lake_was_read(&self) {
        if !self.commits_fail.load(Ordering::Relaxed) {
            self.all.needs(Dependency::Lake, true);
        }
    }

    pub(crate) fn commit_refused(&self, table: Option<&str>, reason: &dyn Display) {
        self.commits_fail.store(true, Ordering::Relaxed);
        self.refused(table, reason);
    }

    pub(crate) fn refused(&self, table: Option<&str>, reason: &dyn Display) {
        if let Some(table) = table.and_then(|name| self.table(name)) {
            table.commits.of(LakeOutcome::Failed).inc();
        }
        self.retries.of(ErrorType::LakeError).inc();
        self.all.needs(Dependency::Lake, false);
        let event = Event::LakeUnavailable.text();
        tracing::warn!(event, stage = ANALYSE, %reason, "nothing is stored for now; reading again, nothing is lost");
    }

    pub(crate) fn registry_answered(&self) {
        self.all.needs(Dependency::SchemaRegistry, true);
    }

    pub(crate) fn registry_failed(&self, error: &RegistryError) {
        self.registry_failures.inc();
        self.all.needs(Dependency::SchemaRegistry, false);
        let event = Event::RegistryUnreachable.text();
        tracing::warn!(event, stage = ANALYSE, %error, "the schema registry cannot be asked; reading again, nothing is lost");
    }

    /// The lake was tidied up, or something came between.
    pub(crate) fn tidied(&self, fault: Option<&LakeError>) {
        match fault {
            None => tracing::info!(stage = ANALYSE, "the lake is tidied up"),
            Some(fault) if fault.is_conflict() => {
                tracing::info!(stage = ANALYSE, %fault, "another process came first; the rest of upkeep follows next time");
            }
            Some(fault) => {
                tracing::warn!(stage = ANALYSE, %fault, "upkeep did not come to its end; it is tried again next time")
            }
        }
    }

    pub(crate) fn records_lost(&self, lost: Lost) {
        let Lost { partition, offsets } = lost;
        let topic = self.topic.as_str();
        tracing::error!(topic, partition, offsets, "retention deleted records before they were stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;

    #[test]
    fn a_lake_that_takes_nothing_is_down_although_it_can_be_read() {
        let metrics = Metrics::new().unwrap();
        let telemetry =
            LakeTelemetry::new(&metrics, Arc::new(ManualClock::default()), "events", Origin::Events);
        let up = |dependency: Dependency| metrics.dependency_up.of((dependency,)).get();
        assert_eq!(Dependency::ALL.iter().map(|needed| up(*needed)).collect::<Vec<_>>(), [1, 1, 1]);
        telemetry.refused(None, &"no such bucket");
        assert_eq!(up(Dependency::Lake), 0);
        telemetry.lake_was_read();
        assert_eq!(up(Dependency::Lake), 1);
        telemetry.commit_refused(None, &"no space left on device");
        telemetry.lake_was_read();
        assert_eq!(up(Dependency::Lake), 0);
        telemetry.committed(&[]);
        assert_eq!(up(Dependency::Lake), 1);
        telemetry.contact(false);
        assert_eq!((up(Dependency::Kafka), up(Dependency::SchemaRegistry)), (0, 1));
    }

    #[test]
    fn every_table_has_its_label() {
        assert!(Table::ALL.iter().all(|table| LakeTable::of(table.name()).is_some()));
        assert_eq!(LakeTable::ALL.len(), Table::ALL.len());
    }
}
