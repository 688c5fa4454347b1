//! Compute threads: each owns the partitions whose number falls to it, drives their stages, and answers the
//! worker over a bounded channel.

use super::blueprint::Blueprint;
use super::partition::{EpochPart, Load, Notice, Partition, PartitionLimits, Tenure};
use super::records::RecordWriter;
use crate::error::PartitionHalt;
use crate::flow::retry::Backoff;
use crate::ports::{Clock, InRecord, Schemas};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Duration;
use treble_schemas::{StreamId, StreamState};

/// What the worker asks of a compute thread.
#[derive(Debug)]
pub enum Command {
    /// A partition is ours, with the streams that its state topic knows.
    Open {
        /// The partition.
        partition: i32,
        /// Which time that it is ours; stands on what the partition contributes to epochs.
        tenure: u64,
        /// The first offset whose effects are not committed.
        live_from: i64,
        /// The first offset that is read.
        from: i64,
        /// Its streams.
        streams: Vec<(StreamId, StreamState)>,
    },
    /// Records to process.
    Records {
        /// The records.
        records: Vec<InRecord>,
        /// When they were polled.
        polled_at: Duration,
    },
    /// The log of this partition holds no more than what was handed over.
    AtEnd(i32),
    /// Cut the epoch.
    Freeze {
        /// Its number, for the answer.
        epoch: u64,
    },
    /// Partitions are not ours any more: forget them.
    Close(Vec<i32>),
    /// Forget everything and end.
    Stop,
}

/// What a compute thread answers.
#[derive(Debug)]
pub enum Reply {
    /// Records of this size were taken out of the queue and processed.
    Processed {
        /// Their size.
        bytes: u64,
    },
    /// The epoch, cut.
    Frozen {
        /// Its number.
        epoch: u64,
        /// What each partition contributes.
        parts: Vec<(i32, EpochPart)>,
    },
    /// Something to commit appeared without a record: a timer went off, or work was left over.
    Dirty,
    /// The thread cannot go on.
    Halted(PartitionHalt),
}

/// Counts what partitions notice; attached by the runner.
pub trait Observer: Send {
    /// One notice of one partition.
    fn notice(&self, partition: i32, notice: Notice);
    /// What waits on this thread.
    fn load(&self, load: Load);
    /// The registry could not be asked.
    fn registry_unavailable(&self, reason: &str);
    /// It answers again.
    fn registry_answers(&self);
}

/// What a compute thread is made of. The blueprint becomes the thread's own on arrival.
#[derive(Debug)]
pub struct ComputeSetup<S, O> {
    /// The stages.
    pub blueprint: Blueprint,
    /// Turns chunks into records.
    pub writer: RecordWriter,
    /// What bounds a partition's work.
    pub limits: PartitionLimits,
    /// Looks schema ids up.
    pub schemas: S,
    /// Counts.
    pub observer: O,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Timers are looked at this often.
const TICK: Duration = Duration::from_millis(500);

/// Partitions and the loop around them; [`run`] is the loop of a thread.
#[derive(Debug)]
pub struct Compute<S, O> {
    blueprint: Rc<Blueprint>,
    writer: Rc<RecordWriter>,
    limits: PartitionLimits,
    schemas: S,
    observer: O,
    clock: Arc<dyn Clock>,
    partitions: BTreeMap<i32, Partition>,
    queued_bytes: u64,
    next_tick: Duration,
    outage: Option<(Backoff, Duration)>,
    /// Work was left over when the last slice ended: what becomes of it, no record announces.
    left_over: bool,
    replies: SyncSender<Reply>,
}

/// Runs until [`Command::Stop`], or until the worker is gone.
pub fn run<S: Schemas, O: Observer>(
    setup: ComputeSetup<S, O>,
    commands: &Receiver<Command>,
    replies: SyncSender<Reply>,
) {
    let mut compute = Compute::new(setup, replies);
    if let Err(halt) = compute.serve(commands) {
        // The worker may be gone already; then nobody is left to be told.
        drop(compute.replies.send(Reply::Halted(halt)));
    }
}

impl<S: Schemas, O: Observer> Compute<S, O> {
    /// No partitions yet; answers go to `replies`.
    #[must_use]
    pub fn new(setup: ComputeSetup<S, O>, replies: SyncSender<Reply>) -> Self {
        Self {
            blueprint: Rc::new(setup.blueprint),
            writer: Rc::new(setup.writer),
            limits: setup.limits,
            schemas: setup.schemas,
            observer: setup.observer,
            next_tick: setup.clock.now() + TICK,
            clock: setup.clock,
            partitions: BTreeMap::new(),
            queued_bytes: 0,
            outage: None,
            left_over: false,
            replies,
        }
    }

    fn serve(&mut self, commands: &Receiver<Command>) -> Result<(), PartitionHalt> {
        loop {
            let command = match commands.recv_timeout(self.patience()) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            // All that wait, before the next slice of work: the last of them may say that it is over.
            for command in command.into_iter().chain(commands.try_iter()) {
                if !self.obey(command)? {
                    return Ok(());
                }
            }
            self.turn(None)?;
        }
    }

