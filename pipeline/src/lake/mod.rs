//! The stage `analyse`: the topic of events → the lake, each record once; and the topic of lines of the log, where they are wanted.
//!
//! Two threads a topic. `ingest-…` is the group's member: it polls, decodes to rows, and says when to commit ([`ingest`]).
//! `lake-…` owns the tables and commits ([`station`]). Another is there while the lake is tidied up ([`upkeep`]). How far a partition was read is in the tables, committed
//! with the rows; the group's own positions are for those who look at lag, and are never read.
//!
//! Whatever is refused is answered in one way: what is in memory is dropped, and read again from where the tables stand.

pub mod compare;
mod ingest;
mod partitions;
pub(crate) mod records;
mod station;
mod upkeep;

pub use ingest::IngestError;

use crate::config::{Config, OnLostRestart as LostRestartKey};
use crate::flow::assignment::OnLostRestart;
use crate::flow::ingest::Limits;
use crate::kafka::bounds::LogBounds;
use crate::kafka::client;
use crate::kafka::consumer::KafkaSource;
use crate::ports::{Clock, PortError};
use crate::runtime::Shutdown;
use crate::schema_registry::RegistryError;
use crate::secret::SecretError;
use crate::telemetry::lake::LakeTelemetry;
use crate::telemetry::metrics::Metrics;
use crate::topology::ANALYSE;
use ingest::{Ingest, Setup};
use records::Reader;
use station::Target;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use treble_analyse::lake::{LakeError, Location};
use treble_analyse::tables::Origin;
use treble_schemas::Topics;
use treble_schemas::topic::PrefixError;
pub(crate) use upkeep::Retention;
use upkeep::Upkeep;

/// Rows of one commit at most: with short records, bytes say little of the memory that rows take.
const MAX_ROWS: usize = 1 << 20;
/// How long one call to the registry may take.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Why analyse could not start.
#[derive(Debug, thiserror::Error)]
pub enum LakeStartError {
    /// The lake's address is none.
    #[error(transparent)]
    Lake(#[from] LakeError),
    /// The prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The registry is not usable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Kafka refused.
    #[error("{0}")]
    Port(#[from] PortError),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}; raise the limit on threads (ulimit -u)")]
    Thread(#[from] io::Error),
}

/// What the reader of an origin is called, in probes and threads.
const fn name(origin: Origin) -> &'static str {
    match origin {
        Origin::Events => ANALYSE,
        Origin::Logs => "logs",
    }
}

/// The consumer group that stores records of `origin`.
fn group(prefix: &str, origin: Origin) -> String {
    format!("{prefix}.{}", name(origin))
}

/// The topic of `origin`.
#[must_use]
pub fn topic(topics: &Topics, origin: Origin) -> String {
    match origin {
        Origin::Events => topics.events(),
        Origin::Logs => topics.logs(),
    }
}

/// The reader of one topic, running.
#[derive(Debug)]
pub struct Running {
    /// What it is called.
    pub name: &'static str,
    /// What it tells operators.
    pub telemetry: Arc<LakeTelemetry>,
    /// Its thread.
    pub thread: JoinHandle<Result<(), IngestError>>,
}

/// Starts analyse; it ends with `shutdown`, and asks for it where it cannot go on.
pub fn start(
    config: &Config,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
    shutdown: &Shutdown,
) -> Result<Vec<Running>, LakeStartError> {
    let wanted = |origin: &Origin| *origin != Origin::Logs || config.lake.logs;
    let start = |origin| start_reader(config, origin, metrics, clock, shutdown);
    Origin::ALL.into_iter().filter(wanted).map(start).collect()
}

fn start_reader(
    config: &Config,
    origin: Origin,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
    shutdown: &Shutdown,
) -> Result<Running, LakeStartError> {
    let reader = Reader::open::<LakeStartError>(origin, &config.registry, REGISTRY_TIMEOUT)?;
    let name = name(origin);
    let topic = topic(&Topics::new(&config.prefix)?, origin);
    let group = group(&config.prefix, origin);
    let telemetry = Arc::new(LakeTelemetry::new(metrics, Arc::clone(clock), &topic, origin));
    let location = Location::parse(config.lake.url.as_deref().unwrap_or_default())?;
    let lake = &config.lake;
    let upkeep = (origin == Origin::Events).then(|| {
        let (location, retention) = (location.clone(), Retention::of(lake));
        Upkeep::new(location, retention, lake.upkeep_interval_ms, Arc::clone(clock), Arc::clone(&telemetry))
    });
    let target = Target { location, pipeline: config.prefix.clone(), origin, topic: topic.clone() };
    let bounds = LogBounds::new(client::consumer(&config.kafka, &group)?, &topic);
    let station = station::start(&format!("lake-{name}"), target, bounds, Arc::clone(clock))?;
    let member = client::member(&config.kafka, &group, &config.instance_id)?;
    let told = Arc::clone(&telemetry);
    let trouble = |reason: &str| tracing::warn!(stage = ANALYSE, reason, "kafka");
    let source = KafkaSource::join(&member, &topic, trouble, move |reachable| told.contact(reachable))?;
    let setup = Setup {
        topic,
        source,
        station,
        reader,
        upkeep,
        clock: Arc::clone(clock),
        telemetry: Arc::clone(&telemetry),
        limits: Limits {
            interval: Duration::from_millis(lake.flush_interval_ms),
            max_bytes: usize::try_from(lake.flush_mb << 20).unwrap_or(usize::MAX),
            max_rows: MAX_ROWS,
        },
        deadline: Duration::from_millis(config.commit.deadline_ms),
        on_lost: match config.flow.on_lost_restart {
            LostRestartKey::Fail => OnLostRestart::Fail,
            LostRestartKey::ColdRestart => OnLostRestart::ColdRestart,
        },
    };
    let shutdown = shutdown.clone();
    let thread = std::thread::Builder::new().name(format!("ingest-{name}")).spawn(move || {
        let outcome = Ingest::new(setup).run(&|| shutdown.is_draining());
        // One part's end ends the process: the others drain.
        shutdown.drain();
        outcome
    })?;
    Ok(Running { name, telemetry, thread })
}
