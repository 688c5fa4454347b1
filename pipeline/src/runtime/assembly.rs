//! A process, assembled in data-flow order: port, model, registry, then one worker a segment.

use super::blueprint::{Blueprint, Decorate};
use super::compute::{self, ComputeSetup};
use super::events;
use super::lineage::Lineage;
use super::model::{self, ModelSetupError};
use super::partition::PartitionLimits;
use super::records::RecordWriter;
use super::shutdown::Shutdown;
use super::threads::{ComputeLinks, ThreadCrew, restore_station, transaction_station};
use super::worker::{Worker, WorkerError, WorkerLimits};
use crate::admin::access::{Access, AccessError};
use crate::admin::http::{self, ListenError};
use crate::clock::SystemClock;
use crate::config::{Config, Loudness, OnLostRestart as LostRestartKey};
use crate::flow::assignment::{OnLostRestart, ResumeError};
use crate::flow::epoch::EpochLimits;
use crate::flow::retry::Backoff;
use crate::gpu::watch::GpuWatch;
use crate::gpu::{self, GpuError};
use crate::kafka::client;
use crate::kafka::consumer::KafkaSource;
use crate::kafka::state_log::KafkaStateLog;
use crate::kafka::transaction::KafkaTransactions;
use crate::lake::{self, IngestError, LakeStartError};
use crate::ports::{Clock, PortError, Source};
use crate::schema_registry::{
    ContractIds, Registration, RegistryAccess, RegistryError, SchemaRegistry, while_unreachable,
};
use crate::secret::SecretError;
use crate::stages::STAGES;
use crate::telemetry::engine::EngineObserver;
use crate::telemetry::family::Each;
use crate::telemetry::gpu::GpuTelemetry;
use crate::telemetry::labels::{Fallback, Mode};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::observe::{ComputeObserver, SegmentObserver, SegmentTelemetry};
use crate::telemetry::process;
use crate::telemetry::segment::Identity;
use crate::telemetry::timed::TimedStages;
use crate::telemetry::trace::{TraceError, Traces};
use crate::topology::{self, Segment, TopologyError};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::Duration;
use treble_core::{Assets, ConfigError, Inference, Stage};
use treble_schemas::topic::PrefixError;
use treble_schemas::{Contract, Topics};
use treble_upscale::{EngineWatch, FaultKind, UpscaleStage};

