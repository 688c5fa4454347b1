//! The crew of a process: compute threads, one thread that commits, one that reads what is durable. Each owns its
//! client and is joined by bounded channels.

use super::compute::{Command, Reply};
use super::stations::{
    Crew, RestoreAnswer, RestoreRequest, Station, StationGone, TransactionAnswer, TransactionRequest,
};
use crate::ports::{StateLog, Transactions};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// A thread with requests in and answers out.
#[derive(Debug)]
pub struct ThreadStation<Q, A> {
    requests: Option<SyncSender<Q>>,
    answers: Receiver<A>,
    thread: Option<JoinHandle<()>>,
}

impl<Q: Send + 'static, A: Send + 'static> ThreadStation<Q, A> {
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
}

impl<Q, A> Station<Q, A> for ThreadStation<Q, A> {
    fn ask(&self, request: Q) -> Result<(), StationGone> {
        let requests = self.requests.as_ref().ok_or(StationGone)?;
        requests.send(request).map_err(|_| StationGone)
    }

    fn try_answer(&self) -> Result<Option<A>, StationGone> {
        poll(&self.answers)
    }

    fn answer_within(&self, patience: Duration) -> Result<Option<A>, StationGone> {
        wait(&self.answers, patience)
    }
}

impl<Q, A> Drop for ThreadStation<Q, A> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was reported by the panic hook.
            drop(thread.join());
        }
    }
}

/// The thread that commits.
pub type TransactionStation<M> = ThreadStation<TransactionRequest<M>, TransactionAnswer>;

/// Starts the thread that commits; `transactions` is built on it.
pub fn transaction_station<M, T>(name: &str, mut transactions: T) -> io::Result<TransactionStation<M>>
where
    M: Send + 'static,
    T: Transactions<M> + 'static,
{
    ThreadStation::start(name, 2, move |request| match request {
        TransactionRequest::Init => TransactionAnswer::Initialised(transactions.init()),
        TransactionRequest::Commit { epoch, membership, deadline } => {
            let outcome = transactions.commit(&epoch, membership, deadline);
            TransactionAnswer::Done { outcome, epoch }
        }
    })
}

/// The thread that reads what is durable.
pub type RestoreStation = ThreadStation<RestoreRequest, RestoreAnswer>;

/// Starts the thread that reads what is durable.
pub fn restore_station<L: StateLog + 'static>(name: &str, mut log: L) -> io::Result<RestoreStation> {
    ThreadStation::start(name, 1024, move |request: RestoreRequest| {
        let durable = log.read(request.partition);
        RestoreAnswer { request, durable }
    })
}

/// The compute threads' ends of their channels.
#[derive(Debug)]
pub struct ComputeLinks {
    /// One sender a thread.
    pub commands: Vec<SyncSender<Command>>,
    /// Answers of all threads.
    pub replies: Receiver<Reply>,
}

impl Station<(usize, Command), Reply> for ComputeLinks {
    fn ask(&self, (thread, command): (usize, Command)) -> Result<(), StationGone> {
        self.commands[thread].send(command).map_err(|_| StationGone)
    }

    fn try_answer(&self) -> Result<Option<Reply>, StationGone> {
        poll(&self.replies)
    }

    fn answer_within(&self, patience: Duration) -> Result<Option<Reply>, StationGone> {
        wait(&self.replies, patience)
    }
}

/// All threads of one worker.
#[derive(Debug)]
pub struct ThreadCrew<M> {
    /// Commits.
    pub transactions: TransactionStation<M>,
    /// Reads what is durable.
    pub restores: RestoreStation,
    /// Drive the stages.
    pub compute: ComputeLinks,
}

impl<M> Crew<M> for ThreadCrew<M> {
    fn transactions(&self) -> &dyn Station<TransactionRequest<M>, TransactionAnswer> {
        &self.transactions
    }

    fn restores(&self) -> &dyn Station<RestoreRequest, RestoreAnswer> {
        &self.restores
    }

    fn compute(&self) -> &dyn Station<(usize, Command), Reply> {
        &self.compute
    }

    fn compute_threads(&self) -> usize {
        self.compute.commands.len()
    }
}

fn poll<A>(answers: &Receiver<A>) -> Result<Option<A>, StationGone> {
    match answers.try_recv() {
        Ok(answer) => Ok(Some(answer)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(StationGone),
    }
}

fn wait<A>(answers: &Receiver<A>, patience: Duration) -> Result<Option<A>, StationGone> {
    match answers.recv_timeout(patience) {
        Ok(answer) => Ok(Some(answer)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(StationGone),
    }
}
