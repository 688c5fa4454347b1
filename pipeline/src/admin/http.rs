//! `/metrics` (Prometheus text), `/livez` (the process turns), `/readyz` (every partition is restored and
//! read, and Kafka answers).

use crate::flow::readiness::Readiness;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// How it stands with each segment, by name.
pub type Probe = Arc<dyn Fn() -> Vec<(String, Readiness)> + Send + Sync>;

/// Writes all metrics in the text exposition format, or says why it cannot.
pub type Render = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// The configuration key of the port of a process that runs stages.
pub const KEY: &str = "admin.listen";

/// The port is not to be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}; choose another with {key} (port 0 takes any free one)")]
pub struct ListenError {
    /// The configuration key, or the flag, that names the address.
    pub key: &'static str,
    /// The address asked for.
    pub address: SocketAddr,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// Takes the port that `key` names, before anything else is started.
pub fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|source| ListenError { key, address, source })
}

/// Answers until the runtime is dropped.
pub async fn serve(listener: TcpListener, render: Render, probe: Probe) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, router(render, probe)).await
}

fn router(render: Render, probe: Probe) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&probe()) }))
        .route("/metrics", get(move || async move { exposition(&render) }))
}

fn ready(segments: &[(String, Readiness)]) -> Response {
    let all = segments.iter().all(|(_, state)| *state == Readiness::Ready);
    let code = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let words = |state: Readiness| match state {
        Readiness::Ready => "ready",
        Readiness::Restoring => "restoring",
        Readiness::Unreachable => "no broker answers",
    };
    let line = |(name, state): &(String, Readiness)| format!("{name} {}\n", words(*state));
    (code, segments.iter().map(line).collect::<String>()).into_response()
}

fn exposition(render: &Render) -> Response {
    match render() {
        // Prometheus 3 refuses an answer without a type; this one holds whatever `Accept` says.
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
