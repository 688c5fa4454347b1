//! TLS for the doors of analysts and for the operators' port.

use crate::ports::Clock;
use crate::telemetry::log::event::Event;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use futures::Stream;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The longest a client may take to agree on a key.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How often files are looked at, at most.
const LOOK: Duration = Duration::from_secs(2);
/// Connections that have agreed and wait to be served.
const WAITING: usize = 64;

/// What HTTP/2 is called where client and server agree on a protocol (RFC 7301, RFC 9113).
const HTTP_2: &[u8] = b"h2";

/// A certificate with its key, in the forms that doors take. One that is renewed in its files is shown to those who come after.
#[derive(Clone)]
pub struct Tls {
    /// For whoever needs no more.
    pub server: Arc<ServerConfig>,
    /// For gRPC, whose clients insist on HTTP/2.
    pub grpc: Arc<ServerConfig>,
    renewing: Arc<Renewing>,
}

/// One certificate, for what is agreed on and rests on it (channel binding, RFC 5929).
#[derive(Clone)]
pub struct Fixed {
    /// It, in PEM; another place in memory for each that there is.
    pub certificate: Arc<[u8]>,
    /// Shows it, and none that follows.
    pub server: Arc<ServerConfig>,
}

impl fmt::Debug for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fixed(***)")
    }
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

/// A file that a configuration key names.
#[derive(Debug, Clone)]
pub struct Named {
    /// The key.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl Named {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        std::fs::read(&self.path).map_err(|error| self.fault(&error))
    }

    fn fault(&self, problem: &dyn fmt::Display) -> TlsError {
        TlsError { key: self.key, path: self.path.display().to_string(), problem: problem.to_string() }
    }
}

/// Where a certificate and its key are.
#[derive(Debug, Clone)]
pub struct Files {
    certificate: Named,
    key: Named,
}

/// What the two files hold.
type Pem = (Vec<u8>, Vec<u8>);

impl Files {
    /// The certificate and the key that these configuration keys name; `None` where they name none.
    #[must_use]
    pub fn named(
        certificate: (&'static str, Option<&PathBuf>),
        key: (&'static str, Option<&PathBuf>),
    ) -> Option<Self> {
        let named = |(key, path): (&'static str, Option<&PathBuf>)| Some(Named { key, path: path?.clone() });
        Some(Self { certificate: named(certificate)?, key: named(key)? })
    }

    /// The two files.
    pub fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.certificate.path, &self.key.path].into_iter()
    }

    /// That the two files hold what they should, and fit together.
    ///
    /// # Errors
    /// [`TlsError`]
    pub fn check(&self) -> Result<(), TlsError> {
        self.certified(&self.pem()?).map(drop)
    }

    fn pem(&self) -> Result<Pem, TlsError> {
        Ok((self.certificate.read()?, self.key.read()?))
    }

    fn certified(&self, (certificate, key): &Pem) -> Result<Arc<CertifiedKey>, TlsError> {
        let chain = CertificateDer::pem_slice_iter(certificate).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| self.certificate.fault(&error))?;
        let secret = PrivateKeyDer::from_pem_slice(key).map_err(|error| self.key.fault(&error))?;
        let certified = CertifiedKey::from_der(chain, secret, &provider());
        certified.map(Arc::new).map_err(|error| self.key.fault(&error))
    }
}

impl Tls {
    /// What `files` hold, and will hold.
    ///
    /// # Errors
    /// [`TlsError`], before any door is opened.
    pub fn read(files: Files, clock: Arc<dyn Clock>) -> Result<Self, TlsError> {
        let shown = Shown::of(&files, files.pem()?, clock.now())?;
        let renewing = Arc::new(Renewing { files: files.clone(), clock, now: Mutex::new(shown) });
        let plain = server(&files, Arc::clone(&renewing) as _)?;
        let mut grpc = plain.clone();
        grpc.alpn_protocols = vec![HTTP_2.to_vec()];
        Ok(Self { server: Arc::new(plain), grpc: Arc::new(grpc), renewing })
    }

    /// The certificate that is shown now.
    #[must_use]
    pub fn fixed(&self) -> Fixed {
        self.renewing.look_again(|held| held.fixed.clone())
    }
}

/// A client that trusts the authorities in `file`, and nobody else.
///
/// # Errors
/// [`TlsError`], where it holds none.
pub fn trusting(file: &Named) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&file.read()?) {
        let certificate = certificate.map_err(|error| file.fault(&error))?;
        roots.add(certificate).map_err(|error| file.fault(&error))?;
    }
    if roots.is_empty() {
        return Err(file.fault(&"no certificate is in it"));
    }
    let builder =
        ClientConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| file.fault(&error))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

fn provider() -> CryptoProvider {
    rustls::crypto::ring::default_provider()
}

fn server(files: &Files, resolver: Arc<dyn ResolvesServerCert>) -> Result<ServerConfig, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| files.certificate.fault(&error))?;
    Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
}

/// Shows what the files hold: looked at again with a client that comes [`LOOK`] after the last look.
#[derive(Debug)]
struct Renewing {
    files: Files,
    clock: Arc<dyn Clock>,
    now: Mutex<Shown>,
}

