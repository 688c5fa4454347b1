//! Whom a worker talks to, and how: it asks, and hears the answer later. The worker does not know whether a thread
//! stands behind a station ([`super::threads`]) or whether the simulation decides when an answer comes.

use super::compute::{Command, Reply};
use crate::ports::{Durable, Epoch, Outcome, PortError};
use std::time::Duration;

/// Takes requests and gives answers, in the order of the requests.
pub trait Station<Q, A> {
    /// Sends a request; waits while too many are waiting already.
    fn ask(&self, request: Q) -> Result<(), StationGone>;
    /// The next answer, if there is one.
    fn try_answer(&self) -> Result<Option<A>, StationGone>;
    /// The next answer, within `patience`.
    fn answer_within(&self, patience: Duration) -> Result<Option<A>, StationGone>;
}

/// The stations of one worker.
pub trait Crew<M> {
    /// Commits.
    fn transactions(&self) -> &dyn Station<TransactionRequest<M>, TransactionAnswer>;
    /// Reads what is durable.
    fn restores(&self) -> &dyn Station<RestoreRequest, RestoreAnswer>;
    /// Drives the stages: a command for one of the compute threads, answers of all of them.
    fn compute(&self) -> &dyn Station<(usize, Command), Reply>;
    /// How many compute threads there are; partition `p` belongs to thread `p mod n`.
    fn compute_threads(&self) -> usize;
}

/// Nobody answers any more: the thread panicked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a runtime thread ended unexpectedly; this is a defect, please report it with the log")]
pub struct StationGone;

/// What the transaction thread is asked.
#[derive(Debug)]
pub enum TransactionRequest<M> {
    /// Become the only instance of this id.
    Init,
    /// Commit.
    Commit {
        /// What.
        epoch: Epoch,
        /// Proof of membership.
        membership: M,
        /// Within this time.
        deadline: Duration,
    },
}

/// What it answers.
#[derive(Debug)]
pub enum TransactionAnswer {
    /// To `Init`.
    Initialised(Result<(), PortError>),
    /// To `Commit`; an epoch that may be tried again comes back.
    Done {
        /// What became of it.
        outcome: Outcome,
        /// The epoch.
        epoch: Epoch,
    },
}

/// What the restore thread is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The partition.
    pub partition: i32,
    /// Which assignment asks; an answer to an earlier one is void.
    pub assignment: u64,
}

/// What it answers.
#[derive(Debug)]
pub struct RestoreAnswer {
    /// The question.
    pub request: RestoreRequest,
    /// What is durable.
    pub durable: Result<Durable, PortError>,
}