/// Why a process could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The operators' port is taken.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// It cannot be secured.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The model or its library is not usable.
    #[error(transparent)]
    Model(#[from] ModelSetupError),
    /// What should tell of the GPUs cannot.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// A stage and the model do not fit.
    #[error(transparent)]
    Stage(#[from] ConfigError),
    /// The registry is not usable.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The list of stages is none.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The prefix is none.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Kafka refused.
    #[error("{0}")]
    Port(#[from] PortError),
    /// A worker ended.
    #[error("{segment}: {error}")]
    Worker {
        /// The segment.
        segment: String,
        /// Why.
        #[source]
        error: WorkerError,
    },
    /// Retention deleted what must be read again.
    #[error("{topic}, partition {partition}: {error}")]
    Lost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What is missing, and what to do.
        #[source]
        error: ResumeError,
    },
    /// Dead letters came faster than the limit.
    #[error(
        "{segment}: more than {limit} dead letters within a minute; the stage halts instead of draining its topic. \
         Look at them with `treble dlq list`, mend the cause, or raise flow.dead_letters_per_minute"
    )]
    Flood {
        /// The segment.
        segment: String,
        /// The limit.
        limit: u32,
    },
    /// Analyse could not start.
    #[error("analyse: {0}")]
    LakeStart(#[from] LakeStartError),
    /// Analyse ended.
    #[error("analyse: {0}")]
    Lake(#[from] IngestError),
    /// Spans cannot be sent.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The metrics could not be set up: a defect.
    #[error("metrics: {0}; this is a defect, please report it")]
    Metrics(String),
    /// The system refused a thread.
    #[error("cannot start a thread: {0}; raise the limit on threads (ulimit -u)")]
    Thread(#[from] io::Error),
    /// A worker's thread panicked.
    #[error("{segment}: the worker panicked; this is a defect, please report it with the log")]
    Panicked {
        /// The segment.
        segment: String,
    },
}

/// Commands waiting for one compute thread. A thread takes all that wait before each slice of work and answers a slice
/// a few times at most, so that a worker waiting to send never meets a thread waiting to answer while [`REPLIES`] is larger.
const COMMANDS: usize = 1024;
/// Answers waiting for the worker, for each compute thread.
const REPLIES: usize = 4 * COMMANDS;
/// How long an end waits for spans to be sent.
const TRACES_PATIENCE: Duration = Duration::from_secs(3);
/// How long a start waits for the registry.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(10);
/// How long one call to the registry may take.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Windows gathered before the model is run: several batches of the largest models, and a few MiB.
const MAX_WINDOWS: usize = 256;

/// Runs the configured stages until `shutdown`, or until one of them cannot go on.
pub fn run(config: &Config, shutdown: &Shutdown) -> Result<(), RunError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let metrics = Metrics::new().map_err(|error| RunError::Metrics(error.to_string()))?;
    let listener = http::bind(http::KEY, config.admin.listen)?;
    let access = Access::read(&config.admin, &clock)?;
    let segments = topology::segments(&config.stages, config.topology, &config.prefix)?;
    let assets = assets(config, &metrics, &clock)?;
    let _gpus = watch_gpus(config, &metrics, &clock, &assets)?;
    for entry in segments.iter().flat_map(|segment| &segment.stages) {
        (entry.build)(&config.stage_configs, &assets)?;
    }
    let ids = if segments.is_empty() { ContractIds::default() } else { contract_ids(config)? };
    let traces = Traces::open(config, &metrics)?;
    let (told, shutdown) = (traces.clone(), shutdown.clone());
    let parts = Parts { config, clock, metrics: metrics.clone(), traces, assets, ids, shutdown };
    let mut workers = Vec::new();
    for segment in segments {
        workers.push(parts.start(segment)?);
    }
    let analyse = match config.analyses() {
        true => lake::start(config, &metrics, &parts.clock, &parts.shutdown)?,
        false => Vec::new(),
    };
    let stored: Vec<_> = analyse.iter().map(|reader| (reader.name, Arc::clone(&reader.telemetry))).collect();
    let telemetry: Vec<_> =
        workers.iter().map(|worker| (worker.name.clone(), Arc::clone(&worker.telemetry))).collect();
    let probe = Arc::new(move || {
        let segments = telemetry.iter().map(|(name, telemetry)| (name.clone(), telemetry.readiness()));
        let stored = stored.iter().map(|(name, telemetry)| ((*name).to_owned(), telemetry.readiness()));
        segments.chain(stored).collect()
    });
    let address = listener.local_addr()?;
    tracing::info!(%address, "serving /metrics, /livez and /readyz");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let render = Arc::new(move || {
        let own = metrics.encode().and_then(|own| Ok(own + &process::exposition()?));
        own.map_err(|error| error.to_string())
    });
    runtime.spawn(http::serve(listener, access, render, probe));
    let outcome = join(workers, config.flow.dead_letters_per_minute);
    let outcome = analyse.into_iter().fold(outcome, |outcome, reader| {
        let ended = match reader.thread.join() {
            Ok(ended) => ended.map_err(RunError::from),
            Err(_) => Err(RunError::Panicked { segment: reader.name.to_owned() }),
        };
        outcome.and(ended)
    });
    told.flush(TRACES_PATIENCE);
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// What stages share: the model, where one is wanted.
pub fn assets(config: &Config, metrics: &Metrics, clock: &Arc<dyn Clock>) -> Result<Assets, RunError> {
    let wanted = config.stages.iter().any(|stage| stage == "upscale");
    if !wanted {
        return Ok(Assets::default());
    }
    let observer = Arc::new(EngineObserver::new(metrics.clone(), Arc::clone(clock)));
    let Some(engine) = model::open(config, Arc::clone(&observer) as Arc<dyn EngineWatch>)? else {
        return Ok(Assets::default());
    };
    observer.name(engine.model());
    let fallbacks: Each<Fallback, _> = Each::new(|reason| metrics.gpu_fallback.of((reason,)));
    if let Some(reason) = engine.fallback() {
        fallbacks.of(FaultKind::of(reason).into()).inc();
        tracing::warn!(reason, "the model runs on the CPU");
    }
    Ok(Assets { inference: Some(Arc::new(engine)) })
}

/// Where the model is, how the machine's GPUs are is told too, whether or not it runs on one.
fn watch_gpus(
    config: &Config,
    metrics: &Metrics,
    clock: &Arc<dyn Clock>,
    assets: &Assets,
) -> Result<Option<GpuWatch>, RunError> {
    if assets.inference.is_none() {
        return Ok(None);
    }
    let Some(source) = gpu::open(&config.gpu)? else { return Ok(None) };
    Ok(Some(GpuWatch::start(source, GpuTelemetry::new(metrics.clone()), Arc::clone(clock))?))
}

fn registry(config: &Config) -> Result<SchemaRegistry, RunError> {
    Ok(SchemaRegistry::new(&RegistryAccess::read(&config.registry)?, REGISTRY_TIMEOUT)?)
}

fn contract_ids(config: &Config) -> Result<ContractIds, RunError> {
    let topics = Topics::new(&config.prefix)?;
    let registry = registry(config)?;
    let stages: Vec<&str> = STAGES.iter().map(|entry| entry.name).collect();
    let registration =
        if config.registry.auto_register { Registration::Register } else { Registration::Require };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut waited = Duration::ZERO;
    let delays = std::iter::from_fn(|| {
        let delay = backoff.next_delay();
        waited += delay;
        (waited <= REGISTRY_PATIENCE).then_some(delay)
    });
    let wait = |delay, error: &RegistryError| {
        tracing::warn!(%error, "waiting for the schema registry");
        std::thread::park_timeout(delay);
        true
    };
    Ok(while_unreachable(delays, wait, || registry.contract_ids(&topics, &stages, registration))?)
}

type SegmentWorker = Worker<KafkaSource, SegmentObserver, ThreadCrew<<KafkaSource as Source>::Membership>>;

struct Parts<'a> {
    config: &'a Config,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    traces: Traces,
    assets: Assets,
    ids: ContractIds,
    shutdown: Shutdown,
}

struct Running {
    name: String,
    input_topic: String,
    telemetry: Arc<SegmentTelemetry>,
    worker: JoinHandle<Result<(), WorkerError>>,
    compute: Vec<JoinHandle<()>>,
}

impl Parts<'_> {
    fn start(&self, segment: Segment) -> Result<Running, RunError> {
        let name = segment.name();
        let timeout = self.config.commit.transaction_timeout_ms as f64 / 1e3;
        self.metrics.transaction_timeout.of((name.as_str().into(),)).set(timeout);
        let limit = self.config.flow.dead_letters_per_minute as usize;
        let identity = self.identity(&segment)?;
        let telemetry = SegmentTelemetry::new(&identity, &self.metrics, Arc::clone(&self.clock), limit);
        let telemetry = Arc::new(telemetry.with_traces(self.traces.clone()));
        let (links, compute) = self.start_compute(&segment, &telemetry)?;
        let mut worker = self.worker(&segment, links, &telemetry)?;
        let (shutdown, watched) = (self.shutdown.clone(), Arc::clone(&telemetry));
        let thread = std::thread::Builder::new().name(format!("worker-{name}"));
        let worker = thread.spawn(move || {
            let outcome = worker.run(&|| shutdown.is_draining() || watched.flooded());
            // One segment's end ends the process: the others drain.
            shutdown.drain();
            outcome
        })?;
        Ok(Running { name, input_topic: segment.input_topic, telemetry, worker, compute })
    }

    fn identity(&self, segment: &Segment) -> Result<Identity, RunError> {
        let topics = Topics::new(&self.config.prefix)?;
        let events = self.config.events.enabled.then(|| topics.events());
        let own = [segment.output_topic.clone(), segment.state_topic.clone(), topics.dlq()];
        Ok(Identity {
            name: segment.name(),
            group: segment.group.clone(),
            input_topic: segment.input_topic.clone(),
            output_topics: own.into_iter().chain(events).collect(),
            ends_pipeline: events::ends_pipeline(segment),
        })
    }

    fn start_compute(
        &self,
        segment: &Segment,
        telemetry: &Arc<SegmentTelemetry>,
    ) -> Result<(ComputeLinks, Vec<JoinHandle<()>>), RunError> {
        let threads = match self.config.flow.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let (reply, replies) = sync_channel(threads * REPLIES);
        let (mut commands, mut handles) = (Vec::new(), Vec::new());
        for index in 0..threads {
            let (command, inbox) = sync_channel(COMMANDS);
            let setup = self.compute_setup(segment, telemetry)?;
            let reply = reply.clone();
            let thread = std::thread::Builder::new().name(format!("{}-{index}", segment.name()));
            handles.push(thread.spawn(move || compute::run(setup, &inbox, reply))?);
            commands.push(command);
        }
        Ok((ComputeLinks { commands, replies }, handles))
    }

    /// The stage that raises the sound, and how.
    fn raising(&self) -> (&'static str, Mode) {
        let mode = if self.assets.inference.is_some() { Mode::Ai } else { Mode::Baseline };
        (UpscaleStage::NAME, mode)
    }

    fn compute_setup(
        &self,
        segment: &Segment,
        telemetry: &Arc<SegmentTelemetry>,
    ) -> Result<ComputeSetup<SchemaRegistry, ComputeObserver>, RunError> {
        let topics = Topics::new(&self.config.prefix)?;
        let writer = RecordWriter::new(
            segment.clone(),
            topics.dlq(),
            self.ids.of(Contract::AudioChunk, &segment.output_topic)?,
            self.ids.of(Contract::StreamState, &segment.state_topic)?,
            Arc::clone(&self.clock),
        );
        let events = events::writer(self.config, segment, &self.ids, &self.assets, &topics)?;
        let reports = events.as_ref().is_some_and(|events| events.ends_pipeline);
        let whose = if reports { self.config.events.loudness } else { Loudness::Off };
        let writer = match events {
            Some(events) => writer.with_events(events),
            None => writer,
        };
        let writer = match self.traces.are_kept() {
            true => writer.with_lineage(Lineage::new(&segment.input_topic, self.config.traces.sample_ratio)),
            false => writer,
        };
        let timed: Arc<dyn Decorate> =
            Arc::new(TimedStages::new(self.metrics.clone(), Arc::clone(&self.clock), self.raising()));
        let flow = &self.config.flow;
        Ok(ComputeSetup {
            blueprint: Blueprint {
                stages: segment.stages.clone(),
                configs: Arc::new(self.config.stage_configs.clone()),
                assets: self.assets.clone(),
                decorate: Some(events::metered(segment, whose, timed)),
            },
            writer,
            limits: PartitionLimits {
                max_epoch_bytes: self.config.commit.max_bytes,
                max_windows: MAX_WINDOWS,
                gap_timeout: Duration::from_millis(flow.gap_timeout_ms),
                idle_timeout: Duration::from_millis(flow.idle_timeout_ms),
            },
            schemas: registry(self.config)?,
            observer: ComputeObserver::new(Arc::clone(telemetry)),
            clock: Arc::clone(&self.clock),
        })
    }

    fn worker(
        &self,
        segment: &Segment,
        links: ComputeLinks,
        telemetry: &Arc<SegmentTelemetry>,
    ) -> Result<SegmentWorker, RunError> {
        let Config { kafka, instance_id, commit, flow, .. } = self.config;
        let name = segment.name();
        let reader = client::consumer(kafka, &segment.group)?;
        let log =
            KafkaStateLog::new(&reader, &segment.input_topic, &segment.state_topic, Arc::clone(&self.clock))?;
        let restores = restore_station(&format!("restore-{name}"), log)?;
        let id = format!("{}.{instance_id}", segment.group);
        let producer = client::transactional(kafka, &id, commit.transaction_timeout_ms)?;
        let transactions = KafkaTransactions::new(producer, &segment.input_topic, Arc::clone(&self.clock));
        let transactions = transaction_station(&format!("commit-{name}"), transactions)?;
        let member = client::member(kafka, &segment.group, instance_id)?;
        let trouble = move |reason: &str| tracing::warn!(segment = name, reason, "kafka");
        let told = Arc::clone(telemetry);
        let contact = move |reachable| told.contact(reachable);
        let source = KafkaSource::join(&member, &segment.input_topic, trouble, contact)?;
        let limits = WorkerLimits {
            epoch: EpochLimits {
                interval: Duration::from_millis(commit.interval_ms),
                max_bytes: commit.max_bytes,
            },
            deadline: Duration::from_millis(commit.deadline_ms),
            high_water_bytes: flow.high_water_bytes,
            low_water_bytes: flow.low_water_bytes,
            on_lost_restart: match flow.on_lost_restart {
                LostRestartKey::Fail => OnLostRestart::Fail,
                LostRestartKey::ColdRestart => OnLostRestart::ColdRestart,
            },
        };
        let crew = ThreadCrew { transactions, restores, compute: links };
        let observer = SegmentObserver::new(Arc::clone(telemetry));
        Ok(Worker::new(source, crew, Arc::clone(&self.clock), limits, observer))
    }
}

/// Waits for all workers; the first fault is the outcome.
fn join(workers: Vec<Running>, limit: u32) -> Result<(), RunError> {
    let mut outcome = Ok(());
    for Running { name: segment, input_topic: topic, telemetry, worker, compute } in workers {
        let ended = match worker.join() {
            Err(_) => Err(RunError::Panicked { segment }),
            Ok(Err(WorkerError::Resume { partition, error })) => {
                Err(RunError::Lost { topic, partition, error })
            }
            Ok(Err(error)) => Err(RunError::Worker { segment, error }),
            Ok(Ok(())) if telemetry.flooded() => Err(RunError::Flood { segment, limit }),
            Ok(Ok(())) => Ok(()),
        };
        for thread in compute {
            // A panic of a compute thread was reported by the panic hook, and ended its worker.
            drop(thread.join());
        }
        outcome = outcome.and(ended);
    }
    outcome
}