    /// One turn: obeys a command, if there is one, works, and looks at the timers. `false` where it is over.
    pub fn turn(&mut self, command: Option<Command>) -> Result<bool, PartitionHalt> {
        if let Some(command) = command
            && !self.obey(command)?
        {
            return Ok(false);
        }
        self.work()?;
        self.tick()?;
        Ok(true)
    }

    /// How long to wait for a command: not at all while there is work.
    fn patience(&self) -> Duration {
        let now = self.clock.now();
        let until_tick = self.next_tick.saturating_sub(now);
        match &self.outage {
            Some((_, retry_at)) => until_tick.min(retry_at.saturating_sub(now)),
            None if self.partitions.values().any(Partition::has_work) => Duration::ZERO,
            None => until_tick,
        }
    }

    fn obey(&mut self, command: Command) -> Result<bool, PartitionHalt> {
        match command {
            Command::Open { partition, tenure, live_from, from, streams } => {
                let (blueprint, writer) = (Rc::clone(&self.blueprint), Rc::clone(&self.writer));
                let now = self.clock.now();
                let mut opened = Partition::new(
                    Tenure { partition, number: tenure, live_from, from },
                    blueprint,
                    writer,
                    self.limits,
                    streams,
                    now,
                );
                opened.give_up_lost()?;
                self.partitions.insert(partition, opened);
            }
            Command::Records { records, polled_at } => self.enqueue(records, polled_at),
            Command::AtEnd(partition) => {
                let now = self.clock.now();
                if let Some(partition) = self.partitions.get_mut(&partition) {
                    partition.reach_end(now);
                }
            }
            Command::Freeze { epoch } => return self.freeze(epoch),
            Command::Close(partitions) => {
                self.partitions.retain(|partition, _| !partitions.contains(partition));
            }
            Command::Stop => return Ok(false),
        }
        Ok(true)
    }

    fn enqueue(&mut self, records: Vec<InRecord>, polled_at: Duration) {
        for record in records {
            self.queued_bytes += record.size_bytes();
            // A record of a partition that was closed meanwhile is another owner's: it is read again there.
            if let Some(partition) = self.partitions.get_mut(&record.partition) {
                partition.receive(record, polled_at);
            }
        }
    }

    fn work(&mut self) -> Result<(), PartitionHalt> {
        let now = self.clock.now();
        if self.outage.as_ref().is_some_and(|(_, retry_at)| now < *retry_at) {
            return Ok(());
        }
        let mut failed = None;
        for partition in self.partitions.values_mut() {
            if let Err(reason) = partition.work(&self.schemas, now)? {
                failed = Some(reason.to_string());
            }
            if !partition.has_inbox() || partition.windows_are_full() {
                partition.settle()?;
            }
        }
        self.report_outage(failed, now);
        self.report();
        let left_over = !self.partitions.values().all(Partition::is_idle);
        if std::mem::replace(&mut self.left_over, left_over) {
            self.reply(Reply::Dirty);
        }
        Ok(())
    }

    fn report_outage(&mut self, failed: Option<String>, now: Duration) {
        let Some(reason) = failed else {
            if self.outage.take().is_some() {
                self.observer.registry_answers();
            }
            return;
        };
        self.observer.registry_unavailable(&reason);
        let fresh = || Backoff::new(Duration::from_millis(200), Duration::from_secs(10));
        let mut backoff = self.outage.take().map_or_else(fresh, |(backoff, _)| backoff);
        let retry_at = now + backoff.next_delay();
        self.outage = Some((backoff, retry_at));
    }

    fn report(&mut self) {
        for (id, partition) in &mut self.partitions {
            for notice in partition.take_notices() {
                self.observer.notice(*id, notice);
            }
        }
        self.observer.load(self.partitions.values().map(Partition::load).sum());
        let waiting: u64 = self.partitions.values().map(Partition::inbox_bytes).sum();
        if waiting < self.queued_bytes {
            let bytes = self.queued_bytes - waiting;
            self.queued_bytes = waiting;
            self.reply(Reply::Processed { bytes });
        }
    }

    fn tick(&mut self) -> Result<(), PartitionHalt> {
        let now = self.clock.now();
        if now < self.next_tick {
            return Ok(());
        }
        self.next_tick = now + TICK;
        for partition in self.partitions.values_mut() {
            partition.tick(now)?;
        }
        self.report();
        if self.partitions.values().any(Partition::is_dirty) {
            self.reply(Reply::Dirty);
        }
        Ok(())
    }

    fn freeze(&mut self, epoch: u64) -> Result<bool, PartitionHalt> {
        let mut parts = Vec::new();
        for (id, partition) in &mut self.partitions {
            if partition.is_dirty() {
                parts.push((*id, partition.freeze()?));
            }
        }
        self.report();
        Ok(self.reply(Reply::Frozen { epoch, parts }))
    }

    /// `false` where the worker is gone.
    fn reply(&self, reply: Reply) -> bool {
        self.replies.send(reply).is_ok()
    }
}