struct Shown {
    looked: Duration,
    pem: Pem,
    shown: Arc<CertifiedKey>,
    fixed: Fixed,
}

impl Shown {
    fn of(files: &Files, pem: Pem, looked: Duration) -> Result<Self, TlsError> {
        let shown = files.certified(&pem)?;
        let server = server(files, Arc::new(SingleCertAndKey::from(Arc::clone(&shown))))?;
        let fixed = Fixed { certificate: pem.0.as_slice().into(), server: Arc::new(server) };
        Ok(Self { looked, pem, shown, fixed })
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("looked", &self.looked).finish_non_exhaustive()
    }
}

impl Renewing {
    /// Takes of what is held, which is looked at again where it is time.
    fn look_again<T>(&self, take: impl FnOnce(&Shown) -> T) -> T {
        let now = self.clock.now();
        let mut held = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(held.looked) >= LOOK {
            held.looked = now;
            self.look(&mut held);
        }
        take(&held)
    }

    fn shown(&self) -> Arc<CertifiedKey> {
        self.look_again(|held| Arc::clone(&held.shown))
    }

    /// A certificate whose key is not there yet is being renewed: the old pair is shown until both fit.
    fn look(&self, held: &mut Shown) {
        let found = self
            .files
            .pem()
            .and_then(|pem| (pem != held.pem).then(|| Shown::of(&self.files, pem, held.looked)).transpose());
        match found {
            Ok(None) => {}
            Ok(Some(renewed)) => {
                *held = renewed;
                let (event, key) = (Event::SecretChanged.text(), self.files.certificate.key);
                tracing::info!(event, key, "the certificate was renewed");
            }
            Err(error) => tracing::warn!(%error, "the old certificate is shown"),
        }
    }
}

impl ResolvesServerCert for Renewing {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.shown())
    }
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
    pub fn new(listener: TcpListener, config: Arc<ServerConfig>) -> io::Result<Self> {
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
        // Answers are short, and waited for; a connection that is gone says so when it is used.
        stream.set_nodelay(true).ok();
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

impl TlsListener {
    /// Connections, without end.
    pub fn into_stream(self) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> {
        futures::stream::unfold(self.agreed, |mut agreed| async move {
            let (stream, _) = agreed.recv().await?;
            Some((Ok(stream), agreed))
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;
    use std::fs;

    use std::path::Path;
    use std::process::Command;

    /// A certificate and its key, made for the day.
    fn pair(folder: &Path) -> Pem {
        let (certificate, key) = (folder.join("made.pem"), folder.join("made.key"));
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=test"]);
        let made = command.arg("-keyout").arg(&key).arg("-out").arg(&certificate).output().unwrap();
        assert!(made.status.success(), "openssl: {made:?}; set-up with --tests installs it");
        (fs::read(certificate).unwrap(), fs::read(key).unwrap())
    }

    #[test]
    fn a_certificate_is_renewed_once_its_key_is() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let (one, two) = (pair(folder.path()), pair(folder.path()));
        fs::write(&certificate, &one.0).unwrap();
        fs::write(&key, &one.1).unwrap();
        let files = Files::named(
            ("admin.tls_certificate_file", Some(&certificate)),
            ("admin.tls_key_file", Some(&key)),
        );
        let (files, clock) = (files.unwrap(), Arc::new(ManualClock::default()));
        let tls = Tls::read(files, clock.clone()).unwrap();
        let (renewing, fixed) = (&tls.renewing, tls.fixed());
        let first = renewing.shown().cert[0].clone();
        let shows_first = || renewing.shown().cert[0] == first;

        fs::write(&certificate, &two.0).unwrap();
        assert!(shows_first(), "it is not looked at with each client");
        clock.advance(LOOK);
        assert!(shows_first(), "its key is the old one's");
        fs::write(&key, &two.1).unwrap();
        clock.advance(LOOK);
        assert!(!shows_first());
        assert_eq!((&*fixed.certificate, &*tls.fixed().certificate), (&*one.0, &*two.0));
        assert!(Arc::ptr_eq(&tls.fixed().certificate, &tls.fixed().certificate), "one place each");
        fs::remove_file(&certificate).unwrap();
        clock.advance(LOOK);
        assert!(!shows_first(), "what is gone is no reason to close");
    }

    #[test]
    fn what_is_no_certificate_is_refused_with_the_name_of_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        fs::write(&certificate, pair(folder.path()).0).unwrap();
        let files = || {
            let key = ("admin.tls_key_file", Some(&key));
            Files::named(("admin.tls_certificate_file", Some(&certificate)), key).unwrap()
        };
        let refused = || Tls::read(files(), Arc::new(ManualClock::default())).unwrap_err().to_string();
        assert!(refused().starts_with("admin.tls_key_file: "), "{}", refused());
        fs::write(&key, pair(folder.path()).1).unwrap();
        assert!(refused().contains("admin.tls_key_file"), "another's: {}", refused());
        assert!(Files::named(("a", None), ("b", Some(&key))).is_none());
    }
}
