//! The loop that reads a topic: one thread, one group member, one buffer of rows.

use super::partitions::Partitions;
use super::records::{Batch, Reader};
use super::station::{Answer, Answered, Asked, Found, LakeStation, Request, Trouble};
use super::upkeep::{LEASE, Upkeep};
use crate::flow::assignment::OnLostRestart;
use crate::flow::ingest::{self, BeginError, Facts, Limits, Next};
use crate::flow::retry::Backoff;
use crate::kafka::consumer::KafkaSource;
use crate::ports::{Clock, InRecord, PortError, Source, SourceEvent};
use crate::runtime::stations::{Station, StationGone};
use crate::schema_registry::RegistryError;
use crate::telemetry::lake::{LakeTelemetry, Lost};
use std::sync::Arc;
use std::time::Duration;
use treble_analyse::arrow::error::ArrowError;
use treble_analyse::commit::{Outcome, Slice};

/// How long a poll waits for records, while nothing else is to be done.
const POLL: Duration = Duration::from_millis(50);
/// The first wait after something was refused, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Kafka refused, or another process has our instance id.
    #[error("{0}")]
    Port(#[from] PortError),
    /// The thread of the lake is gone.
    #[error(transparent)]
    Station(#[from] StationGone),
    /// A partition cannot be read.
    #[error("{topic}, partition {partition}: {error}")]
    Begin {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is missing, and what to do.
        #[source]
        error: BeginError,
    },
    /// The lake is none that can be written.
    #[error("{0}")]
    Lake(String),
}

/// Everything that reading needs.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) topic: String,
    pub(super) source: KafkaSource,
    pub(super) station: LakeStation,
    pub(super) reader: Reader,
    /// Who looks after the whole lake besides.
    pub(super) upkeep: Option<Upkeep>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) telemetry: Arc<LakeTelemetry>,
    pub(super) limits: Limits,
    /// The most that a commit may take when partitions are given back, and at the end.
    pub(super) deadline: Duration,
    pub(super) on_lost: OnLostRestart,
}

