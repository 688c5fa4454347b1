//! What consumer groups have committed, asked from outside them.

use super::client;
use super::fault::{KafkaFault, Listener};
use crate::config::KafkaConfig;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::Offset;
use std::time::Duration;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a group is asked for again whose coordinator is not there yet: half a minute in all.
const ATTEMPTS: u32 = 120;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(250);

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
    let mut attempts = ATTEMPTS;
    let positions = loop {
        match consumer.committed_offsets(asked.clone(), PATIENCE) {
            Err(error) if attempts > 0 && is_settling(&error) => {
                attempts -= 1;
                std::thread::park_timeout(PAUSE);
            }
            outcome => break outcome,
        }
    };
    let fault = |error| KafkaFault::of(&error, "read a group's positions", &listener);
    let positions = positions.map_err(fault)?;
    Ok(positions.elements().iter().any(|element| matches!(element.offset(), Offset::Offset(_))))
}

/// Whether the group's coordinator is about to be there: on a young cluster, and after a broker's end, it has yet to be
/// found.
fn is_settling(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let settling = [CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator];
    error.rdkafka_error_code().is_some_and(|code| settling.contains(&code))
}
