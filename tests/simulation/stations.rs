//! The stations of a worker without threads: each moves by one step when the schedule says so.

use crate::input::DLQ;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;
use treble_pipeline::memory::{
    ManualClock, MemoryMembership, MemorySchemas, MemoryStateLog, MemoryTransactions, Refused,
};
use treble_pipeline::ports::{Epoch, OutRecord, Outcome, Transactions};
use treble_pipeline::runtime::compute::{Command, Compute, ComputeSetup, Reply};
use treble_pipeline::runtime::stations::{
    Crew, RestoreAnswer, RestoreRequest, Station, StationGone, TransactionAnswer, TransactionRequest,
};
use treble_schemas::{StreamId, StreamState};
use treble_test_support::observer::Silent;

/// The protocol, whole or broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Sound,
    /// State records are left out of the transaction.
    WithoutStates,
    /// A finished stream's state record is not removed.
    WithoutTombstones,
    /// Positions are sent without the member's generation.
    WithoutMembership,
    /// Positions are committed before what was made of the input.
    PositionsFirst,
    /// Dead letters are committed before the rest.
    LettersFirst,
    /// A successor reads on from the committed position, not from where the stages must start.
    RestartAtPosition,
    /// A successor gives out again what its stages repeat.
    ReplayGivenOut,
}

impl Protocol {
    /// Those that any schedule may meet; the zombie of [`Self::WithoutMembership`] needs one of its own.
    pub(crate) const BROKEN: [Self; 6] = [
        Self::WithoutStates,
        Self::WithoutTombstones,
        Self::PositionsFirst,
        Self::LettersFirst,
        Self::RestartAtPosition,
        Self::ReplayGivenOut,
    ];
}

/// What happens to the transaction in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is aborted.
    Abort,
    /// It is committed, but the answer is lost.
    CommittedUnheard,
    /// It stays open, and the answer is lost.
    OpenUnheard,
}

struct Thread {
    inner: Compute<MemorySchemas, Silent>,
    commands: VecDeque<Command>,
}

/// Compute threads.
pub(crate) struct Computing {
    threads: RefCell<Vec<Thread>>,
    reply: SyncSender<Reply>,
    replies: Receiver<Reply>,
    clock: ManualClock,
}

impl Computing {
    pub(crate) fn new(setups: Vec<ComputeSetup<MemorySchemas, Silent>>, clock: ManualClock) -> Self {
        let (reply, replies) = sync_channel(4096);
        let thread = |setup| Thread { inner: Compute::new(setup, reply.clone()), commands: VecDeque::new() };
        let threads = RefCell::new(setups.into_iter().map(thread).collect());
        Self { threads, reply: reply.clone(), replies, clock }
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads.borrow().len()
    }

    pub(crate) fn step(&self, thread: usize) {
        let thread = &mut self.threads.borrow_mut()[thread];
        let command = thread.commands.pop_front();
        if let Err(halt) = thread.inner.turn(command) {
            self.reply.send(Reply::Halted(halt)).expect("this station holds the receiver");
        }
    }
}

impl Station<(usize, Command), Reply> for Computing {
    fn ask(&self, (thread, command): (usize, Command)) -> Result<(), StationGone> {
        self.threads.borrow_mut()[thread].commands.push_back(command);
        Ok(())
    }

    fn try_answer(&self) -> Result<Option<Reply>, StationGone> {
        Ok(self.replies.try_recv().ok())
    }

    fn answer_within(&self, patience: Duration) -> Result<Option<Reply>, StationGone> {
        self.clock.advance(patience);
        (0..self.threads()).for_each(|thread| self.step(thread));
        self.try_answer()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    /// A broken protocol has committed a part.
    Ahead,
    Written,
    Positioned,
}

/// The thread that commits: begin and write, positions, end, each a step.
pub(crate) struct Committing {
    port: RefCell<MemoryTransactions>,
    protocol: Protocol,
    state_topic: String,
    requests: RefCell<VecDeque<TransactionRequest<MemoryMembership>>>,
    answers: RefCell<VecDeque<TransactionAnswer>>,
    phase: Cell<Phase>,
    fault: Cell<Option<Fault>>,
    clock: ManualClock,
}

impl Committing {
    pub(crate) fn new(
        port: MemoryTransactions,
        protocol: Protocol,
        state_topic: String,
        clock: ManualClock,
    ) -> Self {
        Self {
            port: RefCell::new(port),
            protocol,
            state_topic,
            requests: RefCell::default(),
            answers: RefCell::default(),
            phase: Cell::new(Phase::Waiting),
            fault: Cell::new(None),
            clock,
        }
    }

