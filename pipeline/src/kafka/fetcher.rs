//! Reads a topic's committed records from where one likes, as a member of no group.

use super::certificates::Certificates;
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
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a partition without a leader is looked at again, and after what time: five seconds together.
const ELECTION_LOOKS: u32 = 20;
const ELECTION_PAUSE: Duration = Duration::from_millis(250);

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
    certificates: Certificates,
    consumer: BaseConsumer<Listener>,
    listener: Listener,
    topic: Arc<str>,
    /// Where each partition that is read goes on.
    next: BTreeMap<i32, i64>,
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
        let certificates = Certificates::of(config);
        Ok(Self {
            consumer: consumer(&settings, &listener)?,
            settings,
            certificates,
            listener,
            topic: topic.into(),
            next: BTreeMap::new(),
            unread: BTreeSet::new(),
            behind: BTreeSet::new(),
        })
    }

    /// The beginnings of all partitions, or of what came at or after `since_ms` (Unix time).
    pub fn beginnings(&mut self, since_ms: Option<i64>) -> Result<Vec<Position>, KafkaFault> {
        self.follow_secrets()?;
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
        let (offset, _) =
            self.bounds(partition).map_err(|error| self.fault(&error, "tell where the topic begins"))?;
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
        self.next = positions.iter().map(|position| (position.partition, position.offset)).collect();
        self.unread = self.next.keys().copied().collect();
        self.go_on()
    }

    fn go_on(&mut self) -> Result<(), KafkaFault> {
        self.behind = self.next.keys().copied().collect();
        let wanted: Vec<_> =
            self.next.iter().map(|(&partition, &offset)| (partition, Offset::Offset(offset))).collect();
        let list = self.list(&wanted)?;
        self.consumer.assign(&list).map_err(|error| self.fault(&error, "read"))
    }

    /// Tells the client of a new password; where certificates are new, another client goes on where this one is.
    fn follow_secrets(&mut self) -> Result<(), KafkaFault> {
        self.settings.renew(self.consumer.client());
        if !self.certificates.are_renewed() {
            return Ok(());
        }
        let anew = consumer(&self.settings, &self.listener)?;
        client::close_aside(std::mem::replace(&mut self.consumer, anew));
        self.go_on()
    }

    /// What comes next, waiting for `timeout` at most.
    pub fn poll(&mut self, timeout: Duration) -> Result<Polled, KafkaFault> {
        let fault = match self.consumer.poll(timeout) {
            None => None,
            Some(Ok(message)) => {
                self.behind.insert(message.partition());
                self.next.insert(message.partition(), message.offset() + 1);
                return Ok(Polled::Record(self.record(&message)));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.unread.remove(&partition);
                self.behind.remove(&partition);
                return Ok(if self.unread.is_empty() { Polled::AtEnd } else { Polled::Nothing });
            }
            Some(Err(error)) if is_passing(&error) => None,
            Some(Err(error)) => Some(self.fault(&error, "read")),
        };
        // While nothing comes there is time, and perhaps a reason.
        self.follow_secrets()?;
        fault.map_or(Ok(Polled::Nothing), Err)
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
        self.bounds(partition)
            .map(|(_, end)| end)
            .map_err(|error| self.fault(&error, "tell where the topic ends"))
    }

    /// Where `partition` begins and ends. A topic that has just been created has no leader for a moment.
    fn bounds(&self, partition: i32) -> Result<(i64, i64), KafkaError> {
        let ask = || self.consumer.fetch_watermarks(&self.topic, partition, PATIENCE);
        let mut answer = ask();
        for _ in 0..ELECTION_LOOKS {
            if !answer.as_ref().is_err_and(is_leaderless) {
                break;
            }
            std::thread::park_timeout(ELECTION_PAUSE);
            answer = ask();
        }
        answer
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

fn consumer(settings: &ClientSettings, listener: &Listener) -> Result<BaseConsumer<Listener>, KafkaFault> {
    settings.create_with_context(listener.clone()).map_err(|error| KafkaFault::client(&error))
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

/// Whether `error` says that a leader is being elected.
fn is_leaderless(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Request, Surroundings};
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    #[test]
    fn a_partition_whose_leader_is_being_elected_is_asked_again() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("new", 1, 1).unwrap();
        let surroundings = Surroundings { host_name: "host".to_owned(), ..Surroundings::default() };
        let mut config = config::load(&Request::default(), &surroundings).unwrap().config.kafka;
        config.bootstrap_servers = cluster.bootstrap_servers();
        let mut fetcher = Fetcher::connect(&config, "new").unwrap();
        let elected = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 3];
        cluster.request_errors(RDKafkaApiKey::ListOffsets, &elected);
        let begins = fetcher.beginnings(None).unwrap();
        assert_eq!(begins, [Position { partition: 0, offset: 0 }]);
    }
}
