//! The worker of one segment: one loop over what the consumer, the compute threads, the transaction thread and the
//! restore thread report.
//!
//! Life of a partition: assigned → (restore thread reads what is durable) → opened on its compute thread and
//! read from the restart point → live → revoked: one last epoch is committed within the deadline, then it is
//! closed and released. After an aborted or broken transaction every partition goes back to "assigned".
//!
//! [`ownership`] holds that life, [`commit`] the life of an epoch. Whom the worker talks to is a [`Crew`]: threads in
//! a process, stations without threads in the simulation.

use super::compute::{Command, Reply};
use super::partition::EpochPart;
use super::stations::Crew;
use crate::flow::assignment::OnLostRestart;
use crate::flow::epoch::{self, EpochLimits};
use crate::flow::pressure::{Flow, Pressure};
use crate::ports::{Clock, Epoch, InRecord, Outcome, Source, SourceEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

mod commit;
mod error;
mod ownership;

pub use error::WorkerError;

/// How the worker paces itself.
#[derive(Debug, Clone, Copy)]
pub struct WorkerLimits {
    /// When an epoch is cut.
    pub epoch: EpochLimits,
    /// Time for a commit, a revoke, a drain.
    pub deadline: Duration,
    /// Bytes in flight at which reading stops, and starts again.
    pub high_water_bytes: u64,
    /// See above.
    pub low_water_bytes: u64,
    /// What to do where retention deleted what must be read again.
    pub on_lost_restart: OnLostRestart,
}

/// Counts what the worker does; attached by the runner.
pub trait WorkerObserver {
    /// Records were polled, of partitions that are live.
    fn polled(&self, records: usize, bytes: u64);
    /// A transaction begins.
    fn submitted(&self);
    /// A transaction ended; `took` from its begin.
    fn committed(&self, outcome: &Outcome, took: Duration, epoch: &Epoch);
    /// A partition is live.
    fn restored(&self, partition: i32, replay_records: i64);
    /// The partitions that are ours, and those of them that are live, each with its tenure.
    fn assignment(&self, assigned: &BTreeSet<i32>, live: &BTreeMap<i32, u64>);
    /// A turn is over: bytes read and not processed, and whether reading is paused because of them.
    fn turned(&self, in_flight_bytes: u64, paused: bool);
    /// Something worth a log line.
    fn note(&self, what: &'static str, detail: &str);
}

/// See the module.
#[derive(Debug)]
pub struct Worker<S, O, C> {
    source: S,
    crew: C,
    clock: Arc<dyn Clock>,
    limits: WorkerLimits,
    observer: O,
    assigned: BTreeSet<i32>,
    live: BTreeMap<i32, u64>,
    pressure: Pressure,
    filling: Filling,
    commit: Option<InFlight>,
    next_epoch: u64,
    producer: Producer,
    fenced_at: Option<Duration>,
    assignments: u64,
    tenures: u64,
}

/// The state of the transactional producer. Nothing is restored before it is ready: becoming the only instance
/// of its id is what ends a predecessor's open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Producer {
    Initialising,
    Ready,
    /// Fenced: maybe by another process. While the coordinator cannot be reached, neither can the consumer learn that
    /// it was replaced, so the id is not taken back before the coordinator has answered.
    Doubted,
    Broken {
        retry_at: Duration,
    },
}

/// The epoch that is being filled.
#[derive(Debug)]
struct Filling {
    /// When it counts as begun ([`epoch::begun_at`]).
    since: Duration,
    /// When the last record was read.
    heard_at: Duration,
    input_bytes: u64,
    dirty: bool,
}

/// The epoch on its way to Kafka.
#[derive(Debug)]
enum InFlight {
    /// Compute threads are being asked for their parts.
    Freezing { number: u64, missing: usize, parts: Vec<(i32, EpochPart)> },
    /// The transaction thread has it.
    Committing { since: Duration, retry: Retry },
}

/// Whether an aborted epoch may be tried again as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Once.
    Allowed,
    /// It was tried again already, or partitions left us meanwhile.
    Void,
}

impl<S: Source, O: WorkerObserver, C: Crew<S::Membership>> Worker<S, O, C> {
    /// A worker that owns its ports; nothing is read before [`run`](Self::run).
    pub fn new(source: S, crew: C, clock: Arc<dyn Clock>, limits: WorkerLimits, observer: O) -> Self {
        let now = clock.now();
        let filling = Filling { since: now, heard_at: now, input_bytes: 0, dirty: false };
        let pressure = Pressure::new(limits.high_water_bytes, limits.low_water_bytes);
        Self {
            source,
            crew,
            clock,
            limits,
            observer,
            assigned: BTreeSet::new(),
            live: BTreeMap::new(),
            pressure,
            filling,
            commit: None,
            next_epoch: 0,
            producer: Producer::Broken { retry_at: Duration::ZERO },
            fenced_at: None,
            assignments: 0,
            tenures: 0,
        }
    }

