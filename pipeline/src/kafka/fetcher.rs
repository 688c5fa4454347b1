//! Reads a topic's committed records from where one likes, as a member of no group.

use super::fault::{KafkaFault, Listener};
use super::login::ClientSettings;
use super::{client, headers};
use crate::config::KafkaConfig;
use crate::ports::InRecord;
use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// A position in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset; one that is no longer held means the first that is.
    pub offset: i64,
}

/// What one poll gave.
#[derive(Debug)]
pub enum Polled {
    /// A record.
    Record(InRecord),
    /// Every partition is read to its present end.
    AtEnd,
    /// Nothing for now.
    Nothing,
}

/// Reads one topic.
pub struct Fetcher {
    settings: ClientSettings,
    consumer: BaseConsumer<Listener>,
    listener: Listener,
    topic: Arc<str>,
    /// Partitions not yet read to their end.
    unread: BTreeSet<i32>,
    /// Partitions whose end is not known to be reached now.
    behind: BTreeSet<i32>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// A reader of `topic` in the cluster of `config`; it joins no group and commits nothing.
    pub fn connect(config: &KafkaConfig, topic: &str) -> Result<Self, KafkaFault> {
        let listener = Listener::new(&config.bootstrap_servers);
        let mut settings = client::consumer(config, &format!("{topic}.reader"))?;
        settings.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
        let consumer =
            settings.create_with_context(listener.clone()).map_err(|error| KafkaFault::client(&error))?;
        Ok(Self {
            settings,
            consumer,
            listener,
            topic: topic.into(),
            unread: BTreeSet::new(),
            behind: BTreeSet::new(),
        })
    }

    /// The beginnings of all partitions, or of what came at or after `since_ms` (Unix time).
    pub fn beginnings(&self, since_ms: Option<i64>) -> Result<Vec<Position>, KafkaFault> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), PATIENCE);
        let metadata = metadata.map_err(|error| self.fault(&error, "describe the topic"))?;
        let found =
            metadata.topics().iter().find(|found| found.name() == &*self.topic && found.error().is_none());
        let missing = || KafkaFault::NoTopic { topic: self.topic.to_string() };
        let partitions: Vec<i32> =
            found.ok_or_else(missing)?.partitions().iter().map(|partition| partition.id()).collect();
        match since_ms {
            Some(since_ms) => self.positions_at(&partitions, since_ms),
            None => partitions.into_iter().map(|partition| self.beginning(partition)).collect(),
        }
    }

    fn beginning(&self, partition: i32) -> Result<Position, KafkaFault> {
        let bounds = self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE);
        let (offset, _) = bounds.map_err(|error| self.fault(&error, "tell where the topic begins"))?;
        Ok(Position { partition, offset })
    }

    fn positions_at(&self, partitions: &[i32], since_ms: i64) -> Result<Vec<Position>, KafkaFault> {
        let wanted: Vec<_> =
            partitions.iter().map(|&partition| (partition, Offset::Offset(since_ms))).collect();
        let found = self.consumer.offsets_for_times(self.list(&wanted)?, PATIENCE);
        let found = found.map_err(|error| self.fault(&error, "find a time"))?;
        let position = |&partition: &i32| {
            let element = found.find_partition(&self.topic, partition);
            match element.map(|element| element.offset()) {
                Some(Offset::Offset(offset)) => Ok(Position { partition, offset }),
                // Nothing came since: the end.
                _ => Ok(Position { partition, offset: self.end(partition)? }),
            }
        };
        partitions.iter().map(position).collect()
    }

    /// Begins to read at `positions`, and nowhere else.
    pub fn start(&mut self, positions: &[Position]) -> Result<(), KafkaFault> {
        let wanted: Vec<_> =
            positions.iter().map(|position| (position.partition, Offset::Offset(position.offset))).collect();
        let list = self.list(&wanted)?;
        self.unread = positions.iter().map(|position| position.partition).collect();
        self.behind = self.unread.clone();
        self.consumer.assign(&list).map_err(|error| self.fault(&error, "read"))
    }

    /// What comes next, waiting for `timeout` at most.
    pub fn poll(&mut self, timeout: Duration) -> Result<Polled, KafkaFault> {
        match self.consumer.poll(timeout) {
            None => {
                // While nothing comes there is time, and perhaps a reason.
                self.settings.renew(self.consumer.client());
                Ok(Polled::Nothing)
            }
            Some(Ok(message)) => {
                self.behind.insert(message.partition());
                Ok(Polled::Record(self.record(&message)))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.unread.remove(&partition);
                self.behind.remove(&partition);
                Ok(if self.unread.is_empty() { Polled::AtEnd } else { Polled::Nothing })
            }
            Some(Err(error)) if is_passing(&error) => Ok(Polled::Nothing),
            Some(Err(error)) => Err(self.fault(&error, "read")),
        }
    }

    /// Whether every partition was read to its end, as it was when it was reached.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.unread.is_empty()
    }

    /// Whether nothing was left of `partition` when it was last looked at: no committed record is waiting.
    #[must_use]
    pub fn is_read(&self, partition: i32) -> bool {
        !self.behind.contains(&partition)
    }

    /// The offset behind the last record of `partition`, committed or not.
    pub fn end(&self, partition: i32) -> Result<i64, KafkaFault> {
        let bounds = self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE);
        bounds.map(|(_, end)| end).map_err(|error| self.fault(&error, "tell where the topic ends"))
    }

    /// The latest trouble that the client met, where it met any.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.listener.last()
    }

    fn list(&self, wanted: &[(i32, Offset)]) -> Result<TopicPartitionList, KafkaFault> {
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (partition, offset) in wanted {
            list.add_partition_offset(&self.topic, *partition, *offset)
                .map_err(|error| self.fault(&error, "read"))?;
        }
        Ok(list)
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> InRecord {
        InRecord {
            topic: Arc::clone(&self.topic),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
            key: message.key().map(Bytes::copy_from_slice),
            value: message.payload().map(Bytes::copy_from_slice),
            headers: message.headers().map(headers::read).unwrap_or_default(),
        }
    }

    fn fault(&self, error: &KafkaError, action: &str) -> KafkaFault {
        KafkaFault::of(error, action, &self.listener)
    }
}

/// Whether librdkafka mends `error` by itself.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    let passing = [
        Code::BrokerTransportFailure,
        Code::AllBrokersDown,
        Code::OperationTimedOut,
        Code::NotLeaderForPartition,
    ];
    error.rdkafka_error_code().is_some_and(|code| passing.contains(&code))
}
