//! Asks one process of ours over HTTP, as a scraper would.

use super::{Exit, Failure};
use crate::config::Config;
use crate::secret::{self, Secret};
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

/// What a process answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status, such as 200.
    pub(super) status: u16,
    /// What it said.
    pub(super) body: String,
}

impl Scraper {
    /// One that speaks TLS where `authority` says whom to trust, and shows `token` where there is one.
    ///
    /// # Errors
    /// Where the file holds no certificates.
    pub(super) fn new(authority: Option<PathBuf>, token: Option<Secret>) -> Result<Self, TlsError> {
        let tls = authority.map(|path| tls::trusting(&Named { key: "--ca-file", path })).transpose()?;
        Ok(Self { tls, token })
    }

    /// One that shows the token of `config`.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub(super) fn configured(authority: Option<PathBuf>, config: &Config) -> Result<Self, Failure> {
        let token = config.admin.token_file.as_deref();
        let token = token.map(|path| secret::read("admin.token_file", path)).transpose()?;
        Self::new(authority, token).map_err(|error| Failure::new(Exit::NoInput, error.to_string()))
    }

    /// What `path` at `address` says; a certificate has to be for `host`.
    pub(super) fn get(&self, address: SocketAddr, host: &str, path: &str) -> io::Result<Answer> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let answer = match &self.tls {
            None => self.ask(host, path, stream)?,
            Some(tls) => {
                let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
                let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                self.ask(host, path, StreamOwned::new(connection, stream))?
            }
        };
        parse(&answer).ok_or_else(|| io::Error::other("what answers there speaks no HTTP"))
    }

    fn ask(&self, host: &str, path: &str, mut stream: impl Read + Write) -> io::Result<String> {
        let token = self.token.as_ref();
        let token = token.map(|token| format!("Authorization: Bearer {}\r\n", token.reveal()));
        // HTTP/1.0: the end of the connection is the end of the answer.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n{}\r\n", token.unwrap_or_default())?;
        let mut answer = String::new();
        stream.take(MAX_BYTES).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.lines().next()?.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_status_and_what_is_said() {
        let answer = parse("HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\ndecode restoring\n").unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "decode restoring\n"));
        assert!(parse("SSH-2.0\r\n").is_none() && parse("").is_none());
    }
}
