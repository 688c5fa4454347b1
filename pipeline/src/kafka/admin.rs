//! Topics: what is there, what is missing, their creation, and what of them may go. Calls block; none may come from an async thread.

use super::client;
use super::fault::{self, KafkaFault, Listener};
use super::fetcher::Position;
use crate::config::KafkaConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(5);

/// A topic, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicState {
    /// How many partitions.
    pub partitions: u32,
    /// The fewest copies of any of them.
    pub replication: u16,
}

/// A topic, as it is to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: u32,
    /// Copies of each.
    pub replication: u16,
    /// Its configuration, by Kafka's keys.
    pub configs: Vec<(String, String)>,
}

/// What became of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It is there now.
    Created,
    /// It was there already.
    Existed,
    /// Refused, with the reason.
    Refused(String),
    /// The user may not create it.
    Forbidden(String),
}

/// A connection for administration.
pub struct Admin {
    client: AdminClient<Listener>,
    /// Asks what is there: a producer can be polled, and then tells why nobody answers. A client for administration cannot.
    asker: BaseProducer<Listener>,
    listener: Listener,
    runtime: Runtime,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").field("servers", &self.listener.servers()).finish_non_exhaustive()
    }
}

impl Admin {
    /// A connection to the cluster of `config`; nothing is asked yet.
    pub fn connect(config: &KafkaConfig) -> Result<Self, KafkaFault> {
        let listener = Listener::new(&config.bootstrap_servers);
        let mut settings = client::base(config)?;
        // That the port speaks TLS and the client does not is no error to librdkafka.
        settings.set_log_level(RDKafkaLogLevel::Info);
        let client = settings.create_with_context(listener.clone());
        let client = client.map_err(|error| KafkaFault::client(&error))?;
        let asker = settings.create_with_context(listener.clone());
        let asker = asker.map_err(|error| KafkaFault::client(&error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| KafkaFault::Client { detail: error.to_string() })?;
        Ok(Self { client, asker, listener, runtime })
    }

    /// How many brokers there are, and all topics by name.
    pub fn topics(&self) -> Result<(usize, BTreeMap<String, TopicState>), KafkaFault> {
        let metadata = self.asker.client().fetch_metadata(None, PATIENCE);
        let metadata = metadata.map_err(|error| {
            fault::hear(&self.asker);
            KafkaFault::of(&error, "list topics", &self.listener)
        })?;
        let state = |topic: &rdkafka::metadata::MetadataTopic| {
            let copies = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
            TopicState {
                partitions: u32::try_from(topic.partitions().len()).unwrap_or(u32::MAX),
                replication: u16::try_from(copies.unwrap_or(0)).unwrap_or(u16::MAX),
            }
        };
        let topics = metadata.topics().iter().map(|topic| (topic.name().to_owned(), state(topic)));
        Ok((metadata.brokers().len(), topics.collect()))
    }

    /// Creates `plans`; the outcome of each, in order.
    pub fn create(&self, plans: &[TopicPlan]) -> Result<Vec<Creation>, KafkaFault> {
        let topics: Vec<NewTopic<'_>> = plans.iter().map(new_topic).collect();
        let options =
            AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(2 * PATIENCE));
        let created = self.runtime.block_on(self.client.create_topics(&topics, &options));
        let created = created.map_err(|error| KafkaFault::of(&error, "create topics", &self.listener))?;
        let outcome = |result| match result {
            Ok(_) => Creation::Created,
            Err((_, Code::TopicAlreadyExists)) => Creation::Existed,
            Err((_, code @ (Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed))) => {
                Creation::Forbidden(KafkaError::AdminOp(code).to_string())
            }
            Err((_, code)) => Creation::Refused(KafkaError::AdminOp(code).to_string()),
        };
        Ok(created.into_iter().map(outcome).collect())
    }

    /// The configuration of topics that exist, in the order of `names`.
    pub fn configs(&self, names: &[&str]) -> Result<Vec<BTreeMap<String, String>>, KafkaFault> {
        let specifiers: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let options = AdminOptions::new().request_timeout(Some(PATIENCE));
        let described = self.runtime.block_on(self.client.describe_configs(&specifiers, &options));
        let fault = |error| KafkaFault::of(&error, "describe topics", &self.listener);
        let described = described.map_err(fault)?;
        let entries = |resource: rdkafka::admin::ConfigResource| {
            let pairs = resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            pairs.collect()
        };
        let each = described.into_iter().map(|result| result.map(entries));
        each.collect::<Result<_, _>>().map_err(|code| fault(rdkafka::error::KafkaError::AdminOp(code)))
    }

    /// Deletes what lies below `positions` of `topic`: for good, and for all who read it.
    pub fn delete_before(&self, topic: &str, positions: &[Position]) -> Result<(), KafkaFault> {
        let fault = |error| KafkaFault::of(&error, "delete records", &self.listener);
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for position in positions {
            list.add_partition_offset(topic, position.partition, Offset::Offset(position.offset))
                .map_err(fault)?;
        }
        let options =
            AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(2 * PATIENCE));
        let deleted = self.runtime.block_on(self.client.delete_records(&list, &options)).map_err(fault)?;
        deleted.elements().iter().try_for_each(|element| element.error().map_err(fault))
    }
}

fn new_topic(plan: &TopicPlan) -> NewTopic<'_> {
    let partitions = i32::try_from(plan.partitions).unwrap_or(i32::MAX);
    let replication = TopicReplication::Fixed(i32::from(plan.replication));
    let topic = NewTopic::new(&plan.name, partitions, replication);
    plan.configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}
