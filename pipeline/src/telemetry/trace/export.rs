//! How spans leave the process: a bounded queue, and one thread that sends them in batches over OTLP (gRPC).
//!
//! Nobody waits for it but whoever flushes. While the collector is away, batches fail after their time-out and what
//! does not fit the queue is dropped; both are counted, and sound goes on.

use super::spans::SCHEMA_URL;
use crate::config::{Config, TracesConfig};
use crate::secret::{self, SecretError};
use crate::telemetry::family::Each;
use crate::telemetry::labels::Sent;
use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prometheus::IntCounter;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tonic::metadata::MetadataValue;
use tonic::{Request, Status};

/// Spans that wait; some 5 MB.
const QUEUE: usize = 8_192;
/// Spans in one call.
const BATCH: usize = 512;
/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);
/// How long one call may take, with what is tried again.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why spans cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// Certificates or the token cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The address is none.
    #[error("traces.endpoint: {0}; write http://host:4317, or https")]
    Endpoint(#[from] ExporterBuildError),
    /// Nobody takes spans there, or not from us.
    #[error("the collector at {endpoint} takes no spans: {detail}")]
    Refused {
        /// Its address.
        endpoint: String,
        /// What was met.
        detail: String,
    },
    /// The system refused a thread.
    #[error("cannot start a thread: {0}; raise the limit on threads (ulimit -u)")]
    Thread(#[from] io::Error),
}

/// The sending end of the queue.
#[derive(Debug, Clone)]
pub(super) struct Exporter {
    queue: SyncSender<Message>,
    endpoint: Arc<str>,
    offered: Arc<AtomicU64>,
    ok: IntCounter,
    dropped: IntCounter,
}

#[derive(Debug)]
enum Message {
    Span(Box<SpanData>),
    Flush(SyncSender<()>),
}

impl Exporter {
    /// Starts the thread; `counters` count spans by what became of them.
    pub(super) fn start(config: &Config, counters: &Each<Sent, IntCounter>) -> Result<Self, TraceError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let exporter = {
            let _inside = runtime.enter();
            exporter(config)?
        };
        let (queue, messages) = sync_channel(QUEUE);
        let sender = Sender {
            runtime,
            exporter,
            ok: counters.of(Sent::Ok).clone(),
            error: counters.of(Sent::Error).clone(),
            away: false,
        };
        std::thread::Builder::new().name("traces".to_owned()).spawn(move || sender.run(&messages))?;
        Ok(Self {
            queue,
            endpoint: shown(config).into(),
            offered: Arc::default(),
            ok: counters.of(Sent::Ok).clone(),
            dropped: counters.of(Sent::Dropped).clone(),
        })
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Spans that were offered, and that nobody has taken yet.
    pub(super) fn not_taken(&self) -> u64 {
        self.offered.load(Ordering::Acquire).saturating_sub(self.ok.get())
    }

    pub(super) fn send(&self, span: SpanData) {
        self.offered.fetch_add(1, Ordering::AcqRel);
        match self.queue.try_send(Message::Span(Box::new(span))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.dropped.inc(),
        }
    }

    pub(super) fn flush(&self, patience: Duration) {
        let (done, wait) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Whoever flushes goes on either way.
            wait.recv_timeout(patience).ok();
        }
    }
}

/// The receiving end.
struct Sender {
    runtime: Runtime,
    exporter: SpanExporter,
    ok: IntCounter,
    error: IntCounter,
    away: bool,
}

impl Sender {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let Ok(first) = messages.recv() else { return };
            let (batch, flush) = gather(first, messages);
            if !batch.is_empty() {
                self.send(batch);
            }
            // Who flushed may have given up.
            if let Some(done) = flush {
                done.send(()).ok();
            }
        }
    }

    fn send(&mut self, batch: Vec<SpanData>) {
        let spans = batch.len() as u64;
        match self.runtime.block_on(self.exporter.export(batch)) {
            Ok(()) => {
                self.ok.inc_by(spans);
                if std::mem::take(&mut self.away) {
                    tracing::info!("the trace collector answers again");
                }
            }
            Err(error) => {
                self.error.inc_by(spans);
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(%error, "the trace collector does not take spans; they are lost, audio is not");
                }
            }
        }
    }
}

/// A batch that begins with `first`, and who wants to hear when it is sent.
fn gather(first: Message, messages: &Receiver<Message>) -> (Vec<SpanData>, Option<SyncSender<()>>) {
    let mut batch = Vec::new();
    let mut next = Ok(first);
    loop {
        match next {
            Ok(Message::Span(span)) => batch.push(*span),
            Ok(Message::Flush(done)) => return (batch, Some(done)),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return (batch, None),
        }
        if batch.len() >= BATCH {
            return (batch, None);
        }
        next = messages.recv_timeout(GATHER);
    }
}

/// Sends no span at all, as all others are sent: whether name, certificates and token are what the collector wants.
///
/// # Errors
/// [`TraceError`]; after five seconds at the latest.
pub fn reach(config: &Config) -> Result<(), TraceError> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let _inside = runtime.enter();
    let exporter = exporter(config)?;
    runtime
        .block_on(exporter.export(Vec::new()))
        .map_err(|error| TraceError::Refused { endpoint: shown(config), detail: error.to_string() })
}

/// The address, as messages may show it.
fn shown(config: &Config) -> String {
    let endpoint = config.traces.endpoint.clone().unwrap_or_default();
    secret::mask_user_info(&endpoint).unwrap_or(endpoint)
}

fn exporter(config: &Config) -> Result<SpanExporter, TraceError> {
    let TracesConfig { endpoint, ca_file, token_file, .. } = &config.traces;
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.clone().unwrap_or_default())
        .with_timeout(TIMEOUT);
    if let Some(path) = ca_file {
        let pem = secret::read("traces.ca_file", path)?;
        let trusted = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem.reveal()));
        builder = builder.with_tls_config(trusted);
    }
    if let Some(path) = token_file {
        // Read once here, so that a wrong path is told at start.
        secret::read("traces.token_file", path)?;
        let path = path.clone();
        builder = builder.with_interceptor(move |request| authorised(request, &path));
    }
    let mut exporter = builder.build()?;
    exporter.set_resource(&resource(config));
    Ok(exporter)
}

/// Adds the token, read anew: a change of the file holds from the next call on.
fn authorised(mut request: Request<()>, path: &Path) -> Result<Request<()>, Status> {
    let token = secret::read("traces.token_file", path);
    let token = token.map_err(|error| Status::unauthenticated(error.to_string()))?;
    let value = MetadataValue::try_from(format!("Bearer {}", token.reveal()));
    let value = value.map_err(|_| Status::unauthenticated("traces.token_file: not a token"))?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}

fn resource(config: &Config) -> Resource {
    let attributes = [
        KeyValue::new("service.name", "treble"),
        KeyValue::new("service.namespace", config.prefix.clone()),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", config.instance_id.clone()),
    ];
    Resource::builder_empty().with_schema_url(attributes, SCHEMA_URL).build()
}
