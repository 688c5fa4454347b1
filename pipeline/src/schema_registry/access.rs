//! How a registry is reached: who we are to it, whom we trust.

use super::RegistryError;
use crate::config::RegistryConfig;
use crate::secret::{self, Secret, SecretError};
use reqwest::{Certificate, ClientBuilder};
use schema_registry_converter::async_impl::schema_registry::SrSettings;
use std::time::Duration;
use std::{fmt, fs};

/// Who we are to the registry.
#[derive(Debug, Clone, Default)]
pub enum RegistryAuth {
    /// Nobody in particular.
    #[default]
    None,
    /// A user.
    Basic {
        /// The name; on Confluent Cloud the API key.
        user: String,
        /// The password; on Confluent Cloud the API secret.
        password: Secret,
    },
    /// The holder of a token.
    Bearer(Secret),
}

impl RegistryAuth {
    fn read(config: &RegistryConfig) -> Result<Self, SecretError> {
        let secret = |written: &Option<Secret>, key, file: &Option<std::path::PathBuf>| match (written, file)
        {
            (Some(secret), _) => Ok(Some(secret.clone())),
            (None, Some(path)) => secret::read(key, path).map(Some),
            (None, None) => Ok(None),
        };
        if let Some(token) = secret(&config.token, "registry.token_file", &config.token_file)? {
            return Ok(Self::Bearer(token));
        }
        let password = secret(&config.password, "registry.password_file", &config.password_file)?;
        Ok(match (&config.username, password) {
            (Some(user), Some(password)) => Self::Basic { user: user.clone(), password },
            _ => Self::None,
        })
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::None, Self::None) => true,
            (Self::Basic { user, password }, Self::Basic { user: name, password: known }) => {
                user == name && password.is(known.reveal())
            }
            (Self::Bearer(token), Self::Bearer(known)) => token.is(known.reveal()),
            _ => false,
        }
    }

    /// What to do where the registry does not let us in.
    pub(super) const fn advice(&self) -> &'static str {
        match self {
            Self::None => {
                "set registry.username with registry.password_file (or TREBLE_REGISTRY_PASSWORD), or \
                 registry.token_file (or TREBLE_REGISTRY_TOKEN)"
            }
            Self::Basic { .. } => {
                "check registry.username and registry.password_file (or TREBLE_REGISTRY_PASSWORD), and what that \
                 user may do"
            }
            Self::Bearer(_) => {
                "check registry.token_file (or TREBLE_REGISTRY_TOKEN): the token may have expired"
            }
        }
    }
}

/// Everything that a client needs to reach a registry.
#[derive(Clone, Default)]
pub struct RegistryAccess {
    /// Its address.
    pub url: String,
    /// Who we are.
    pub auth: RegistryAuth,
    /// PEM certificates to trust in place of the system's.
    pub trusted: Option<Vec<u8>>,
    /// Where all of it comes from, so that files can be read again.
    source: Option<Box<RegistryConfig>>,
}

impl fmt::Debug for RegistryAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shows = f.debug_struct("RegistryAccess");
        shows.field("url", &shown(&self.url)).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl RegistryAccess {
    /// Nobody in particular, at `url`.
    #[must_use]
    pub fn anonymous(url: &str) -> Self {
        Self { url: url.to_owned(), ..Self::default() }
    }

    /// What `config` says, with the files that it names.
    pub fn read(config: &RegistryConfig) -> Result<Self, SecretError> {
        let trusted = config.ca_file.as_ref().map(|path| {
            let path_shown = path.display().to_string();
            fs::read(path).map_err(|source| SecretError { key: "registry.ca_file", path: path_shown, source })
        });
        let auth = RegistryAuth::read(config)?;
        let source = Some(Box::new(config.clone()));
        Ok(Self { url: config.url.clone(), auth, trusted: trusted.transpose()?, source })
    }

    /// What the files hold now, where that is something else.
    pub(super) fn renewed(&self) -> Option<Self> {
        let found = Self::read(self.source.as_deref()?);
        let found =
            found.inspect_err(|error| tracing::warn!(%error, "the registry is asked as before")).ok()?;
        (!found.auth.is(&self.auth) || found.trusted != self.trusted).then_some(found)
    }

    /// The settings of the client library; no call takes longer than `timeout`.
    pub(super) fn settings(&self, url: &str, timeout: Duration) -> Result<SrSettings, RegistryError> {
        let mut builder = SrSettings::new_builder(url.to_owned());
        builder.set_timeout(timeout);
        match &self.auth {
            RegistryAuth::None => &mut builder,
            RegistryAuth::Basic { user, password } => {
                builder.set_basic_authorization(user, Some(password.reveal()))
            }
            RegistryAuth::Bearer(token) => builder.set_token_authorization(token.reveal()),
        };
        if is_loopback(url) {
            // A proxy that is set for the outside would be asked for our own host.
            builder.no_proxy();
        }
        let fault = |detail: String| RegistryError::Client { url: shown(url), detail };
        let client = match &self.trusted {
            None => ClientBuilder::new(),
            Some(pem) => {
                let certificates = Certificate::from_pem_bundle(pem).map_err(|error| error.to_string());
                let certificates = certificates.and_then(|found| match found.is_empty() {
                    true => Err("it holds no PEM certificate".to_owned()),
                    false => Ok(found),
                });
                let certificates =
                    certificates.map_err(|detail| fault(format!("registry.ca_file: {detail}")))?;
                ClientBuilder::new().tls_certs_only(certificates)
            }
        };
        builder.build_with(client).map_err(|error| fault(error.to_string()))
    }
}

/// `url` as messages may show it.
pub(super) fn shown(url: &str) -> String {
    secret::mask_user_info(url).unwrap_or_else(|| url.to_owned())
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost:", "localhost/", "[::1]"].iter().any(|local| host.starts_with(local))
        || host == "localhost"
}

#[cfg(test)]
mod tests;
