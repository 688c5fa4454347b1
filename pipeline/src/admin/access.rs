//! Who may read metrics, and how what is read is kept private.

use crate::config::AdminConfig;
use crate::ports::Clock;
use crate::secret::{self, SecretError};
use crate::telemetry::log::event::Event;
use crate::tls::{Files, Tls, TlsError};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// The configuration key of the token.
const TOKEN: &str = "admin.token_file";

/// What the operators' port rests on.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// How it speaks TLS, if it does.
    pub tls: Option<Tls>,
    token: Option<PathBuf>,
}

/// The port cannot be secured as it is configured to be.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// No certificate, or no key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No token.
    #[error(transparent)]
    Token(#[from] SecretError),
    /// A token of no characters would let in everyone who shows none.
    #[error("{TOKEN}: {0} is empty; write a token into it")]
    Empty(String),
}

impl Access {
    /// What `config` asks for; files are read once, so that a mistake is told of before anything begins.
    ///
    /// # Errors
    /// [`AccessError`].
    pub fn read(config: &AdminConfig, clock: &Arc<dyn Clock>) -> Result<Self, AccessError> {
        let certificate = ("admin.tls_certificate_file", config.tls_certificate_file.as_ref());
        let files = Files::named(certificate, ("admin.tls_key_file", config.tls_key_file.as_ref()));
        let tls = files.map(|files| Tls::read(files, Arc::clone(clock))).transpose()?;
        if let Some(path) = &config.token_file
            && secret::read(TOKEN, path)?.reveal().is_empty()
        {
            return Err(AccessError::Empty(path.display().to_string()));
        }
        Ok(Self { tls, token: config.token_file.clone() })
    }

    /// Whether who sent `headers` may read the metrics. The file is read each time: a token that was changed opens nothing any more.
    #[must_use]
    pub fn admits(&self, headers: &HeaderMap, client: SocketAddr) -> bool {
        let Some(path) = &self.token else { return true };
        let known =
            secret::read(TOKEN, path).inspect_err(|error| tracing::error!(%error, "nobody is let in"));
        let known = known.ok().filter(|token| !token.reveal().is_empty());
        let admitted = known.zip(shown(headers)).is_some_and(|(known, shown)| known.is(shown));
        if !admitted {
            let event = Event::AuthenticationFailed.text();
            tracing::warn!(event, protocol = "metrics", %client, "metrics were refused: no token, or another");
        }
        admitted
    }
}

/// The token of a request (RFC 6750).
fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;
    use std::fs;

    fn config(token: Option<PathBuf>) -> AdminConfig {
        AdminConfig {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            tls_certificate_file: None,
            tls_key_file: None,
            token_file: token,
        }
    }

    fn read(token: Option<PathBuf>) -> Result<Access, AccessError> {
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
        Access::read(&config(token), &clock)
    }

    #[test]
    fn a_token_lets_in_and_one_that_was_changed_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        assert!(matches!(read(Some(file.clone())), Err(AccessError::Token(_))));
        fs::write(&file, "\n").unwrap();
        assert!(matches!(read(Some(file.clone())), Err(AccessError::Empty(_))));
        fs::write(&file, "1815\n").unwrap();
        let access = read(Some(file.clone())).unwrap();
        let admits = |header: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            access.admits(&headers, SocketAddr::from(([127, 0, 0, 1], 1)))
        };
        assert!(admits("Bearer 1815") && admits("bearer 1815"));
        for wrong in ["Bearer 1816", "Bearer ", "Bearer", "Basic 1815", "1815"] {
            assert!(!admits(wrong), "{wrong}");
        }
        assert!(!access.admits(&HeaderMap::new(), SocketAddr::from(([127, 0, 0, 1], 1))));
        fs::write(&file, "1906").unwrap();
        assert!(!admits("Bearer 1815") && admits("Bearer 1906"));
        fs::write(&file, "").unwrap();
        assert!(!admits("Bearer "), "a file that is being written lets nobody in");
        assert!(read(None).unwrap().admits(&HeaderMap::new(), SocketAddr::from(([127, 0, 0, 1], 1))));
    }
}
