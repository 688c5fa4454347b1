//! The thread that owns the lake: it opens tables, tells where partitions stand, commits.

use crate::kafka::bounds::LogBounds;
use crate::ports::Clock;
use crate::runtime::threads::ThreadStation;
use std::io;
use std::sync::Arc;
use treble_analyse::commit::{Committer, Outcome, Slice, Stand};
use treble_analyse::lake::{LakeError, Location};
use treble_analyse::tables::Origin;

/// Requests that wait at most: a commit, and questions about partitions, of which each rebalance brings one.
const DEPTH: usize = 64;

/// What is asked of the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// Where partitions stand, as of now.
    Stands(Vec<i32>),
    /// To commit rows.
    Commit(Slice),
}

/// A request of one round. Rounds end where everything is read again: what was asked before is answered, and ignored.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) round: u64,
    pub(super) request: Request,
}

/// The answer to a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// To [`Request::Stands`].
    Stands(Result<Vec<Found>, Trouble>),
    /// To [`Request::Commit`].
    Commit(Result<Outcome, Trouble>),
}

/// An answer of one round.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) round: u64,
    pub(super) answer: Answer,
}

/// Where a partition stands in the lake, and what its log holds.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) partition: i32,
    pub(super) stand: Stand,
    pub(super) log_start: i64,
    pub(super) log_end: i64,
}

/// What kept the lake or the cluster from answering.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Lake(#[from] LakeError),
    #[error("{0}")]
    Log(String),
}

impl Trouble {
    /// The table, where it is about one.
    pub(super) fn table(&self) -> Option<&str> {
        match self {
            Self::Lake(error) => error.table(),
            Self::Log(_) => None,
        }
    }

    /// Whether trying again may help.
    pub(super) const fn is_retriable(&self) -> bool {
        match self {
            Self::Lake(error) => error.is_retriable(),
            Self::Log(_) => true,
        }
    }
}

/// Where rows go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) location: Location,
    pub(super) pipeline: String,
    pub(super) origin: Origin,
    pub(super) topic: String,
}

/// A thread that owns the lake.
pub(super) type LakeStation = ThreadStation<Asked, Answered>;

/// Starts the thread, called `name`.
pub(super) fn start(
    name: &str,
    target: Target,
    bounds: LogBounds,
    clock: Arc<dyn Clock>,
) -> io::Result<LakeStation> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("lake")
        .enable_all()
        .build()?;
    let mut keeper = Keeper { target, bounds, clock, committer: None };
    ThreadStation::start(name, DEPTH, move |Asked { round, request }| {
        let answer = match request {
            Request::Stands(partitions) => Answer::Stands(runtime.block_on(keeper.stands(&partitions))),
            Request::Commit(slice) => Answer::Commit(runtime.block_on(keeper.commit(&slice))),
        };
        Answered { round, answer }
    })
}

struct Keeper {
    target: Target,
    bounds: LogBounds,
    clock: Arc<dyn Clock>,
    committer: Option<Committer>,
}

impl Keeper {
    async fn committer(&mut self) -> Result<&mut Committer, LakeError> {
        if self.committer.is_none() {
            let Target { location, pipeline, origin, topic } = &self.target;
            self.committer = Some(Committer::open(location, pipeline, *origin, topic).await?);
        }
        Ok(self.committer.as_mut().expect("opened above"))
    }

    async fn stands(&mut self, partitions: &[i32]) -> Result<Vec<Found>, Trouble> {
        let stands = self.committer().await?.stands(partitions).await?;
        let found = |(partition, stand)| {
            // After the lake: a log only grows, so it ends behind whatever the lake holds of it.
            let (log_start, log_end) =
                self.bounds.of(partition).map_err(|error| Trouble::Log(error.to_string()))?;
            Ok(Found { partition, stand, log_start, log_end })
        };
        stands.into_iter().map(found).collect()
    }

    async fn commit(&mut self, slice: &Slice) -> Result<Outcome, Trouble> {
        let clock = Arc::clone(&self.clock);
        Ok(self.committer().await?.commit(slice, || clock.now()).await?)
    }
}
