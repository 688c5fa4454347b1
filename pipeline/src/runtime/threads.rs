//! The threads beside the worker's own: one that commits, one that reads what is durable. Each owns its client and
//! is joined by bounded channels.

use crate::ports::{Durable, Epoch, Outcome, PortError, StateLog, Transactions};
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread with requests in and answers out.
#[derive(Debug)]
pub struct Station<Q, A> {
    requests: Option<SyncSender<Q>>,
    answers: Receiver<A>,
    thread: Option<JoinHandle<()>>,
}

/// The thread is gone: it panicked.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a runtime thread ended unexpectedly; this is a defect, please report it with the log")]
pub struct StationGone;

impl<Q: Send + 'static, A: Send + 'static> Station<Q, A> {
    /// Starts a thread called `name` that answers each request by `serve`. At most `depth` requests wait.
    pub fn start(
        name: &str,
        depth: usize,
        mut serve: impl FnMut(Q) -> A + Send + 'static,
    ) -> io::Result<Self> {
        let (requests, inbox) = sync_channel::<Q>(depth);
        let (outbox, answers) = sync_channel::<A>(depth);
        let run = move || {
            while let Ok(request) = inbox.recv() {
                if outbox.send(serve(request)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { requests: Some(requests), answers, thread: Some(thread) })
    }

    /// Sends a request; waits while `depth` are waiting already.
    pub fn ask(&self, request: Q) -> Result<(), StationGone> {
        let requests = self.requests.as_ref().ok_or(StationGone)?;
        requests.send(request).map_err(|_| StationGone)
    }

    /// The next answer, if there is one.
    pub fn try_answer(&self) -> Result<Option<A>, StationGone> {
        match self.answers.try_recv() {
            Ok(answer) => Ok(Some(answer)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(StationGone),
        }
    }

    /// The next answer, within `patience`.
    pub fn answer_within(&self, patience: Duration) -> Option<A> {
        self.answers.recv_timeout(patience).ok()
    }
}

impl<Q, A> Drop for Station<Q, A> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was reported by the panic hook.
            drop(thread.join());
        }
    }
}

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

/// The thread that commits.
pub type TransactionStation<M> = Station<TransactionRequest<M>, TransactionAnswer>;

/// Starts the thread that commits; `transactions` is built on it.
pub fn transaction_station<M, T>(name: &str, mut transactions: T) -> io::Result<TransactionStation<M>>
where
    M: Send + 'static,
    T: Transactions<M> + 'static,
{
    Station::start(name, 2, move |request| match request {
        TransactionRequest::Init => TransactionAnswer::Initialised(transactions.init()),
        TransactionRequest::Commit { epoch, membership, deadline } => {
            let outcome = transactions.commit(&epoch, membership, deadline);
            TransactionAnswer::Done { outcome, epoch }
        }
    })
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

/// The thread that reads what is durable.
pub type RestoreStation = Station<RestoreRequest, RestoreAnswer>;

/// Starts the thread that reads what is durable.
pub fn restore_station<L: StateLog + 'static>(name: &str, mut log: L) -> io::Result<RestoreStation> {
    Station::start(name, 1024, move |request: RestoreRequest| {
        let durable = log.read(request.partition);
        RestoreAnswer { request, durable }
    })
}
