//! The password of clients, followed in its file: who changes it there need not start anything anew.
//!
//! A client that is built reads it; one that lives is told of a new one ([`ClientSettings::renew`]), or is built anew by who owns it
//! ([`ClientSettings::is_renewed`]). Certificates can only be taken by a new client ([`super::certificates`]).

use crate::config::KafkaConfig;
use crate::secret::{self, Secret, SecretError};
use crate::telemetry::log::event::Event;
use rdkafka::ClientConfig;
use rdkafka::bindings::{rd_kafka_error_destroy, rd_kafka_error_string, rd_kafka_sasl_set_credentials};
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::KafkaResult;
use std::ffi::{CStr, CString};
use std::path::PathBuf;

/// The configuration key of the file.
const KEY: &str = "kafka.sasl_password_file";

/// A user, and where the password is.
#[derive(Debug, Clone)]
struct Login {
    user: String,
    file: PathBuf,
    known: Secret,
}

impl Login {
    fn read(config: &KafkaConfig) -> Result<Option<Self>, SecretError> {
        let (Some(user), Some(file)) = (&config.sasl_username, &config.sasl_password_file) else {
            return Ok(None);
        };
        if !config.security_protocol.is_sasl() {
            return Ok(None);
        }
        let known = secret::read(KEY, file)?;
        Ok(Some(Self { user: user.clone(), file: file.clone(), known }))
    }

    /// The password, where the file holds another than before. One that is being written, or that cannot be read, is none yet.
    fn changed(&mut self) -> Option<&Secret> {
        let found = secret::read(KEY, &self.file)
            .inspect_err(|error| tracing::warn!(%error, "the password stays what it was"))
            .ok()?;
        if found == self.known || found.reveal().is_empty() {
            return None;
        }
        self.known = found;
        Some(&self.known)
    }
}

/// A client's configuration, with the login that it follows.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    properties: ClientConfig,
    login: Option<Login>,
}

impl ClientSettings {
    /// Those of a client that is to reach the cluster of `config`, with nothing but its login set.
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, SecretError> {
        Ok(Self { properties: ClientConfig::new(), login: Login::read(config)? })
    }

    /// Sets a property of librdkafka.
    pub fn set(&mut self, key: &str, value: impl Into<String>) -> &mut Self {
        self.properties.set(key, value);
        self
    }

    /// From which level on librdkafka's lines reach the client's context.
    pub(super) fn set_log_level(&mut self, level: RDKafkaLogLevel) -> &mut Self {
        self.properties.set_log_level(level);
        self
    }

    /// A client, with the password that was read last.
    pub(super) fn create<T: FromClientConfig>(&self) -> KafkaResult<T> {
        self.complete().create()
    }

    /// The same, which tells `context` what happens.
    pub(super) fn create_with_context<C, T>(&self, context: C) -> KafkaResult<T>
    where
        C: ClientContext,
        T: FromClientConfigAndContext<C>,
    {
        self.complete().create_with_context(context)
    }

    fn complete(&self) -> ClientConfig {
        let mut properties = self.properties.clone();
        if let Some(login) = &self.login {
            properties.set("sasl.username", &login.user).set("sasl.password", login.known.reveal());
        }
        properties
    }

    /// Whether the password is another than before: clients that live have the old one.
    pub(super) fn is_renewed(&mut self) -> bool {
        self.login.as_mut().is_some_and(|login| login.changed().is_some())
    }

    /// Tells `client` of the password, where it is another than before. Connections that stand go on; the next one uses it.
    pub(super) fn renew<C: ClientContext>(&mut self, client: &Client<C>) {
        if !self.is_renewed() {
            return;
        }
        let Some(login) = &self.login else { return };
        match tell(client, &login.user, login.known.reveal()) {
            Ok(()) => {
                let event = Event::SecretChanged.text();
                tracing::info!(event, user = login.user, "the password was changed, and is followed");
            }
            Err(error) => tracing::error!(error, "the password was changed, and cannot be followed"),
        }
    }
}

impl From<ClientConfig> for ClientSettings {
    fn from(properties: ClientConfig) -> Self {
        Self { properties, login: None }
    }
}

#[expect(unsafe_code, reason = "the crate rdkafka leaves this call of librdkafka out")]
fn tell<C: ClientContext>(client: &Client<C>, user: &str, password: &str) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| "a zero byte is in it".to_owned());
    let (user, password) = (text(user)?, text(password)?);
    // SAFETY: the client is borrowed, so its handle is valid, and librdkafka locks it; it copies both texts, which end in a zero byte.
    let error =
        unsafe { rd_kafka_sasl_set_credentials(client.native_ptr(), user.as_ptr(), password.as_ptr()) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is ours, is read before it is destroyed, and is destroyed once.
    let said = unsafe {
        let said = CStr::from_ptr(rd_kafka_error_string(error)).to_string_lossy().into_owned();
        rd_kafka_error_destroy(error);
        said
    };
    Err(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::consumer::{BaseConsumer, Consumer};
    use std::fs;

    fn settings(file: PathBuf) -> ClientSettings {
        let known = secret::read(KEY, &file).unwrap();
        let mut settings = ClientSettings::from(ClientConfig::new());
        settings.set("security.protocol", "SASL_PLAINTEXT").set("sasl.mechanism", "PLAIN");
        settings.login = Some(Login { user: "ada".to_owned(), file, known });
        settings
    }

    #[test]
    fn a_password_is_followed_in_its_file_once_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "first\n").unwrap();
        let mut settings = settings(file.clone());
        let password =
            |settings: &ClientSettings| settings.complete().get("sasl.password").unwrap().to_owned();
        assert_eq!(password(&settings), "first");
        assert!(!settings.is_renewed());
        fs::write(&file, "").unwrap();
        assert!(!settings.is_renewed(), "it is being written");
        fs::remove_file(&file).unwrap();
        assert!(!settings.is_renewed(), "it is being replaced");
        fs::write(&file, "second\n").unwrap();
        assert!(settings.is_renewed());
        assert!(!settings.is_renewed(), "told once");
        assert_eq!(password(&settings), "second");
        assert!(!format!("{settings:?}").contains("second"));
    }

    #[test]
    fn librdkafka_takes_a_new_password_and_refuses_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        fs::write(&file, "first").unwrap();
        let consumer: BaseConsumer = settings(file).create().unwrap();
        assert_eq!(tell(consumer.client(), "ada", "second"), Ok(()));
        assert!(tell(consumer.client(), "ada", "sec\0ond").is_err());
        let without: BaseConsumer = ClientConfig::new().create().unwrap();
        assert_eq!(tell(without.client(), "ada", "second"), Ok(()), "kept for a login that may never come");
    }
}
