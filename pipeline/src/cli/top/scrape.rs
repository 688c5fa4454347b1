//! Asks one process for its metrics, as a scraper would.

use super::exposition::Exposition;
use crate::secret::Secret;
use crate::tls::{self, Named, TlsError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// For connecting, and for each answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// No process of ours says as much.
const MAX_BYTES: u64 = 16 << 20;

/// How processes are asked: in the clear or not, with a token or without.
#[derive(Debug, Default)]
pub(super) struct Scraper {
    tls: Option<Arc<ClientConfig>>,
    token: Option<Secret>,
}

impl Scraper {
    /// One that speaks TLS where it is told whom to trust, and shows `token` where there is one.
    ///
    /// # Errors
    /// Where the file holds no certificates.
    pub(super) fn new(authority: Option<PathBuf>, token: Option<Secret>) -> Result<Self, TlsError> {
        let tls = authority.map(|path| tls::trusting(&Named { key: "--ca-file", path })).transpose()?;
        Ok(Self { tls, token })
    }

    /// What `/metrics` at `address` says.
    pub(super) fn metrics(&self, address: SocketAddr) -> io::Result<Exposition> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answer = match &self.tls {
            None => self.ask(address, stream)?,
            Some(tls) => {
                let name = ServerName::IpAddress(address.ip().into());
                let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                self.ask(address, StreamOwned::new(connection, stream))?
            }
        };
        let refused = || io::Error::other("no metrics there");
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(refused)?;
        match head.lines().next().unwrap_or_default().split(' ').nth(1) {
            Some("200") => Ok(Exposition::read(body)),
            Some("401") => Err(io::Error::other("it asks for another token: set admin.token_file")),
            _ => Err(refused()),
        }
    }

    fn ask(&self, address: SocketAddr, mut stream: impl Read + Write) -> io::Result<String> {
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {}\r\n", token.reveal()));
        // HTTP/1.0: the end of the connection is the end of the answer.
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n{}\r\n", token.unwrap_or_default())?;
        let mut answer = String::new();
        stream.take(MAX_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    }
}
