//! Certificates of clients, followed in their files.
//!
//! librdkafka reads them when a client is made, and never again: whoever wants new ones used makes new clients. A reader does so by
//! itself ([`super::fetcher`], [`super::lag`]); stages, whose state hangs on their clients, end and begin anew.

use crate::config::KafkaConfig;
use crate::telemetry::log::event::Event;
use crate::tls::{Files, Named, trusting};
use std::path::PathBuf;

/// The files that a configuration names, and what they held when they were last found to fit together.
#[derive(Debug)]
pub struct Certificates {
    authority: Option<Named>,
    own: Option<Files>,
    known: Vec<Vec<u8>>,
    /// What was last found not to fit together, so that it is told once.
    refused: Option<Vec<Vec<u8>>>,
}

impl Certificates {
    /// Those of `config`, as they are now.
    #[must_use]
    pub fn of(config: &KafkaConfig) -> Self {
        let KafkaConfig { ssl_ca_file, ssl_certificate_file, ssl_key_file, .. } = config;
        let authority = ssl_ca_file.clone().map(|path| Named { key: "kafka.ssl_ca_file", path });
        let own = Files::named(
            ("kafka.ssl_certificate_file", ssl_certificate_file.as_ref()),
            ("kafka.ssl_key_file", ssl_key_file.as_ref()),
        );
        let mut certificates = Self { authority, own, known: Vec::new(), refused: None };
        certificates.known = certificates.read();
        certificates
    }

    /// Whether the configuration names none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let own = self.own.iter().flat_map(Files::paths);
        self.authority.iter().map(|file| &file.path).chain(own)
    }

    /// What is not there is empty: it is being replaced.
    fn read(&self) -> Vec<Vec<u8>> {
        self.paths().map(|path| std::fs::read(path).unwrap_or_default()).collect()
    }

    /// Whether the files hold others than before, which fit together; told once. A key that is there before its certificate
    /// is waited for.
    pub fn are_renewed(&mut self) -> bool {
        let found = self.read();
        if found == self.known || self.refused.as_ref() == Some(&found) {
            return false;
        }
        let own = self.own.as_ref().map_or(Ok(()), Files::check);
        let fit = own.and_then(|()| self.authority.as_ref().map_or(Ok(()), |file| trusting(file).map(drop)));
        match fit {
            Ok(()) => {
                tracing::info!(event = Event::SecretChanged.text(), "certificates for Kafka were renewed");
                self.known = found;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "the old certificate is used");
                self.refused = Some(found);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, Surroundings, load};
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    fn make(folder: &Path, name: &str) {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=test"]);
        let path = |ending| folder.join(format!("{name}.{ending}"));
        let made = command.arg("-keyout").arg(path("key")).arg("-out").arg(path("crt")).output().unwrap();
        assert!(made.status.success(), "openssl: {made:?}; set-up with --tests installs it");
    }

    fn certificates(folder: &Path) -> Certificates {
        let mut request = Request::default();
        request.set("kafka.security_protocol", "SSL", "--test");
        for (key, name) in [
            ("kafka.ssl_ca_file", "one.crt"),
            ("kafka.ssl_certificate_file", "own.crt"),
            ("kafka.ssl_key_file", "own.key"),
        ] {
            request.set(key, folder.join(name).display().to_string(), "--test");
        }
        let surroundings = Surroundings { host_name: "box".to_owned(), ..Surroundings::default() };
        Certificates::of(&load(&request, &surroundings).unwrap().config.kafka)
    }

    #[test]
    fn new_ones_are_told_of_once_and_once_they_fit_together() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for name in ["one", "own", "next"] {
            make(folder, name);
        }
        let mut certificates = certificates(folder);
        assert!(!certificates.are_renewed());
        fs::copy(folder.join("next.key"), folder.join("own.key")).unwrap();
        assert!(!certificates.are_renewed(), "its certificate is not there yet");
        fs::copy(folder.join("next.crt"), folder.join("own.crt")).unwrap();
        assert!(certificates.are_renewed());
        assert!(!certificates.are_renewed(), "told once");
        fs::write(folder.join("one.crt"), "nonsense").unwrap();
        assert!(!certificates.are_renewed(), "nobody would be trusted");
        fs::copy(folder.join("next.crt"), folder.join("one.crt")).unwrap();
        assert!(certificates.are_renewed());
        fs::remove_file(folder.join("one.crt")).unwrap();
        assert!(!certificates.are_renewed(), "it is being replaced");
    }
}