    pub(crate) fn inject(&self, fault: Fault) {
        self.fault.set(Some(fault));
    }

    /// Whether an epoch was submitted whose transaction has not begun.
    pub(crate) fn holds_an_epoch(&self) -> bool {
        self.phase.get() == Phase::Waiting
            && matches!(self.requests.borrow().front(), Some(TransactionRequest::Commit { .. }))
    }

    pub(crate) fn step(&self) {
        let Some(request) = self.requests.borrow_mut().pop_front() else { return };
        match request {
            TransactionRequest::Init => {
                let answer = TransactionAnswer::Initialised(self.port.borrow_mut().init());
                self.answers.borrow_mut().push_back(answer);
            }
            TransactionRequest::Commit { epoch, membership, deadline } => {
                match self.advance(&epoch, membership) {
                    None => {
                        let again = TransactionRequest::Commit { epoch, membership, deadline };
                        self.requests.borrow_mut().push_front(again);
                    }
                    Some(outcome) => {
                        self.phase.set(Phase::Waiting);
                        self.answers.borrow_mut().push_back(TransactionAnswer::Done { outcome, epoch });
                    }
                }
            }
        }
    }

    /// One step; the outcome, where it was the last.
    fn advance(&self, epoch: &Epoch, membership: MemoryMembership) -> Option<Outcome> {
        let mut port = self.port.borrow_mut();
        let step = match self.phase.get() {
            Phase::Waiting if self.goes_ahead() => {
                self.go_ahead(&port, epoch, membership).map(|()| Some(Phase::Ahead))
            }
            Phase::Waiting | Phase::Ahead => port.write(&self.kept(epoch)).map(|()| Some(Phase::Written)),
            Phase::Written if self.protocol == Protocol::PositionsFirst => Ok(Some(Phase::Positioned)),
            Phase::Written => {
                port.send_offsets(&epoch.offsets, self.shown(membership)).map(|()| Some(Phase::Positioned))
            }
            Phase::Positioned => match self.fault.take() {
                Some(Fault::Abort) => Err(Refused::IllegalGeneration),
                Some(Fault::OpenUnheard) => return Some(unheard()),
                Some(Fault::CommittedUnheard) => {
                    return Some(port.end(true).map_or_else(|fault| port.refused(fault), |()| unheard()));
                }
                None => port.end(true).map(|()| None),
            },
        };
        match step {
            Ok(Some(phase)) => {
                self.phase.set(phase);
                None
            }
            Ok(None) => Some(Outcome::Committed),
            Err(refusal) => Some(port.refused(refusal)),
        }
    }

    fn goes_ahead(&self) -> bool {
        matches!(self.protocol, Protocol::PositionsFirst | Protocol::LettersFirst)
    }

    /// A part of the epoch in a transaction of its own.
    fn go_ahead(
        &self,
        port: &MemoryTransactions,
        epoch: &Epoch,
        membership: MemoryMembership,
    ) -> Result<(), Refused> {
        if self.protocol == Protocol::PositionsFirst {
            port.write(&[])?;
            port.send_offsets(&epoch.offsets, membership)?;
        } else {
            let letters = epoch.records.iter().filter(|record| record.topic == DLQ);
            port.write(&letters.cloned().collect::<Vec<_>>())?;
        }
        port.end(true)
    }

    fn kept(&self, epoch: &Epoch) -> Vec<OutRecord> {
        let left_out = |record: &OutRecord| match self.protocol {
            Protocol::WithoutStates => record.topic == self.state_topic,
            Protocol::WithoutTombstones => record.topic == self.state_topic && record.value.is_none(),
            Protocol::LettersFirst => record.topic == DLQ,
            _ => false,
        };
        epoch.records.iter().filter(|record| !left_out(record)).cloned().collect()
    }

