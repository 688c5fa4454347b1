//! Epochs: when one is cut, how it becomes a transaction, and what each outcome asks for.

use super::{Filling, InFlight, Producer, Retry, Worker, WorkerError, WorkerObserver};
use crate::flow::epoch::{self, EpochFacts};
use crate::ports::{Epoch, Outcome, PortError, Source};
use crate::runtime::compute::Command;
use crate::runtime::partition::EpochPart;
use crate::runtime::stations::{Crew, TransactionAnswer, TransactionRequest};
use std::time::Duration;

/// The longest wait for one answer, so that deadlines are looked at.
const POLL: Duration = Duration::from_millis(5);
/// After a fenced producer was rebuilt, being fenced again within this time means another process, not a
/// spurious answer (librdkafka #3928).
const FENCED_TWICE: Duration = Duration::from_secs(60);
/// How long a fenced worker polls before it takes its id back: more than the longest heartbeat interval, whose
/// answer tells a consumer that it was replaced.
const FENCED_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait after a failed initialisation.
const REINIT: Duration = Duration::from_secs(1);

impl<S: Source, O: WorkerObserver, C: Crew<S::Membership>> Worker<S, O, C> {
    pub(super) fn cut_if_due(&mut self) -> Result<(), WorkerError> {
        if epoch::is_due(&self.epoch_facts(), &self.limits.epoch) { self.cut() } else { Ok(()) }
    }

    pub(super) fn epoch_facts(&self) -> EpochFacts {
        let now = self.clock.now();
        EpochFacts {
            age: now.saturating_sub(self.filling.since),
            input_bytes: self.filling.input_bytes,
            dirty: self.filling.dirty,
            busy: self.pressure.in_flight_bytes() > 0,
            quiet: now.saturating_sub(self.filling.heard_at),
            in_flight: self.commit.is_some(),
        }
    }

    fn cut(&mut self) -> Result<(), WorkerError> {
        self.next_epoch += 1;
        let number = self.next_epoch;
        self.commit =
            Some(InFlight::Freezing { number, missing: self.crew.compute_threads(), parts: Vec::new() });
        self.filling = Filling {
            since: self.clock.now(),
            heard_at: self.filling.heard_at,
            input_bytes: 0,
            // What compute threads still hold belongs to the next epoch.
            dirty: self.pressure.in_flight_bytes() > 0,
        };
        self.broadcast(|| Command::Freeze { epoch: number })
    }

    pub(super) fn submit_if_frozen(&mut self) -> Result<(), WorkerError> {
        let Some(InFlight::Freezing { missing: 0, parts, .. }) = &mut self.commit else { return Ok(()) };
        let parts = std::mem::take(parts);
        let mut epoch = Epoch::default();
        // What was cut under an earlier tenure is void: its input has been read again since, here or elsewhere.
        let ours = |(partition, part): &(i32, EpochPart)| self.live.get(partition) == Some(&part.tenure);
        for (partition, part) in parts.into_iter().filter(ours) {
            epoch.records.extend(part.records);
            epoch.told.extend(part.told);
            epoch.offsets.extend(part.position.map(|position| (partition, position)));
        }
        if epoch.records.is_empty() && epoch.offsets.is_empty() {
            self.commit = None;
            return Ok(());
        }
        self.submit(epoch, Retry::Allowed)
    }

    fn submit(&mut self, epoch: Epoch, retry: Retry) -> Result<(), WorkerError> {
        // The generation moves without notice: asked for as late as possible.
        let membership = self.source.membership()?;
        self.commit = Some(InFlight::Committing { since: self.clock.now(), retry });
        let deadline = self.limits.deadline;
        self.observer.submitted();
        Ok(self.crew.transactions().ask(TransactionRequest::Commit { epoch, membership, deadline })?)
    }

    pub(super) fn hear_transactions(&mut self) -> Result<(), WorkerError> {
        while let Some(answer) = self.crew.transactions().try_answer()? {
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
        let Some(InFlight::Committing { since, retry }) = self.commit.take() else { return Ok(()) };
        let took = self.clock.now().saturating_sub(since);
        self.observer.committed(&outcome, took, &epoch);
        match outcome {
            Outcome::Committed => {
                self.source.committed(&epoch.offsets);
                Ok(())
            }
            Outcome::Aborted { reason } if retry == Retry::Allowed => {
                self.observer.note("transaction retried", &reason);
                self.submit(epoch, Retry::Void)
            }
            Outcome::Aborted { reason } => {
                self.observer.note("transaction given up", &reason);
                self.start_over()
            }
            Outcome::Broken { reason, fenced } => self.rebuild(reason, fenced),
        }
    }

    /// Plans a new producer. After being fenced it asks the coordinator first, and then waits a while: if another
    /// process took over, the consumer is fenced too, and learns it by polling meanwhile.
    fn rebuild(&mut self, reason: String, fenced: bool) -> Result<(), WorkerError> {
        let now = self.clock.now();
        if fenced && self.fenced_at.is_some_and(|at| now.saturating_sub(at) < FENCED_TWICE) {
            return Err(WorkerError::Fenced { reason });
        }
        self.observer.note("producer rebuilt", &reason);
        self.producer = Producer::Broken { retry_at: now };
        self.start_over()?;
        if fenced {
            self.fenced_at = Some(now);
            self.producer = Producer::Doubted;
            self.question_coordinator()?;
        }
        Ok(())
    }

    /// The coordinator has answered a fenced worker: it takes its id back after a while, unless the consumer learns
    /// meanwhile that it was replaced.
    pub(super) fn take_id_back_later(&mut self) {
        self.producer = Producer::Broken { retry_at: self.clock.now() + FENCED_PATIENCE };
    }

    pub(super) fn init_if_due(&mut self) -> Result<(), WorkerError> {
        match self.producer {
            Producer::Broken { retry_at } if self.clock.now() >= retry_at => {
                self.producer = Producer::Initialising;
                Ok(self.crew.transactions().ask(TransactionRequest::Init)?)
            }
            Producer::Broken { .. } | Producer::Initialising | Producer::Doubted | Producer::Ready => Ok(()),
        }
    }

    /// Commits what is there, within the deadline: for a revoke and for the drain. A commit that fails here leaves
    /// nothing behind: the next owner reads it again.
    pub(super) fn commit_now(&mut self) -> Result<(), WorkerError> {
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
                if let Some(reply) = self.crew.compute().answer_within(POLL)? {
                    self.take_reply(reply)?;
                }
            } else if let Some(answer) = self.crew.transactions().answer_within(POLL)? {
                self.take_answer(answer)?;
            }
        }
        Ok(())
    }
}
