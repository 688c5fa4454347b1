//! `/metrics` (Prometheus text), `/livez` (the process turns), `/readyz` (every partition is restored and read).

use crate::telemetry::metrics::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// What the probes ask: name of each segment and whether it is ready.
pub type Readiness = Arc<dyn Fn() -> Vec<(String, bool)> + Send + Sync>;

/// The port is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another with admin.listen (port 0 takes any free one)")]
pub struct ListenError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Takes the port, before anything else is started.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| ListenError { address, source })
}

/// Answers until the runtime is dropped.
pub async fn serve(listener: TcpListener, metrics: Metrics, readiness: Readiness) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router(metrics, readiness)).await
}

fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&readiness()) }))
        .route("/metrics", get(move || async move { exposition(&metrics) }))
}

fn ready(segments: &[(String, bool)]) -> Response {
    let all = segments.iter().all(|(_, ready)| *ready);
    let code = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let line =
        |(name, ready): &(String, bool)| format!("{name} {}\n", if *ready { "ready" } else { "restoring" });
    (code, segments.iter().map(line).collect::<String>()).into_response()
}

fn exposition(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
