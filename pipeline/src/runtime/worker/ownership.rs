//! Which partitions are ours: from "assigned" over "restored" to "live", and back.

use super::{InFlight, Producer, Retry, Worker, WorkerError, WorkerObserver};
use crate::flow::assignment::{self, Facts, Resume};
use crate::ports::{Durable, PortError, Source, SourceEvent};
use crate::runtime::compute::Command;
use crate::runtime::stations::{Crew, RestoreRequest};
use treble_schemas::{StreamId, StreamState};

impl<S: Source, O: WorkerObserver, C: Crew<S::Membership>> Worker<S, O, C> {
    pub(super) fn rebalance(&mut self, event: SourceEvent) -> Result<(), WorkerError> {
        match event {
            SourceEvent::Record(_) | SourceEvent::AtEnd(_) => {}
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
    pub(super) fn restore(&mut self) -> Result<(), WorkerError> {
        if self.producer != Producer::Ready {
            return Ok(());
        }
        self.assignments += 1;
        let waiting = self.assigned.iter().filter(|partition| !self.live.contains_key(partition));
        for partition in waiting {
            self.crew
                .restores()
                .ask(RestoreRequest { partition: *partition, assignment: self.assignments })?;
        }
        Ok(())
    }

    /// Asks for anything that only the group's coordinator can answer.
    pub(super) fn question_coordinator(&mut self) -> Result<(), WorkerError> {
        self.assignments += 1;
        let partition = self.assigned.first().copied().unwrap_or(0);
        Ok(self.crew.restores().ask(RestoreRequest { partition, assignment: self.assignments })?)
    }

    fn forget(&mut self, partitions: &[i32]) -> Result<(), WorkerError> {
        self.assigned.retain(|partition| !partitions.contains(partition));
        self.live.retain(|partition, _| !partitions.contains(partition));
        if let Some(InFlight::Committing { retry, .. }) = &mut self.commit {
            // The epoch may hold records of these partitions: with a membership of a later generation it would be
            // accepted, although their next owner has read the same input.
            *retry = Retry::Void;
        }
        self.broadcast(|| Command::Close(partitions.to_vec()))
    }

    pub(super) fn hear_restores(&mut self) -> Result<(), WorkerError> {
        while let Some(answer) = self.crew.restores().try_answer()? {
            let RestoreRequest { partition, assignment } = answer.request;
            if self.producer == Producer::Doubted && assignment == self.assignments {
                match answer.durable {
                    Ok(_) => self.take_id_back_later(),
                    Err(PortError::Retriable(_)) => self.crew.restores().ask(answer.request)?,
                    Err(fatal) => return Err(fatal.into()),
                }
                continue;
            }
            let wanted = self.assigned.contains(&partition) && !self.live.contains_key(&partition);
            if !wanted || assignment != self.assignments || self.producer != Producer::Ready {
                continue;
            }
            match answer.durable {
                Ok(durable) => self.open(partition, durable)?,
                Err(PortError::Retriable(reason)) => {
                    self.observer.note("restore retried", &reason);
                    self.crew.restores().ask(answer.request)?;
                }
                Err(fatal) => return Err(fatal.into()),
            }
        }
        Ok(())
    }

    fn open(&mut self, partition: i32, mut durable: Durable) -> Result<(), WorkerError> {
        if durable.committed.is_none() && !durable.streams.is_empty() {
            // State and position are committed together: without a position of ours, no state is ours.
            let count = durable.streams.len();
            self.observer.note("states of another topology left aside", &format!("{partition}: {count}"));
            durable.streams.clear();
        }
        // A stream that was given up must be read to its END too, from the earliest chunk that came before its turn; but
        // where that is gone, nothing is lost by it.
        let restart_offset = |(_, state): &(StreamId, StreamState)| match state.aborted {
            Some(_) => state.restart_offset.max(durable.log_start),
            None => state.restart_offset,
        };
        let facts = Facts {
            committed: durable.committed,
            log_start: durable.log_start,
            log_end: durable.log_end,
            restart_offsets: durable.streams.iter().map(restart_offset).collect(),
        };
        let resume = assignment::resume(&facts, self.limits.on_lost_restart)
            .map_err(|error| WorkerError::Resume { partition, error })?;
        let (Resume::From { from, live_from } | Resume::FromWithLosses { from, live_from }) = resume;
        if let Resume::FromWithLosses { .. } = resume {
            self.observer.note("cold restart", &format!("partition {partition} from offset {from}"));
        }
        let streams = durable.streams;
        self.tenures += 1;
        let tenure = self.tenures;
        self.tell(self.thread_of(partition), Command::Open { partition, tenure, live_from, from, streams })?;
        self.source.start(&[(partition, from)])?;
        if self.pressure.paused() {
            self.source.pause(&[partition])?;
        }
        self.live.insert(partition, tenure);
        self.filling.dirty = true;
        self.observer.restored(partition, live_from - from);
        self.publish_assignment();
        Ok(())
    }

    /// Throws away everything that is not committed, and reads it again.
    pub(super) fn start_over(&mut self) -> Result<(), WorkerError> {
        self.commit = None;
        let partitions: Vec<i32> = std::mem::take(&mut self.live).into_keys().collect();
        self.broadcast(|| Command::Close(partitions.clone()))?;
        self.pressure.clear();
        self.filling.dirty = false;
        self.source.stop(&partitions)?;
        self.restore()?;
        self.publish_assignment();
        Ok(())
    }

    fn publish_assignment(&self) {
        self.observer.assignment(&self.assigned, &self.live);
    }
}
