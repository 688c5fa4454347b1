//! An OTLP receiver on loopback: what a collector would be sent.

use crate::certificates::Identity;
use crate::configuration;
use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::transport::{Identity as ServerIdentity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;

/// A span, and the process that sent it.
#[derive(Debug, Clone)]
pub struct Received {
    /// `service.instance.id`.
    pub instance: String,
    /// The span.
    pub span: Span,
}

impl Received {
    /// Its trace, as it is written.
    #[must_use]
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// An attribute as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        text_of(&self.span.attributes, name)
    }

    /// Whether one of its links leads to `other`.
    #[must_use]
    pub fn is_linked_to(&self, other: &Self) -> bool {
        let leads = |trace: &[u8], span: &[u8]| trace == other.span.trace_id && span == other.span.span_id;
        self.span.links.iter().any(|link| leads(&link.trace_id, &link.span_id))
    }
}

/// See the module. It ends when it is dropped; [`again`](Self::again) starts it at the same place.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    access: Access,
    received: Arc<Mutex<Vec<Received>>>,
    runtime: Option<Runtime>,
}

/// Who may send to it, and how.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Its certificate; without one it speaks plain text.
    pub identity: Option<Identity>,
    /// The file of the bearer token that it wants, read at every call.
    pub token_file: Option<PathBuf>,
}

impl Collector {
    /// Starts it at a free port.
    pub fn start(access: Access) -> Result<Self> {
        let address = SocketAddr::from(([127, 0, 0, 1], configuration::free_port()?));
        let mut collector = Self { address, access, received: Arc::default(), runtime: None };
        collector.again()?;
        Ok(collector)
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let scheme = if self.access.identity.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Ends it: whoever sends is refused.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }

    /// Starts it again, at the same address, with what it received so far.
    pub fn again(&mut self) -> Result<()> {
        // Another test of this process may have been quicker.
        rustls::crypto::ring::default_provider().install_default().ok();
        let runtime = Runtime::new()?;
        let mut server = Server::builder();
        if let Some(Identity { certificate, key }) = &self.access.identity {
            let identity = ServerIdentity::from_pem(fs::read(certificate)?, fs::read(key)?);
            server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
        }
        let sink = Sink { received: Arc::clone(&self.received), token_file: self.access.token_file.clone() };
        let served = server.add_service(TraceServiceServer::new(sink)).serve(self.address);
        runtime.spawn(async move { served.await.expect("the receiver's port was free a moment ago") });
        self.runtime = Some(runtime);
        Ok(())
    }

    /// Everything received so far.
    pub fn spans(&self) -> Vec<Received> {
        locked(&self.received).clone()
    }

    /// Waits until `enough` says so of the spans of `trace_id` and of those that they are linked to.
    pub fn await_trace(
        &self,
        trace_id: &str,
        patience: Duration,
        enough: impl Fn(&[Received]) -> bool,
    ) -> Result<Vec<Received>> {
        let clock = SystemClock::new();
        loop {
            let spans: Vec<Received> =
                self.spans().into_iter().filter(|span| span.trace_id() == trace_id).collect();
            if enough(&spans) {
                return Ok(spans);
            }
            let names: Vec<&str> = spans.iter().map(|span| span.span.name.as_str()).collect();
            ensure!(clock.now() < patience, "of trace {trace_id} there are {names:?}");
            thread::park_timeout(Duration::from_millis(50));
        }
    }
}

struct Sink {
    received: Arc<Mutex<Vec<Received>>>,
    token_file: Option<PathBuf>,
}

impl Sink {
    fn admits(&self, request: &Request<ExportTraceServiceRequest>) -> Option<bool> {
        let Some(file) = &self.token_file else { return Some(true) };
        let wanted = format!("Bearer {}", fs::read_to_string(file).ok()?.trim_end());
        Some(request.metadata().get("authorization")?.to_str().ok()? == wanted)
    }
}

#[tonic::async_trait]
impl TraceService for Sink {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.admits(&request) != Some(true) {
            return Err(Status::unauthenticated("no such token"));
        }
        let mut received = locked(&self.received);
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.map(|resource| resource.attributes).unwrap_or_default();
            let instance = text_of(&attributes, "service.instance.id").unwrap_or_default();
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            received.extend(spans.map(|span| Received { instance: instance.clone(), span }));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn locked(received: &Mutex<Vec<Received>>) -> MutexGuard<'_, Vec<Received>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text_of(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::BoolValue(whether) => whether.to_string(),
        other => format!("{other:?}"),
    })
}

/// All attributes of spans, with what they say.
#[must_use]
pub fn attributes(spans: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for received in spans {
        for KeyValue { key, .. } in &received.span.attributes {
            all.entry(key.clone()).or_default().extend(received.attribute(key));
        }
    }
    all
}
