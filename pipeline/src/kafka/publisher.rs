//! Publishes records one after the other: idempotent, in order, placed by key as the Java clients do.

use super::fault::{self, KafkaFault, Listener};
use super::{client, headers};
use crate::config::KafkaConfig;
use crate::ports::{Clock, OutRecord};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use treble_schemas::topic::partition_of;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Publishes to a cluster.
pub struct Publisher {
    producer: BaseProducer<Listener>,
    listener: Listener,
    clock: Arc<dyn Clock>,
    /// How long a record may wait for its acknowledgement; after it librdkafka itself gives up.
    patience: Duration,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("servers", &self.listener.servers()).finish_non_exhaustive()
    }
}

impl Publisher {
    /// A publisher to the cluster of `config`; nothing is asked yet.
    pub fn connect(config: &KafkaConfig, clock: Arc<dyn Clock>) -> Result<Self, KafkaFault> {
        let listener = Listener::new(&config.bootstrap_servers);
        let producer = client::producer(config)?
            .set_log_level(RDKafkaLogLevel::Info)
            .create_with_context(listener.clone())
            .map_err(|error| KafkaFault::client(&error))?;
        let patience = Duration::from_millis(config.message_timeout_ms) + PATIENCE;
        Ok(Self { producer, listener, clock, patience })
    }

    /// How many partitions `topic` has.
    pub fn partitions(&self, topic: &str) -> Result<NonZeroU32, KafkaFault> {
        let metadata = self.producer.client().fetch_metadata(Some(topic), PATIENCE);
        let metadata = metadata.map_err(|error| {
            fault::hear(&self.producer);
            KafkaFault::of(&error, "describe the topic", &self.listener)
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == topic && found.error().is_none());
        let count = found.and_then(|found| NonZeroU32::new(u32::try_from(found.partitions().len()).ok()?));
        count.ok_or_else(|| KafkaFault::NoTopic { topic: topic.to_owned() })
    }

    /// The partition of `key` among `partitions`.
    #[must_use]
    pub fn place(key: &[u8], partitions: NonZeroU32) -> i32 {
        partition_of(key, partitions)
    }

    /// Queues `record`; waits while the queue is full.
    pub fn publish(&self, record: &OutRecord) -> Result<(), KafkaFault> {
        let mut message: BaseRecord<'_, [u8], [u8]> =
            BaseRecord::to(&record.topic).key(&record.key[..]).headers(headers::write(&record.headers));
        message.payload = record.value.as_deref();
        message.partition = record.partition;
        let until = self.clock.now() + self.patience;
        loop {
            match self.producer.send(message) {
                Ok(()) => break,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused))
                    if self.clock.now() < until =>
                {
                    self.producer.poll(Duration::from_millis(5));
                    message = refused;
                }
                Err((error, _)) => return Err(KafkaFault::of(&error, "take a record", &self.listener)),
            }
        }
        self.producer.poll(Duration::ZERO);
        self.check()
    }

    /// Waits until every record is acknowledged.
    pub fn flush(&self) -> Result<(), KafkaFault> {
        let until = self.clock.now() + self.patience;
        while self.producer.in_flight_count() > 0 && self.clock.now() < until {
            self.producer.poll(Duration::from_millis(5));
        }
        self.check()?;
        match u64::try_from(self.producer.in_flight_count()) {
            Ok(0) => Ok(()),
            left => Err(self.undelivered(left.unwrap_or(1))),
        }
    }

    fn check(&self) -> Result<(), KafkaFault> {
        match self.listener.take_undelivered() {
            0 => Ok(()),
            failed => Err(self.undelivered(failed)),
        }
    }

    fn undelivered(&self, failed: u64) -> KafkaFault {
        let detail = self.listener.last().unwrap_or_else(|| "no answer in time".to_owned());
        KafkaFault::Undelivered { failed, detail }
    }
}
