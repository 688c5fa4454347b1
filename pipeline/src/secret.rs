//! Secrets: where they are read, and how they are kept from being shown.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::Path;
use std::{fs, io};

/// A password or token. `Debug` does not show it, and `Display` is not offered.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Secret(String);

impl Secret {
    /// The secret itself: for the client that sends it, and for nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `shown` is it. Digests are compared, so that the time that it takes says nothing about the secret.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        Sha256::digest(&self.0) == Sha256::digest(shown)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A file with a secret, or with certificates, could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{key}: cannot read {path}: {source}; check the path and its permissions")]
pub struct SecretError {
    /// The configuration key.
    pub key: &'static str,
    /// The path.
    pub path: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The secret in the file at `path`, which `key` names. A line break at its end is not part of it.
pub fn read(key: &'static str, path: &Path) -> Result<Secret, SecretError> {
    let text = fs::read_to_string(path).map_err(|source| {
        let path = path.display().to_string();
        SecretError { key, path, source }
    })?;
    Ok(Secret(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// `https://user:secret@host` without the secret; `None` where there is none.
#[must_use]
pub fn mask_user_info(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, _) = rest.split_once('/').unwrap_or((rest, ""));
    let (_, host) = authority.rsplit_once('@')?;
    Some(format!("{scheme}://***@{host}{}", &rest[authority.len()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_without_its_line_break_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        fs::write(&path, "hunter 2\r\n").unwrap();
        let secret = read("registry.password_file", &path).unwrap();
        assert_eq!(secret.reveal(), "hunter 2");
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.is("hunter 2") && !secret.is("hunter 3") && !secret.is(""));
        let absent = read("registry.password_file", &folder.path().join("absent")).unwrap_err();
        assert!(absent.to_string().starts_with("registry.password_file: cannot read "), "{absent}");
    }
}
