//! Workers, a cluster, and the schedule that moves them.

use crate::audit::Audit;
use crate::chance::Chance;
use crate::input::{DLQ, GROUP, Scenario, blueprint, segment};
use crate::stations::{Committing, Computing, Fault, Protocol, Restoring, SimulatedCrew};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use treble_pipeline::flow::assignment::OnLostRestart;
use treble_pipeline::flow::epoch::EpochLimits;
use treble_pipeline::kafka::headers::TraceContext;
use treble_pipeline::memory::{
    ManualClock, MemoryCluster, MemoryMembership, MemorySchemas, MemorySource, MemoryStateLog,
    MemoryTransactions,
};
use treble_pipeline::ports::{Epoch, OutRecord, Outcome, PortError, Source, SourceEvent};
use treble_pipeline::runtime::compute::ComputeSetup;
use treble_pipeline::runtime::lineage::Lineage;
use treble_pipeline::runtime::partition::PartitionLimits;
use treble_pipeline::runtime::records::RecordWriter;
use treble_pipeline::runtime::worker::{Worker, WorkerError, WorkerLimits, WorkerObserver};
use treble_test_support::observer::Silent;

const WORKERS: usize = 3;
const THREADS: usize = 2;
/// Steps of the schedule before everything recovers.
const STEPS: usize = 1_500;
/// Rounds within which everything must have recovered.
const ROUNDS: usize = 5_000;
/// Rounds after everything is settled.
const AFTERMATH: usize = 40;
const HOUR: Duration = Duration::from_secs(3_600);

/// A source that stops after so many records, as if no more had been fetched.
#[derive(Debug)]
struct Metered {
    inner: MemorySource,
    budget: Rc<Cell<usize>>,
    member: Rc<Cell<u64>>,
}

impl Source for Metered {
    type Membership = MemoryMembership;

    fn poll(&mut self, timeout: Duration) -> Result<Option<SourceEvent>, PortError> {
        let left = self.budget.get();
        self.budget.set(left.saturating_sub(1));
        let event = if left == 0 { Ok(None) } else { self.inner.poll(timeout) };
        self.member.set(self.inner.member());
        event
    }

    fn start(&mut self, positions: &[(i32, i64)]) -> Result<(), PortError> {
        self.inner.start(positions)
    }

    fn release(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.inner.release(partitions)
    }

    fn stop(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.inner.stop(partitions)
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.inner.pause(partitions)
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.inner.resume(partitions)
    }

    fn membership(&self) -> Result<MemoryMembership, PortError> {
        self.inner.membership()
    }

    fn committed(&mut self, offsets: &[(i32, i64)]) {
        self.inner.committed(offsets);
    }
}

/// Hears which streams left with a commit.
#[derive(Debug, Clone, Default)]
struct Told(Rc<RefCell<Vec<TraceContext>>>);

impl WorkerObserver for Told {
    fn polled(&self, _: usize, _: u64) {}
    fn submitted(&self) {}
    fn committed(&self, outcome: &Outcome, _: Duration, epoch: &Epoch) {
        if *outcome == Outcome::Committed {
            self.0.borrow_mut().extend(epoch.told.passages.iter().map(|passage| passage.context));
        }
    }
    fn restored(&self, _: i32, _: i64) {}
    fn assignment(&self, _: &BTreeSet<i32>, _: &BTreeMap<i32, u64>) {}
    fn turned(&self, _: u64, _: bool) {}
    fn note(&self, _: &'static str, _: &str) {}
}

struct Running {
    worker: Worker<Metered, Told, SimulatedCrew>,
    crew: SimulatedCrew,
    budget: Rc<Cell<usize>>,
    member: Rc<Cell<u64>>,
    asleep: usize,
}

/// See the module.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) cluster: MemoryCluster,
    protocol: Protocol,
    chance: Chance,
    clock: ManualClock,
    workers: Vec<Option<Running>>,
    unpublished: VecDeque<OutRecord>,
    /// Members whose worker is gone and whose session has not ended yet.
    ghosts: Vec<u64>,
    audit: Audit,
    told: Told,
    history: Vec<String>,
}