    fn shown(&self, membership: MemoryMembership) -> MemoryMembership {
        if self.protocol == Protocol::WithoutMembership { MemoryMembership::ANYBODY } else { membership }
    }
}

fn unheard() -> Outcome {
    Outcome::Broken { reason: "the outcome is unknown".to_owned(), fenced: false }
}

impl Station<TransactionRequest<MemoryMembership>, TransactionAnswer> for Committing {
    fn ask(&self, request: TransactionRequest<MemoryMembership>) -> Result<(), StationGone> {
        self.requests.borrow_mut().push_back(request);
        Ok(())
    }

    fn try_answer(&self) -> Result<Option<TransactionAnswer>, StationGone> {
        Ok(self.answers.borrow_mut().pop_front())
    }

    fn answer_within(&self, patience: Duration) -> Result<Option<TransactionAnswer>, StationGone> {
        self.clock.advance(patience);
        self.step();
        self.try_answer()
    }
}

type States = Vec<(StreamId, StreamState)>;

/// The thread that reads what is durable: the position, then the states.
pub(crate) struct Restoring {
    log: MemoryStateLog,
    protocol: Protocol,
    requests: RefCell<VecDeque<RestoreRequest>>,
    half: RefCell<Option<(RestoreRequest, Option<i64>)>>,
    answers: RefCell<VecDeque<RestoreAnswer>>,
}

impl Restoring {
    pub(crate) fn new(log: MemoryStateLog, protocol: Protocol) -> Self {
        let requests = RefCell::default();
        Self { log, protocol, requests, half: RefCell::default(), answers: RefCell::default() }
    }

    pub(crate) fn step(&self) {
        let half = self.half.borrow_mut().take();
        if let Some((request, committed)) = half {
            let states = self.log.streams(request.partition);
            let durable = states.map(|states| {
                self.log.durable(request.partition, committed, self.misread(states, committed))
            });
            self.answers.borrow_mut().push_back(RestoreAnswer { request, durable });
        } else if let Some(request) = self.requests.borrow_mut().pop_front() {
            match self.log.position(request.partition) {
                Ok(committed) => *self.half.borrow_mut() = Some((request, committed)),
                Err(fault) => {
                    self.answers.borrow_mut().push_back(RestoreAnswer { request, durable: Err(fault) })
                }
            }
        }
    }

    fn misread(&self, mut states: States, committed: Option<i64>) -> States {
        for (_, state) in &mut states {
            match self.protocol {
                Protocol::RestartAtPosition => {
                    state.restart_offset = committed.unwrap_or(0);
                    state.restart_in_seq = state.next_in_seq;
                }
                Protocol::ReplayGivenOut => {
                    let repeated = state.operators.last().map(|operator| operator.restart_output);
                    state.next_out_seq = repeated.unwrap_or(0);
                }
                _ => {}
            }
        }
        states
    }
}

impl Station<RestoreRequest, RestoreAnswer> for Restoring {
    fn ask(&self, request: RestoreRequest) -> Result<(), StationGone> {
        self.requests.borrow_mut().push_back(request);
        Ok(())
    }

    fn try_answer(&self) -> Result<Option<RestoreAnswer>, StationGone> {
        Ok(self.answers.borrow_mut().pop_front())
    }

    fn answer_within(&self, _: Duration) -> Result<Option<RestoreAnswer>, StationGone> {
        self.step();
        self.try_answer()
    }
}

/// All stations of one worker; the schedule holds a clone.
#[derive(Clone)]
pub(crate) struct SimulatedCrew {
    pub(crate) transactions: Rc<Committing>,
    pub(crate) restores: Rc<Restoring>,
    pub(crate) compute: Rc<Computing>,
}

impl Crew<MemoryMembership> for SimulatedCrew {
    fn transactions(&self) -> &dyn Station<TransactionRequest<MemoryMembership>, TransactionAnswer> {
        &*self.transactions
    }

    fn restores(&self) -> &dyn Station<RestoreRequest, RestoreAnswer> {
        &*self.restores
    }

    fn compute(&self) -> &dyn Station<(usize, Command), Reply> {
        &*self.compute
    }

    fn compute_threads(&self) -> usize {
        self.compute.threads()
    }
}
