//! librdkafka configuration: what exactly-once rests on is set here and cannot be overridden.

use super::login::ClientSettings;
use crate::config::KafkaConfig;
use crate::secret::SecretError;

/// The longest record of any topic, in bytes: what producers may send and consumers must be able to take.
const MAX_RECORD_BYTES: u32 = treble_schemas::topic::MAX_DEAD_LETTER_BYTES;

/// The version of librdkafka, as it says itself.
#[must_use]
pub fn library_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// Closes clients on a thread of their own: closing can hang while brokers are gone (rust-rdkafka #509).
pub(super) fn close_aside(clients: impl Send + 'static) {
    let close = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || drop(clients));
    // Where no thread is to be had, they were closed here instead.
    close.map(drop).ok();
}

/// What every client needs to reach the cluster.
pub fn base(config: &KafkaConfig) -> Result<ClientSettings, SecretError> {
    let mut client = ClientSettings::new(config)?;
    // A commit is a dozen small requests on one connection: none waits until the one before is acknowledged.
    client.set("socket.nagle.disable", "true");
    for (key, value) in &config.properties {
        client.set(key, value);
    }
    client
        .set("bootstrap.servers", &config.bootstrap_servers)
        .set("security.protocol", config.security_protocol.name())
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.connection.setup.timeout.ms", "5000");
    if config.security_protocol.is_sasl() {
        client.set("sasl.mechanism", config.sasl_mechanism.name());
    }
    let files = [
        ("ssl.ca.location", &config.ssl_ca_file),
        ("ssl.certificate.location", &config.ssl_certificate_file),
        ("ssl.key.location", &config.ssl_key_file),
    ];
    for (key, path) in files {
        if let Some(path) = path {
            client.set(key, path.to_string_lossy());
        }
    }
    Ok(client)
}

/// A consumer that sees committed records only, and whose offsets are committed by transactions alone.
pub fn consumer(config: &KafkaConfig, group: &str) -> Result<ClientSettings, SecretError> {
    let mut client = base(config)?;
    client
        .set("group.id", group)
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .set("fetch.max.bytes", "16777216")
        .set("fetch.message.max.bytes", MAX_RECORD_BYTES.to_string())
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.queue.backoff.ms", "50")
        .set("fetch.wait.max.ms", "20");
    Ok(client)
}

/// The consumer of a worker: a static member of its group (KIP-345) under the cooperative protocol (KIP-429).
pub fn member(config: &KafkaConfig, group: &str, instance: &str) -> Result<ClientSettings, SecretError> {
    let mut client = consumer(config, group)?;
    client
        .set("group.instance.id", instance)
        .set("enable.partition.eof", "true")
        .set("statistics.interval.ms", "2000")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", config.session_timeout_ms.to_string())
        .set("heartbeat.interval.ms", (config.session_timeout_ms / 10).clamp(100, 3000).to_string())
        .set("max.poll.interval.ms", config.max_poll_interval_ms.to_string());
    Ok(client)
}

/// An idempotent producer that places records as the Java clients do.
pub fn producer(config: &KafkaConfig) -> Result<ClientSettings, SecretError> {
    let mut client = base(config)?;
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("partitioner", "murmur2_random")
        .set("compression.type", "none")
        .set("message.timeout.ms", config.message_timeout_ms.to_string())
        .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
        .set("batch.size", "1048576")
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "131072");
    Ok(client)
}

/// The producer of a worker: one transactional id an instance, so that a successor fences its predecessor.
pub fn transactional(
    config: &KafkaConfig,
    transactional_id: &str,
    transaction_timeout_ms: u64,
) -> Result<ClientSettings, SecretError> {
    let mut client = producer(config)?;
    client
        .set("transactional.id", transactional_id)
        .set("transaction.timeout.ms", transaction_timeout_ms.to_string())
        .set("linger.ms", "0");
    Ok(client)
}
