//! The worker of one segment: one loop over what the consumer, the compute threads, the transaction thread and the
//! restore thread report.
//!
//! Life of a partition: assigned → (restore thread reads what is durable) → opened on its compute thread and
//! read from the restart point → live → revoked: one last epoch is committed within the deadline, then it is
//! closed and released. After an aborted or broken transaction every partition goes back to "assigned".

use super::compute::{Command, Reply};
use super::partition::{EpochPart, PartitionHalt};
use super::threads::{
    RestoreRequest, RestoreStation, StationGone, TransactionAnswer, TransactionRequest, TransactionStation,
};
use crate::flow::assignment::{self, Facts, OnLostRestart, Resume, ResumeError};
use crate::flow::epoch::{self, EpochFacts, EpochLimits};
use crate::flow::pressure::{Flow, Pressure};
use crate::ports::{Clock, Durable, Epoch, InRecord, Outcome, PortError, Source, SourceEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;

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

/// Why a worker ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A port gave up.
    #[error("{0}")]
    Port(#[from] PortError),
    /// A partition cannot be resumed.
    #[error("partition {partition}: {error}")]
    Resume {
        /// The partition.
        partition: i32,
        /// Why.
        #[source]
        error: ResumeError,
    },
    /// A stage cannot go on.
    #[error("{0}")]
    Halted(#[from] PartitionHalt),
    /// A thread panicked.
    #[error(transparent)]
    Gone(#[from] StationGone),
    /// Another process with the same instance id took over.
    #[error(
        "another process took over this instance id: {reason}; give every process its own --instance-id, or stop \
         the other one"
    )]
    Fenced {
        /// What the broker said.
        reason: String,
    },
}

/// Counts what the worker does; attached by the runner.
pub trait WorkerObserver {
    /// A transaction ended; `took` from its begin.
    fn committed(&self, outcome: &Outcome, took: Duration, offsets: &[(i32, i64)]);
    /// A partition is live.
    fn restored(&self, partition: i32, replay_records: i64);
    /// The partitions that are ours, and how many of them are live.
    fn assignment(&self, assigned: usize, live: usize);
    /// Bytes read and not processed.
    fn in_flight(&self, bytes: u64);
    /// Something worth a log line.
    fn note(&self, what: &'static str, detail: &str);
}

/// The compute threads' ends of their channels.
#[derive(Debug)]
pub struct ComputeLinks {
    /// One sender a thread; partition `p` belongs to thread `p mod n`.
    pub commands: Vec<SyncSender<Command>>,
    /// Answers of all threads.
    pub replies: Receiver<Reply>,
}

/// See the module.
#[derive(Debug)]
pub struct Worker<S: Source, O> {
    source: S,
    transactions: TransactionStation<S::Membership>,
    restores: RestoreStation,
    compute: ComputeLinks,
    clock: Arc<dyn Clock>,
    limits: WorkerLimits,
    observer: O,
    assigned: BTreeSet<i32>,
    live: BTreeSet<i32>,
    pressure: Pressure,
    filling: Filling,
    commit: Option<InFlight>,
    next_epoch: u64,
    producer: Producer,
    fenced_at: Option<Duration>,
    assignments: u64,
}

/// The state of the transactional producer. Nothing is restored before it is ready: becoming the only instance
/// of its id is what ends a predecessor's open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Producer {
    Initialising,
    Ready,
    Broken { retry_at: Duration },
}

/// The epoch that is being filled.
#[derive(Debug)]
struct Filling {
    since: Duration,
    input_bytes: u64,
    dirty: bool,
}

/// The epoch on its way to Kafka.
#[derive(Debug)]
enum InFlight {
    /// Compute threads are being asked for their parts.
    Freezing { number: u64, missing: usize, parts: Vec<(i32, EpochPart)> },
    /// The transaction thread has it.
    Committing { since: Duration, retried: bool },
}

const POLL: Duration = Duration::from_millis(5);
/// After a fenced producer was rebuilt, being fenced again within this time means another process, not a
/// spurious answer (librdkafka #3928).
const FENCED_TWICE: Duration = Duration::from_secs(60);
/// How long a fenced worker polls before it takes its id back.
const FENCED_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after a failed initialisation.
const REINIT: Duration = Duration::from_secs(1);

impl<S: Source, O: WorkerObserver> Worker<S, O> {
    /// A worker that owns its ports; nothing is read before [`run`](Self::run).
    pub fn new(
        source: S,
        transactions: TransactionStation<S::Membership>,
        restores: RestoreStation,
        compute: ComputeLinks,
        clock: Arc<dyn Clock>,
        limits: WorkerLimits,
        observer: O,
    ) -> Self {
        let filling = Filling { since: clock.now(), input_bytes: 0, dirty: false };
        let pressure = Pressure::new(limits.high_water_bytes, limits.low_water_bytes);
        Self {
            source,
            transactions,
            restores,
            compute,
            clock,
            limits,
            observer,
            assigned: BTreeSet::new(),
            live: BTreeSet::new(),
            pressure,
            filling,
            commit: None,
            next_epoch: 0,
            producer: Producer::Broken { retry_at: Duration::ZERO },
            fenced_at: None,
            assignments: 0,
        }
    }

    /// Runs until `stop` says so, then drains: what was read is processed and committed within the deadline.
    pub fn run(&mut self, stop: &dyn Fn() -> bool) -> Result<(), WorkerError> {
        while !stop() {
            self.turn()?;
        }
        self.drain()
    }

    fn turn(&mut self) -> Result<(), WorkerError> {
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
        let mut patience = POLL;
        for _ in 0..512 {
            match self.source.poll(patience)? {
                Some(SourceEvent::Record(record)) => self.route(record, &mut batch),
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
        if !self.live.contains(&record.partition) {
            return;
        }
        let bytes = record.size_bytes();
        self.pressure.add(bytes);
        self.filling.input_bytes += bytes;
        self.filling.dirty = true;
        batch.entry(self.thread_of(record.partition)).or_default().push(record);
    }

    fn dispatch(&mut self, batch: BTreeMap<usize, Vec<InRecord>>) -> Result<(), WorkerError> {
        for (thread, records) in batch {
            self.tell(thread, Command::Records(records))?;
        }
        Ok(())
    }

    fn rebalance(&mut self, event: SourceEvent) -> Result<(), WorkerError> {
        match event {
            SourceEvent::Record(_) => {}
            SourceEvent::Assigned(partitions) => {
                self.observer.note("assigned", &format!("{partitions:?}"));
                self.assigned.extend(&partitions);
                self.restore()?;
            }
            SourceEvent::Revoked(partitions) => {
                self.observer.note("revoked", &format!("{partitions:?}"));
                self.commit_now()?;
                self.forget(&partitions)?;
                self.source.release(&partitions)?;
            }
            SourceEvent::Lost(partitions) => {
                self.observer.note("lost", &format!("{partitions:?}"));
                self.forget(&partitions)?;
                self.source.release(&partitions)?;
            }
        }
        self.publish_assignment();
        Ok(())
    }

    /// Asks for what is durable of every partition that is ours and not live. Answers to earlier questions are
    /// void: another owner may have committed since.
    fn restore(&mut self) -> Result<(), WorkerError> {
        if self.producer != Producer::Ready {
            return Ok(());
        }
        self.assignments += 1;
        for partition in self.assigned.difference(&self.live) {
            self.restores.ask(RestoreRequest { partition: *partition, assignment: self.assignments })?;
        }
        Ok(())
    }

    fn forget(&mut self, partitions: &[i32]) -> Result<(), WorkerError> {
        self.assigned.retain(|partition| !partitions.contains(partition));
        self.live.retain(|partition| !partitions.contains(partition));
        self.broadcast(|| Command::Close(partitions.to_vec()))
    }

    fn hear_restores(&mut self) -> Result<(), WorkerError> {
        while let Some(answer) = self.restores.try_answer()? {
            let RestoreRequest { partition, assignment } = answer.request;
            let wanted = self.assigned.contains(&partition) && !self.live.contains(&partition);
            if !wanted || assignment != self.assignments || self.producer != Producer::Ready {
                continue;
            }
            match answer.durable {
                Ok(durable) => self.open(partition, durable)?,
                Err(PortError::Retriable(reason)) => {
                    self.observer.note("restore retried", &reason);
                    self.restores.ask(answer.request)?;
                }
                Err(fatal) => return Err(fatal.into()),
            }
        }
        Ok(())
    }

    fn open(&mut self, partition: i32, durable: Durable) -> Result<(), WorkerError> {
        let facts = Facts {
            committed: durable.committed,
            log_start: durable.log_start,
            log_end: durable.log_end,
            restart_offsets: durable.streams.iter().map(|(_, state)| state.restart_offset).collect(),
        };
        let resume = assignment::resume(&facts, self.limits.on_lost_restart)
            .map_err(|error| WorkerError::Resume { partition, error })?;
        let (Resume::From { from, live_from } | Resume::FromWithLosses { from, live_from }) = resume;
        if let Resume::FromWithLosses { .. } = resume {
            self.observer.note("cold restart", &format!("partition {partition} from offset {from}"));
        }
        let streams = durable.streams;
        self.tell(self.thread_of(partition), Command::Open { partition, live_from, streams })?;
        self.source.start(&[(partition, from)])?;
        if self.pressure.paused() {
            self.source.pause(&[partition])?;
        }
        self.live.insert(partition);
        self.filling.dirty = true;
        self.observer.restored(partition, live_from - from);
        self.publish_assignment();
        Ok(())
    }

    fn hear_compute(&mut self) -> Result<(), WorkerError> {
        while let Ok(reply) = self.compute.replies.try_recv() {
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

    fn cut_if_due(&mut self) -> Result<(), WorkerError> {
        let facts = EpochFacts {
            age: self.clock.now().saturating_sub(self.filling.since),
            input_bytes: self.filling.input_bytes,
            dirty: self.filling.dirty,
            in_flight: self.commit.is_some(),
        };
        if epoch::is_due(&facts, &self.limits.epoch) { self.cut() } else { Ok(()) }
    }

    fn cut(&mut self) -> Result<(), WorkerError> {
        self.next_epoch += 1;
        let number = self.next_epoch;
        self.commit =
            Some(InFlight::Freezing { number, missing: self.compute.commands.len(), parts: Vec::new() });
        self.filling = Filling {
            since: self.clock.now(),
            input_bytes: 0,
            // What compute threads still hold belongs to the next epoch.
            dirty: self.pressure.in_flight_bytes() > 0,
        };
        self.broadcast(|| Command::Freeze { epoch: number })
    }

    fn submit_if_frozen(&mut self) -> Result<(), WorkerError> {
        let Some(InFlight::Freezing { missing: 0, parts, .. }) = &mut self.commit else { return Ok(()) };
        let parts = std::mem::take(parts);
        let mut epoch = Epoch::default();
        for (partition, part) in parts.into_iter().filter(|(partition, _)| self.live.contains(partition)) {
            epoch.records.extend(part.records);
            epoch.offsets.extend(part.position.map(|position| (partition, position)));
        }
        if epoch.records.is_empty() && epoch.offsets.is_empty() {
            self.commit = None;
            return Ok(());
        }
        self.submit(epoch, false)
    }

    fn submit(&mut self, epoch: Epoch, retried: bool) -> Result<(), WorkerError> {
        // The generation moves without notice: asked for as late as possible.
        let membership = self.source.membership()?;
        self.commit = Some(InFlight::Committing { since: self.clock.now(), retried });
        let deadline = self.limits.deadline;
        Ok(self.transactions.ask(TransactionRequest::Commit { epoch, membership, deadline })?)
    }

    fn hear_transactions(&mut self) -> Result<(), WorkerError> {
        while let Some(answer) = self.transactions.try_answer()? {
            self.take_answer(answer)?;
        }
        Ok(())
    }

    fn take_answer(&mut self, answer: TransactionAnswer) -> Result<(), WorkerError> {
        match answer {
            TransactionAnswer::Initialised(Ok(())) => {
                self.producer = Producer::Ready;
                self.restore()
            }
            TransactionAnswer::Initialised(Err(PortError::Retriable(reason))) => {
                self.observer.note("producer not ready", &reason);
                self.producer = Producer::Broken { retry_at: self.clock.now() + REINIT };
                Ok(())
            }
            TransactionAnswer::Initialised(Err(fatal)) => Err(fatal.into()),
            TransactionAnswer::Done { outcome, epoch } => self.take_outcome(outcome, epoch),
        }
    }

    fn take_outcome(&mut self, outcome: Outcome, epoch: Epoch) -> Result<(), WorkerError> {
        let Some(InFlight::Committing { since, retried }) = self.commit.take() else { return Ok(()) };
        let took = self.clock.now().saturating_sub(since);
        self.observer.committed(&outcome, took, &epoch.offsets);
        match outcome {
            Outcome::Committed => {
                self.source.committed(&epoch.offsets);
                Ok(())
            }
            Outcome::Aborted { reason } if !retried => {
                self.observer.note("transaction retried", &reason);
                self.submit(epoch, true)
            }
            Outcome::Aborted { reason } => {
                self.observer.note("transaction given up", &reason);
                self.start_over()
            }
            Outcome::Broken { reason, fenced } => self.rebuild(reason, fenced),
        }
    }

    /// Plans a new producer. After being fenced it waits a while: if another process took over, the consumer is
    /// fenced too, and learns it by polling meanwhile.
    fn rebuild(&mut self, reason: String, fenced: bool) -> Result<(), WorkerError> {
        let now = self.clock.now();
        if fenced && self.fenced_at.is_some_and(|at| now.saturating_sub(at) < FENCED_TWICE) {
            return Err(WorkerError::Fenced { reason });
        }
        self.observer.note("producer rebuilt", &reason);
        if fenced {
            self.fenced_at = Some(now);
        }
        let patience = if fenced { FENCED_PATIENCE } else { Duration::ZERO };
        self.producer = Producer::Broken { retry_at: now + patience };
        self.start_over()
    }

    fn init_if_due(&mut self) -> Result<(), WorkerError> {
        match self.producer {
            Producer::Broken { retry_at } if self.clock.now() >= retry_at => {
                self.producer = Producer::Initialising;
                Ok(self.transactions.ask(TransactionRequest::Init)?)
            }
            Producer::Broken { .. } | Producer::Initialising | Producer::Ready => Ok(()),
        }
    }

    /// Throws away everything that is not committed, and reads it again.
    fn start_over(&mut self) -> Result<(), WorkerError> {
        self.commit = None;
        let partitions: Vec<i32> = std::mem::take(&mut self.live).into_iter().collect();
        self.broadcast(|| Command::Close(partitions.clone()))?;
        self.pressure.clear();
        self.filling.dirty = false;
        self.source.stop(&partitions)?;
        self.restore()?;
        self.publish_assignment();
        Ok(())
    }

    /// Commits what is there, within the deadline: for a revoke and for the drain. A commit that fails here leaves
    /// nothing behind: the next owner reads it again.
    fn commit_now(&mut self) -> Result<(), WorkerError> {
        let until = self.clock.now() + self.limits.deadline;
        self.wait_for_commit(until)?;
        if self.live.is_empty() || self.clock.now() >= until {
            return Ok(());
        }
        self.cut()?;
        self.wait_for_commit(until)
    }

    fn wait_for_commit(&mut self, until: Duration) -> Result<(), WorkerError> {
        while self.commit.is_some() && self.clock.now() < until {
            let freezing = matches!(self.commit, Some(InFlight::Freezing { .. }));
            if freezing {
                match self.compute.replies.recv_timeout(POLL) {
                    Ok(reply) => self.take_reply(reply)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Err(StationGone.into()),
                }
            } else if let Some(answer) = self.transactions.answer_within(POLL) {
                self.take_answer(answer)?;
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
        self.observer.in_flight(self.pressure.in_flight_bytes());
        let live: Vec<i32> = self.live.iter().copied().collect();
        match self.pressure.decide() {
            Flow::Keep => Ok(()),
            Flow::Pause => Ok(self.source.pause(&live)?),
            Flow::Resume => Ok(self.source.resume(&live)?),
        }
    }

    fn publish_assignment(&self) {
        self.observer.assignment(self.assigned.len(), self.live.len());
    }

    fn thread_of(&self, partition: i32) -> usize {
        partition.unsigned_abs() as usize % self.compute.commands.len()
    }

    fn tell(&self, thread: usize, command: Command) -> Result<(), WorkerError> {
        self.compute.commands[thread].send(command).map_err(|_| StationGone.into())
    }

    fn broadcast(&self, command: impl Fn() -> Command) -> Result<(), WorkerError> {
        (0..self.compute.commands.len()).try_for_each(|thread| self.tell(thread, command()))
    }
}