impl World {
    pub(crate) fn new(scenario: &Scenario, seed: u64, protocol: Protocol) -> Self {
        Self {
            scenario: scenario.clone(),
            cluster: MemoryCluster::new(scenario.partitions),
            protocol,
            chance: Chance::new(seed ^ 0x5EED),
            clock: ManualClock::default(),
            workers: (0..WORKERS).map(|_| None).collect(),
            unpublished: scenario.records.iter().cloned().collect(),
            ghosts: Vec::new(),
            audit: Audit::default(),
            told: Told::default(),
            history: Vec::new(),
        }
    }

    /// One worker, and nothing happens to it.
    pub(crate) fn undisturbed(scenario: &Scenario) -> Result<Self, String> {
        let mut world = Self::new(scenario, 0, Protocol::Sound);
        world.start(0);
        world.publish_all();
        world.run_until_settled(&[0])?;
        Ok(world)
    }

    /// The schedule of `seed`, and then recovery.
    pub(crate) fn disturbed(scenario: &Scenario, seed: u64, protocol: Protocol) -> Result<Self, String> {
        let mut world = Self::new(scenario, seed, protocol);
        world.start(0);
        for _ in 0..STEPS {
            world.step()?;
        }
        world.publish_all();
        world.run_until_settled(&[0, 1, 2])?;
        Ok(world)
    }

    /// The spans of streams that left, as they were told of.
    pub(crate) fn told(&self) -> Vec<TraceContext> {
        self.told.0.borrow().clone()
    }

    /// What happened, for comparison.
    pub(crate) fn history(self) -> Vec<String> {
        self.history
    }

    fn note(&mut self, what: impl Into<String>) {
        self.history.push(what.into());
    }

    pub(crate) fn start(&mut self, index: usize) {
        let segment = segment(self.scenario.material);
        let setup = || ComputeSetup {
            blueprint: blueprint(self.scenario.material),
            writer: RecordWriter::new(segment.clone(), DLQ.to_owned(), 1, 2, Arc::new(self.clock.clone()))
                .with_lineage(Lineage::new(&segment.input_topic, 1.0)),
            limits: PartitionLimits {
                max_epoch_bytes: 4096,
                max_windows: 8,
                gap_timeout: HOUR,
                idle_timeout: HOUR,
            },
            schemas: MemorySchemas,
            observer: Silent,
            clock: Arc::new(self.clock.clone()),
        };
        let setups = (0..THREADS).map(|_| setup()).collect();
        let producer = MemoryTransactions::new(self.cluster.clone(), &format!("{GROUP}.{index}"), GROUP);
        let log =
            MemoryStateLog::new(self.cluster.clone(), GROUP, &segment.input_topic, &segment.state_topic);
        let clock = self.clock.clone();
        let crew = SimulatedCrew {
            transactions: Rc::new(Committing::new(
                producer,
                self.protocol,
                segment.state_topic,
                clock.clone(),
            )),
            restores: Rc::new(Restoring::new(log, self.protocol)),
            compute: Rc::new(Computing::new(setups, clock)),
        };
        let inner = MemorySource::join(self.cluster.clone(), &segment.input_topic, GROUP);
        let member = Rc::new(Cell::new(inner.member()));
        let budget = Rc::new(Cell::new(0));
        let source = Metered { inner, budget: Rc::clone(&budget), member: Rc::clone(&member) };
        let limits = WorkerLimits {
            epoch: EpochLimits { interval: Duration::from_millis(100), max_bytes: 2_048 },
            deadline: Duration::from_millis(40),
            high_water_bytes: 4_096,
            low_water_bytes: 1_024,
            on_lost_restart: OnLostRestart::Fail,
        };
        let worker =
            Worker::new(source, crew.clone(), Arc::new(self.clock.clone()), limits, self.told.clone());
        self.workers[index] = Some(Running { worker, crew, budget, member, asleep: 0 });
    }