    /// Runs until `stop` says so, then drains: what was read is processed and committed within the deadline.
    pub fn run(&mut self, stop: &dyn Fn() -> bool) -> Result<(), WorkerError> {
        while !stop() {
            self.turn()?;
        }
        self.drain()
    }

    /// One turn: hears every source of events once, and does what is due.
    pub fn turn(&mut self) -> Result<(), WorkerError> {
        self.init_if_due()?;
        self.poll()?;
        self.hear_compute()?;
        self.hear_transactions()?;
        self.hear_restores()?;
        self.cut_if_due()?;
        self.steer()
    }

    fn poll(&mut self) -> Result<(), WorkerError> {
        // A batch is bounded so that commits are not starved by a fast topic.
        let mut batch: BTreeMap<usize, Vec<InRecord>> = BTreeMap::new();
        let mut patience = epoch::patience(&self.epoch_facts(), &self.limits.epoch);
        for _ in 0..512 {
            match self.source.poll(patience)? {
                Some(SourceEvent::Record(record)) => self.route(record, &mut batch),
                Some(SourceEvent::AtEnd(partition)) => {
                    self.dispatch(std::mem::take(&mut batch))?;
                    self.tell(self.thread_of(partition), Command::AtEnd(partition))?;
                }
                Some(event) => {
                    self.dispatch(std::mem::take(&mut batch))?;
                    self.rebalance(event)?;
                    return Ok(());
                }
                None => break,
            }
            patience = Duration::ZERO;
        }
        self.dispatch(batch)
    }

    fn route(&mut self, record: InRecord, batch: &mut BTreeMap<usize, Vec<InRecord>>) {
        if !self.live.contains_key(&record.partition) {
            return;
        }
        let bytes = record.size_bytes();
        self.pressure.add(bytes);
        self.filling.input_bytes += bytes;
        if !std::mem::replace(&mut self.filling.dirty, true) {
            let (since, now) = (self.filling.since, self.clock.now());
            self.filling.since = epoch::begun_at(since, now, &self.limits.epoch);
        }
        batch.entry(self.thread_of(record.partition)).or_default().push(record);
    }

    fn dispatch(&mut self, batch: BTreeMap<usize, Vec<InRecord>>) -> Result<(), WorkerError> {
        if batch.is_empty() {
            return Ok(());
        }
        let polled_at = self.clock.now();
        self.filling.heard_at = polled_at;
        for (thread, records) in batch {
            self.observer.polled(records.len(), records.iter().map(InRecord::size_bytes).sum());
            self.tell(thread, Command::Records { records, polled_at })?;
        }
        Ok(())
    }

    fn hear_compute(&mut self) -> Result<(), WorkerError> {
        while let Some(reply) = self.crew.compute().try_answer()? {
            self.take_reply(reply)?;
        }
        Ok(())
    }

    fn take_reply(&mut self, reply: Reply) -> Result<(), WorkerError> {
        match reply {
            Reply::Processed { bytes } => self.pressure.release(bytes),
            Reply::Dirty => self.filling.dirty = true,
            Reply::Halted(halt) => return Err(halt.into()),
            Reply::Frozen { epoch, parts: own } => {
                if let Some(InFlight::Freezing { number, missing, parts }) = &mut self.commit
                    && *number == epoch
                {
                    *missing -= 1;
                    parts.extend(own);
                }
                self.submit_if_frozen()?;
            }
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), WorkerError> {
        self.observer.note("draining", "no more records are read");
        self.commit_now()?;
        self.broadcast(|| Command::Stop)
    }

    fn steer(&mut self) -> Result<(), WorkerError> {
        self.observer.turned(self.pressure.in_flight_bytes(), self.pressure.paused());
        let live: Vec<i32> = self.live.keys().copied().collect();
        match self.pressure.decide() {
            Flow::Keep => Ok(()),
            Flow::Pause => Ok(self.source.pause(&live)?),
            Flow::Resume => Ok(self.source.resume(&live)?),
        }
    }

    fn thread_of(&self, partition: i32) -> usize {
        partition.unsigned_abs() as usize % self.crew.compute_threads()
    }

    fn tell(&self, thread: usize, command: Command) -> Result<(), WorkerError> {
        Ok(self.crew.compute().ask((thread, command))?)
    }

    fn broadcast(&self, command: impl Fn() -> Command) -> Result<(), WorkerError> {
        (0..self.crew.compute_threads()).try_for_each(|thread| self.tell(thread, command()))
    }
}
