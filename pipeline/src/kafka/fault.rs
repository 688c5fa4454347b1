//! What goes wrong with a cluster, said for people; and a client context that remembers why.

use crate::redact::redact;
use crate::secret::SecretError;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use thiserror::Error;

/// What goes wrong with a cluster.
#[derive(Debug, Error)]
pub enum KafkaFault {
    /// Nobody answers.
    #[error("Kafka at {servers} does not answer: {detail}")]
    Unreachable {
        /// The brokers asked.
        servers: String,
        /// What the client met.
        detail: String,
    },
    /// Brokers answer, and do not let this client in.
    #[error("Kafka at {servers} does not let this client in: {detail}")]
    Login {
        /// The brokers asked.
        servers: String,
        /// What they said.
        detail: String,
    },
    /// The two sides do not agree on TLS: one does not trust the other's certificate, or only one speaks it.
    #[error("no secure connection with Kafka at {servers}: {detail}")]
    Handshake {
        /// The brokers asked.
        servers: String,
        /// What the client met.
        detail: String,
    },
    /// A topic is not there.
    #[error("topic {topic} does not exist")]
    NoTopic {
        /// The topic.
        topic: String,
    },
    /// The cluster refused.
    #[error("Kafka refused to {action}: {detail}")]
    Refused {
        /// What was asked for.
        action: String,
        /// What it said.
        detail: String,
        /// Whether rights are missing.
        unauthorized: bool,
    },
    /// Records were not acknowledged.
    #[error("{failed} records were not acknowledged: {detail}")]
    Undelivered {
        /// How many.
        failed: u64,
        /// The last reason.
        detail: String,
    },
    /// A secret could not be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The client could not be built.
    #[error("the Kafka client cannot be built: {detail}")]
    Client {
        /// What it said.
        detail: String,
    },
}

impl KafkaFault {
    /// librdkafka repeats the property that it refuses, whatever it holds.
    pub(super) fn client(error: &KafkaError) -> Self {
        Self::Client { detail: redact(&error.to_string()).into_owned() }
    }

    /// No connection comes about. librdkafka tries for ever, and tells only in words whether there is hope.
    fn cut_off(servers: &str, detail: String) -> Self {
        let servers = servers.to_owned();
        if detail.contains("SASL") && detail.contains("uthentication") {
            Self::Login { servers, detail }
        } else if detail.contains("SSL") {
            Self::Handshake { servers, detail }
        } else {
            Self::Unreachable { servers, detail }
        }
    }

    /// What `error` means, met while doing `action`.
    pub(super) fn of(error: &KafkaError, action: &str, context: &Listener) -> Self {
        let code = match error {
            // The library leaves the code of administrative operations out.
            KafkaError::AdminOp(code) => Some(*code),
            other => other.rdkafka_error_code(),
        };
        let lost =
            [Code::BrokerTransportFailure, Code::AllBrokersDown, Code::OperationTimedOut, Code::Resolve];
        if code.is_some_and(|code| lost.contains(&code)) {
            return Self::cut_off(&context.servers, context.last().unwrap_or_else(|| error.to_string()));
        }
        let denied = [
            Code::TopicAuthorizationFailed,
            Code::ClusterAuthorizationFailed,
            Code::GroupAuthorizationFailed,
            Code::SaslAuthenticationFailed,
            Code::Authentication,
        ];
        Self::Refused {
            action: action.to_owned(),
            detail: error.to_string(),
            unauthorized: code.is_some_and(|code| denied.contains(&code)),
        }
    }
}

/// Keeps the latest reason that librdkafka gave, which its calls do not return: "connection refused" rather
/// than "broker transport failure".
#[derive(Debug, Clone)]
pub struct Listener {
    servers: String,
    /// Written by librdkafka's callbacks, read by the thread that made the call.
    heard: Arc<Mutex<Heard>>,
}

#[derive(Debug, Default)]
struct Heard {
    last: Option<String>,
    undelivered: u64,
}

impl Listener {
    pub(super) fn new(servers: &str) -> Self {
        Self { servers: servers.to_owned(), heard: Arc::default() }
    }

    /// The brokers asked.
    pub(super) fn servers(&self) -> &str {
        &self.servers
    }

    /// The latest reason.
    pub(super) fn last(&self) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).last.clone()
    }

    /// Records refused since the last call.
    pub(super) fn take_undelivered(&self) -> u64 {
        std::mem::take(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner).undelivered)
    }

    fn hear(&self, reason: String, undelivered: u64) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // "Connection closed by peer" comes after the reason why it was.
        if is_telling(&reason) || !heard.last.as_deref().is_some_and(is_telling) {
            heard.last = Some(reason);
        }
        heard.undelivered += undelivered;
    }
}

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "librdkafka");
        if facility == "FAIL" {
            self.hear(reason_of(message), 0);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // "All brokers down" follows every single reason and says less.
        if error.rdkafka_error_code() != Some(Code::AllBrokersDown) {
            self.hear(reason_of(reason), 0);
        }
    }
}

/// Hands the events that wait to `producer`'s listener: polled without patience, a producer gives one at a time.
pub(super) fn hear<C: ProducerContext>(producer: &BaseProducer<C>) {
    for _ in 0..64 {
        producer.poll(Duration::ZERO);
    }
}

impl ConsumerContext for Listener {}

impl ProducerContext for Listener {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.hear(error.to_string(), 1);
        }
    }
}

/// Whether a reason tells more than that a connection was lost.
fn is_telling(reason: &str) -> bool {
    reason.contains("SSL") || reason.contains("SASL")
}

/// `host:1/bootstrap: Connect to … failed: Connection refused (after 0ms in state CONNECT)` without the noise.
fn reason_of(text: &str) -> String {
    let text = text.split(" (after ").next().unwrap_or(text);
    text.rsplit_once("/bootstrap: ").map_or(text, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_without_noise() {
        let text = "127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in state CONNECT)";
        assert_eq!(reason_of(text), "Connect to ipv4#127.0.0.1:1 failed: Connection refused");
    }

    #[test]
    fn who_is_not_let_in_is_told_so() {
        let of = |detail: &str| KafkaFault::cut_off("k:1", detail.to_owned());
        let refused = "SASL authentication error: Authentication failed during authentication due to invalid credentials with SASL mechanism SCRAM-SHA-512";
        assert!(matches!(of(refused), KafkaFault::Login { .. }));
        for detail in [
            "SSL handshake failed: error:0A000086:SSL routines::certificate verify failed",
            "Receive failed: error:0A000412:SSL routines::sslv3 alert bad certificate: SSL alert number 42",
            "Disconnected while requesting ApiVersion: might be caused by incorrect security.protocol configuration (connecting to a SSL listener?)",
        ] {
            assert!(matches!(of(detail), KafkaFault::Handshake { .. }), "{detail}");
        }
        let refused = "Connect to ipv4#127.0.0.1:1 failed: Connection refused";
        assert!(matches!(of(refused), KafkaFault::Unreachable { .. }));
    }

    #[test]
    fn an_administrative_call_that_nobody_answers_is_a_cluster_that_is_not_there() {
        let fault = KafkaFault::of(
            &KafkaError::AdminOp(Code::OperationTimedOut),
            "create topics",
            &Listener::new("k:1"),
        );
        assert!(matches!(fault, KafkaFault::Unreachable { .. }), "{fault}");
    }
}