    pub(crate) fn publish_all(&mut self) {
        self.unpublished.drain(..).for_each(|record| self.cluster.append(record));
    }

    /// One step of the schedule.
    fn step(&mut self) -> Result<(), String> {
        let index = self.chance.below(WORKERS);
        match self.chance.below(1_000) {
            0..300 => self.turn(index)?,
            300..550 => self.compute(index),
            550..700 => self.crew(index, |crew| crew.transactions.step()),
            700..800 => self.crew(index, |crew| crew.restores.step()),
            800..900 => self.clock.advance(Duration::from_millis(5 + self.chance.next() % 60)),
            900..960 => {
                if let Some(record) = self.unpublished.pop_front() {
                    self.cluster.append(record);
                }
            }
            _ => self.disturb(index),
        }
        self.audit.look(&self.cluster, &self.scenario)
    }

    fn disturb(&mut self, index: usize) {
        match self.chance.below(11) {
            0 => self.crash(index),
            1 => self.sleep(index),
            2 => self.stop(index),
            3 => self.end_a_ghost(),
            4 => self.time_a_transaction_out(index),
            5 => self.inject(index, Fault::Abort),
            6 => self.inject(index, Fault::CommittedUnheard),
            7 => self.inject(index, Fault::OpenUnheard),
            8 | 9 if self.workers[index].is_none() => {
                self.note(format!("start {index}"));
                self.start(index);
            }
            _ => self.sleep_over_an_epoch(index),
        }
    }

    fn turn(&mut self, index: usize) -> Result<(), String> {
        let budget = 1 + self.chance.below(6);
        let Some(running) = &mut self.workers[index] else { return Ok(()) };
        if running.asleep > 0 {
            running.asleep -= 1;
            return Ok(());
        }
        running.budget.set(budget);
        match running.worker.turn() {
            Ok(()) => Ok(()),
            Err(WorkerError::Fenced { .. }) => {
                self.crash(index);
                Ok(())
            }
            Err(error) => Err(format!("worker {index}: {error}")),
        }
    }

    fn compute(&mut self, index: usize) {
        let thread = self.chance.below(THREADS);
        self.crew(index, |crew| crew.compute.step(thread));
    }

    /// Moves one of a worker's stations, unless the whole process stands still.
    fn crew(&self, index: usize, step: impl FnOnce(&SimulatedCrew)) {
        if let Some(running) = self.workers[index].as_ref().filter(|running| running.asleep == 0) {
            step(&running.crew);
        }
    }

    /// SIGKILL: whatever was in hand is gone, an open transaction stays open, the session goes on for a while.
    fn crash(&mut self, index: usize) {
        if let Some(running) = self.workers[index].take() {
            self.note(format!("crash {index}"));
            self.ghosts.push(running.member.get());
        }
    }

    /// The process stands still while its session ends, and then goes on with what it had in hand: a zombie.
    fn sleep(&mut self, index: usize) {
        let turns = 5 + self.chance.below(30);
        if let Some(running) = &mut self.workers[index] {
            running.asleep = turns;
            self.end_session(index);
        }
    }

    /// The worst moment: an epoch is submitted, and its transaction has not begun.
    fn sleep_over_an_epoch(&mut self, index: usize) {
        let holds = |running: &Running| running.asleep == 0 && running.crew.transactions.holds_an_epoch();
        if self.workers[index].as_ref().is_some_and(holds) {
            self.sleep(index);
        }
    }

    pub(crate) fn end_session(&mut self, index: usize) {
        if let Some(running) = &self.workers[index] {
            self.cluster.remove_member(GROUP, running.member.get());
            self.note(format!("session of {index} ends"));
        }
    }

