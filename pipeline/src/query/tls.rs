//! TLS for the doors.

use crate::config::SqlConfig;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Connections that have agreed and wait to be served.
const WAITING: usize = 64;

/// A certificate with its key, in the forms that the doors' libraries take.
#[derive(Clone)]
pub struct Tls {
    /// For rustls.
    pub server: Arc<rustls::ServerConfig>,
    /// The certificate, in PEM.
    pub certificate: Arc<[u8]>,
    /// Its key, in PEM.
    pub key: Arc<[u8]>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(***)")
    }
}

/// A certificate or a key that is none.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {path}: {problem}; give a certificate with its chain and its key, both as PEM")]
pub struct TlsError {
    key: &'static str,
    path: String,
    problem: String,
}

impl Tls {
    /// What `config` names; `None` where it names none.
    ///
    /// # Errors
    /// [`TlsError`], before any door is opened.
    pub fn read(config: &SqlConfig) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&config.tls_certificate_file, &config.tls_key_file) else {
            return Ok(None);
        };
        let (of_certificate, of_key) = ("sql.tls_certificate_file", "sql.tls_key_file");
        let certificate_pem = read(of_certificate, certificate)?;
        let key_pem = read(of_key, key)?;
        let chain = CertificateDer::pem_slice_iter(&certificate_pem).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| fault(of_certificate, certificate, &error))?;
        let secret = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| fault(of_key, key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
            .map_err(|error| fault(of_key, key, &error))?;
        Ok(Some(Self { server: Arc::new(server), certificate: certificate_pem.into(), key: key_pem.into() }))
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|error| fault(key, path, &error))
}

fn fault(key: &'static str, path: &Path, problem: &dyn fmt::Display) -> TlsError {
    TlsError { key, path: path.display().to_string(), problem: problem.to_string() }
}

/// Accepts connections and agrees on keys, with many clients at a time.
#[derive(Debug)]
pub struct TlsListener {
    agreed: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl TlsListener {
    /// Starts to accept; call it within a runtime.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub fn new(listener: TcpListener, config: Arc<rustls::ServerConfig>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, agreed) = mpsc::channel(WAITING);
        tokio::spawn(accept(listener, TlsAcceptor::from(config), sender));
        Ok(Self { agreed, address })
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    agreed: mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>,
) {
    let mut listener = listener;
    while !agreed.is_closed() {
        let (stream, client) = Listener::accept(&mut listener).await;
        let (acceptor, agreed) = (acceptor.clone(), agreed.clone());
        tokio::spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => drop(agreed.send((stream, client)).await),
                Ok(Err(error)) => tracing::debug!(%client, %error, "no agreement on a key"),
                Err(_) => tracing::debug!(%client, "no agreement on a key in time"),
            }
        });
    }
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.agreed.recv().await {
            Some(agreed) => agreed,
            // The accepting task ends with the runtime only.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct Client(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Client {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Client {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        Self(*stream.remote_addr())
    }
}