/// A commit that was asked for.
#[derive(Debug, Default)]
struct InFlight {
    positions: Vec<(i32, i64)>,
    newest_canary_us: Option<i64>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ingest {
    setup: Setup,
    partitions: Partitions,
    /// Since when the oldest record of the buffer waits.
    waiting_since: Option<Duration>,
    /// What is told of the commit in flight once it is through.
    in_flight: Option<InFlight>,
    /// Rises whenever everything is read again.
    round: u64,
    /// When to ask where partitions stand; `None` where that was done.
    ask_at: Option<Duration>,
    backoff: Backoff,
    is_paused: bool,
}

impl Ingest {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            partitions: Partitions::new(setup.reader.origin()),
            setup,
            waiting_since: None,
            in_flight: None,
            round: 0,
            ask_at: None,
            backoff: Backoff::new(RETRY.0, RETRY.1),
            is_paused: false,
        }
    }

    /// Reads and commits until `stop`; then what was read is committed, within the deadline.
    pub(super) fn run(&mut self, stop: &dyn Fn() -> bool) -> Result<(), IngestError> {
        while !stop() {
            while let Some(answered) = self.setup.station.try_answer()? {
                self.answered(answered)?;
            }
            self.ask()?;
            self.act()?;
            if let Some(upkeep) = &mut self.setup.upkeep {
                upkeep.turn(self.partitions.is_reading(LEASE));
            }
            match self.setup.source.poll(POLL)? {
                Some(SourceEvent::Record(record)) => self.take(record)?,
                Some(SourceEvent::Assigned(partitions)) => self.assigned(&partitions),
                Some(SourceEvent::Revoked(partitions)) => self.revoked(&partitions)?,
                Some(SourceEvent::Lost(partitions)) => self.lost(&partitions)?,
                Some(SourceEvent::AtEnd(_)) | None => {}
            }
        }
        if self.settle()? {
            self.tell(true);
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.setup.clock.now()
    }

    /// Commits what is due, and stops reading where there is no room.
    fn act(&mut self) -> Result<(), IngestError> {
        let facts = Facts {
            rows: self.setup.reader.rows(),
            bytes: self.setup.reader.bytes(),
            age: self.waiting_since.map(|since| self.now().saturating_sub(since)),
            committing: self.in_flight.is_some(),
        };
        let next = ingest::next(facts, self.setup.limits);
        let pause = next == Next::Pause;
        if pause != self.is_paused {
            let reading = self.partitions.reading();
            if pause {
                self.setup.source.pause(&reading)?
            } else {
                self.setup.source.resume(&reading)?
            }
            self.is_paused = pause;
        }
        if next == Next::Commit { self.commit() } else { Ok(()) }
    }

    fn take(&mut self, record: InRecord) -> Result<(), IngestError> {
        if !self.partitions.is_next(record.partition, record.offset) {
            return Ok(());
        }
        match self.setup.reader.learn(&record) {
            Ok(true) => self.setup.telemetry.registry_answered(),
            Ok(false) => {}
            Err(error) => return self.registry_failed(&error),
        }
        self.setup.telemetry.received(&record);
        self.waiting_since = self.waiting_since.or_else(|| Some(self.setup.clock.now()));
        self.partitions.read(record.partition, record.offset);
        self.setup.reader.push(record).map_err(unfit)
    }

    fn registry_failed(&mut self, error: &RegistryError) -> Result<(), IngestError> {
        self.setup.telemetry.registry_failed(error);
        self.again()
    }

    fn assigned(&mut self, partitions: &[i32]) {
        self.setup.telemetry.rebalanced("assigned", partitions);
        self.partitions.assign(partitions);
        self.ask_at.get_or_insert(self.setup.clock.now());
        self.gauge();
    }

    fn revoked(&mut self, partitions: &[i32]) -> Result<(), IngestError> {
        self.setup.telemetry.rebalanced("revoked", partitions);
        if self.settle()? {
            self.tell(true);
        } else {
            self.again()?;
        }
        self.let_go(partitions)
    }

    fn lost(&mut self, partitions: &[i32]) -> Result<(), IngestError> {
        self.setup.telemetry.rebalanced("lost", partitions);
        // Their rows stand between those of others: all are dropped, and those of others read again.
        self.again()?;
        self.let_go(partitions)
    }

    fn let_go(&mut self, partitions: &[i32]) -> Result<(), IngestError> {
        self.partitions.remove(partitions);
        self.setup.source.release(partitions)?;
        self.gauge();
        Ok(())
    }

    /// Asks where partitions stand that are to be read and are not yet.
    fn ask(&mut self) -> Result<(), IngestError> {
        if self.ask_at.is_none_or(|at| at > self.now()) {
            return Ok(());
        }
        self.ask_at = None;
        let waiting = self.partitions.waiting();
        let request = Request::Stands(waiting);
        Ok(self.setup.station.ask(Asked { round: self.round, request })?)
    }

    /// Hands the buffer over to be committed.
    fn commit(&mut self) -> Result<(), IngestError> {
        let Batch { rows, newest_canary_us } = self.setup.reader.flush().map_err(unfit)?;
        self.waiting_since = None;
        let moves = self.partitions.cut();
        let positions = moves.iter().map(|(partition, moved)| (*partition, moved.to)).collect();
        self.in_flight = Some(InFlight { positions, newest_canary_us });
        let request = Request::Commit(Slice { rows, moves });
        Ok(self.setup.station.ask(Asked { round: self.round, request })?)
    }

    fn answered(&mut self, Answered { round, answer }: Answered) -> Result<(), IngestError> {
        self.count(&answer);
        if round != self.round {
            return Ok(());
        }
        match answer {
            Answer::Stands(Ok(found)) => found.into_iter().try_for_each(|found| self.start(found)),
            Answer::Stands(Err(trouble)) | Answer::Commit(Err(trouble)) => self.refused(&trouble),
            Answer::Commit(Ok(Outcome::Committed(_))) => {
                self.backoff.reset();
                let InFlight { positions, newest_canary_us } = self.in_flight.take().unwrap_or_default();
                self.setup.telemetry.reached(&positions);
                self.setup.telemetry.canary_stored(newest_canary_us);
                self.partitions.committed(&positions);
                self.tell(false);
                Ok(())
            }
            Answer::Commit(Ok(Outcome::Overtaken { .. })) => self.again(),
        }
    }

    /// What became of a commit is told although nobody waits for it any more: rows were stored, or were not.
    fn count(&self, answer: &Answer) {
        let telemetry = &self.setup.telemetry;
        match answer {
            Answer::Commit(Ok(Outcome::Committed(receipts))) => telemetry.committed(receipts),
            Answer::Commit(Ok(Outcome::Overtaken { table, partition })) => {
                telemetry.overtaken(*table, *partition)
            }
            Answer::Commit(Err(trouble)) => telemetry.commit_refused(trouble.table(), trouble),
            Answer::Stands(Err(trouble)) => telemetry.refused(trouble.table(), trouble),
            Answer::Stands(Ok(_)) => telemetry.lake_was_read(),
        }
    }

    fn start(&mut self, found: Found) -> Result<(), IngestError> {
        let Found { partition, stand, log_start, log_end } = found;
        if !self.partitions.is_waiting(partition) {
            return Ok(());
        }
        let tables = self.setup.reader.origin().tables();
        let stored = tables.iter().map(|table| stand.get(table).copied()).min().flatten();
        let began = ingest::begin(stored, log_start, log_end, self.setup.on_lost);
        let topic = self.setup.topic.clone();
        let began = began.map_err(|error| IngestError::Begin { topic, partition, error })?;
        if began.lost > 0 {
            self.setup.telemetry.records_lost(Lost { partition, offsets: began.lost });
        }
        self.partitions.start(partition, stand, began.from);
        self.setup.source.start(&[(partition, began.from)])?;
        if self.is_paused {
            self.setup.source.pause(&[partition])?;
        }
        self.gauge();
        Ok(())
    }

    fn refused(&mut self, trouble: &Trouble) -> Result<(), IngestError> {
        if !trouble.is_retriable() {
            return Err(IngestError::Lake(trouble.to_string()));
        }
        self.again()
    }

    /// Drops what was read and not committed, and reads it again from where the tables say, after a while.
    fn again(&mut self) -> Result<(), IngestError> {
        self.round += 1;
        self.setup.reader.discard();
        self.waiting_since = None;
        self.in_flight = None;
        self.is_paused = false;
        let reading = self.partitions.restart();
        self.setup.source.stop(&reading)?;
        self.ask_at = Some(self.now() + self.backoff.next_delay());
        self.gauge();
        Ok(())
    }

    /// Commits everything that was read; whether that came to an end, within the deadline and as meant.
    fn settle(&mut self) -> Result<bool, IngestError> {
        let (round, until) = (self.round, self.now() + self.setup.deadline);
        loop {
            if self.in_flight.is_none() {
                if self.setup.reader.rows() == 0 {
                    return Ok(true);
                }
                self.commit()?;
            }
            let left = until.saturating_sub(self.now());
            match self.setup.station.answer_within(left)? {
                Some(answered) => self.answered(answered)?,
                None => return Ok(false),
            }
            if self.round != round {
                return Ok(false);
            }
        }
    }

    /// Tells the group how far the lake is, for those who look at lag. Nothing depends on it.
    fn tell(&self, wait: bool) {
        let positions = self.partitions.positions();
        if !positions.is_empty()
            && let Err(error) = self.setup.source.tell(&positions, wait)
        {
            tracing::debug!(%error, "the group's positions were not committed");
        }
    }

    fn gauge(&self) {
        self.setup.telemetry.partitions(self.partitions.len(), self.partitions.reading().len());
    }
}

/// Rows of one table that do not fit together: a defect.
fn unfit(error: ArrowError) -> IngestError {
    IngestError::Lake(error.to_string())
}
