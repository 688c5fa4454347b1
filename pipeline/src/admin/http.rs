//! `/metrics` (Prometheus text), `/livez` (the process turns), `/readyz` (every partition is restored and
//! read, and Kafka answers). Only the first asks for a token: those who run processes look at the others.

use super::access::Access;
use crate::flow::readiness::Readiness;
use crate::tls::{Client, TlsListener};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode, header};
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
pub async fn serve(listener: TcpListener, access: Access, render: Render, probe: Probe) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let tls = access.tls.clone();
    let app = router(access, render, probe).into_make_service_with_connect_info::<Client>();
    match tls {
        None => axum::serve(listener, app).await,
        Some(tls) => axum::serve(TlsListener::new(listener, tls.server)?, app).await,
    }
}

fn router(access: Access, render: Render, probe: Probe) -> Router {
    let metrics = move |ConnectInfo(Client(client)): ConnectInfo<Client>, headers: HeaderMap| async move {
        if access.admits(&headers, client) { exposition(&render) } else { refusal() }
    };
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(move || async move { ready(&probe()) }))
        .route("/metrics", get(metrics))
}

fn refusal() -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, "metrics need the token of admin.token_file\n").into_response()
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