    /// SIGTERM: drain, commit, leave.
    fn stop(&mut self, index: usize) {
        if let Some(mut running) = self.workers[index].take() {
            self.note(format!("stop {index}"));
            running.budget.set(0);
            // A fault while draining leaves nothing behind that a successor would not read again.
            drop(running.worker.run(&|| true));
            self.cluster.remove_member(GROUP, running.member.get());
        }
    }

    fn end_a_ghost(&mut self) {
        if let Some(member) = self.ghosts.pop() {
            self.cluster.remove_member(GROUP, member);
        }
    }

    /// The coordinator aborts what was open for too long, and fences the instance that opened it.
    fn time_a_transaction_out(&mut self, index: usize) {
        let epoch = self.cluster.init_producer(&format!("{GROUP}.{index}"));
        self.note(format!("transaction of {index} times out: epoch {epoch}"));
    }

    fn inject(&mut self, index: usize, fault: Fault) {
        self.note(format!("{fault:?} at {index}"));
        self.crew(index, |crew| crew.transactions.inject(fault));
    }

    pub(crate) fn run_until_commit_is_asked(&mut self, index: usize) {
        for _ in 0..ROUNDS {
            self.turn(index).expect("nothing disturbs it");
            let asked = self.workers[index]
                .as_ref()
                .is_some_and(|running| running.crew.transactions.holds_an_epoch());
            if asked {
                return;
            }
            (0..THREADS).for_each(|thread| self.crew(index, |crew| crew.compute.step(thread)));
            self.crew(index, |crew| {
                crew.transactions.step();
                crew.restores.step();
                crew.restores.step();
            });
            self.clock.advance(Duration::from_millis(20));
        }
        panic!("no epoch was submitted");
    }

    fn member_of(&self, index: usize) -> Option<u64> {
        self.workers[index].as_ref().map(|running| running.member.get())
    }

    /// Lets the worker alone turn until it has joined the group again.
    pub(crate) fn turn_until_member(&mut self, index: usize) {
        let before = self.member_of(index);
        for _ in 0..100 {
            self.turn(index).expect("nothing disturbs it");
            if self.member_of(index) != before {
                return;
            }
        }
        panic!("the worker did not join again");
    }

    /// Everything recovers: `indices` run, sessions of the dead end, and all input is processed. What was still on
    /// its way then gets time to do damage.
    pub(crate) fn run_until_settled(&mut self, indices: &[usize]) -> Result<(), String> {
        for _ in 0..ROUNDS {
            self.round(indices)?;
            if self.is_settled() {
                self.rounds(indices, AFTERMATH)?;
                return if self.is_settled() { Ok(()) } else { Err("a position moved back".to_owned()) };
            }
        }
        Err(format!("not settled after {ROUNDS} rounds"))
    }

    fn rounds(&mut self, indices: &[usize], count: usize) -> Result<(), String> {
        (0..count).try_for_each(|_| self.round(indices))
    }

    fn round(&mut self, indices: &[usize]) -> Result<(), String> {
        self.end_a_ghost();
        for index in indices {
            if self.workers[*index].is_none() {
                self.time_a_transaction_out(*index);
                self.start(*index);
            }
            self.turn(*index)?;
            (0..THREADS).for_each(|thread| self.crew(*index, |crew| crew.compute.step(thread)));
            self.crew(*index, |crew| {
                crew.transactions.step();
                crew.restores.step();
            });
        }
        self.clock.advance(Duration::from_millis(20));
        self.audit.look(&self.cluster, &self.scenario)
    }

    fn is_settled(&self) -> bool {
        let topic = segment(self.scenario.material).input_topic;
        (0..self.scenario.partitions).all(|partition| {
            let (end, _) = self.cluster.ends(&topic, partition);
            end == 0 || self.cluster.stable_position(GROUP, partition) == Ok(Some(end))
        })
    }
}
