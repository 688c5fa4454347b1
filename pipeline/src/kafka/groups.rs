//! What consumer groups have committed, asked from outside them.

use super::client;
use super::fault::{KafkaFault, Listener};
use crate::config::KafkaConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::Offset;
use std::time::Duration;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether `group` has committed a position on any of the first `partitions` partitions of `topic`.
pub fn has_committed(
    config: &KafkaConfig,
    group: &str,
    topic: &str,
    partitions: u32,
) -> Result<bool, KafkaFault> {
    let listener = Listener::new(&config.bootstrap_servers);
    let consumer: BaseConsumer<Listener> = client::base(config)?
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        // Whether, not where: a transaction that is still open on the position need not be waited for.
        .set("isolation.level", "read_uncommitted")
        .create_with_context(listener.clone())
        .map_err(|error| KafkaFault::client(&error))?;
    let mut asked = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        asked.add_partition(topic, partition);
    }
    let action = "read a group's positions";
    let positions = consumer.committed_offsets(asked, PATIENCE);
    let positions = positions.map_err(|error| KafkaFault::of(&error, action, &listener))?;
    Ok(positions.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_))))
}
