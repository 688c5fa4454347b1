//! [`Cluster`] over real brokers: groups, bounds, positions, and the record at a position.
//!
//! Three consumers that join nothing: one that sees only what is committed, for last stable offsets and for records; one
//! that sees everything, for high watermarks; and one for each group, which asks for the group's positions without waiting
//! for open transactions.

use super::admin::Admin;
use super::certificates::Certificates;
use super::client;
use super::fault::{KafkaFault, Listener};
use super::login::ClientSettings;
use crate::config::KafkaConfig;
use crate::lag::cluster::{Bounds, Cluster, Found, Group, Place};
use crate::ports::Clock;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::groups::GroupInfo;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// The most that one question to the cluster takes.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one poll waits, so that the deadline is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Bytes that are fetched of a partition to find one record; a batch that is larger comes whole (KIP-74).
const FETCH_BYTES: &str = "65536";
/// Kafka's own topics begin with this.
const INTERNAL: &str = "__";

/// See the module.
pub struct KafkaCluster {
    config: KafkaConfig,
    settings: ClientSettings,
    certificates: Certificates,
    clock: Arc<dyn Clock>,
    listener: Listener,
    admin: Admin,
    committed: BaseConsumer<Listener>,
    everything: BaseConsumer<Listener>,
    groups: BTreeMap<String, BaseConsumer<Listener>>,
}

impl std::fmt::Debug for KafkaCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaCluster").field("groups", &self.groups.len()).finish_non_exhaustive()
    }
}

impl KafkaCluster {
    /// Connects to the cluster of `config`; nothing is asked yet.
    pub fn connect(config: &KafkaConfig, clock: Arc<dyn Clock>) -> Result<Self, KafkaFault> {
        let listener = Listener::new(&config.bootstrap_servers);
        let reader = |isolation: &str| {
            // The group is joined by nobody, and nothing is committed for it; the library wants a name.
            let mut client = client::consumer(config, "treble.lag")?;
            client
                .set("isolation.level", isolation)
                .set("enable.partition.eof", "true")
                .set("auto.offset.reset", "earliest")
                .set("fetch.message.max.bytes", FETCH_BYTES)
                .set("queued.min.messages", "1");
            client.create_with_context(listener.clone()).map_err(|error| KafkaFault::client(&error))
        };
        Ok(Self {
            committed: reader("read_committed")?,
            everything: reader("read_uncommitted")?,
            groups: BTreeMap::new(),
            settings: client::base(config)?,
            certificates: Certificates::of(config),
            admin: Admin::connect(config)?,
            config: config.clone(),
            clock,
            listener,
        })
    }

    /// Begins anew where the password or a certificate is another: four clients and one a group would have to be told.
    fn follow_secrets(&mut self) -> Result<(), KafkaFault> {
        let (password, certificates) = (self.settings.is_renewed(), self.certificates.are_renewed());
        if password || certificates {
            let anew = Self::connect(&self.config, Arc::clone(&self.clock))?;
            client::close_aside(std::mem::replace(self, anew));
        }
        Ok(())
    }

    fn fault(&self, error: &KafkaError, action: &str) -> KafkaFault {
        KafkaFault::of(error, action, &self.listener)
    }

    fn places(&self) -> Result<Vec<Place>, KafkaFault> {
        let metadata = self.everything.fetch_metadata(None, PATIENCE);
        let metadata = metadata.map_err(|error| self.fault(&error, "list topics"))?;
        let topics = metadata.topics().iter().filter(|topic| topic.error().is_none());
        let own = topics.filter(|topic| !topic.name().starts_with(INTERNAL));
        let places = own.flat_map(|topic| {
            let name: Arc<str> = topic.name().into();
            let partitions = topic.partitions().iter();
            partitions.map(move |partition| Place { topic: Arc::clone(&name), partition: partition.id() })
        });
        Ok(places.collect())
    }

    /// Where each log begins or ends, by one question to each broker: a time of `Beginning` or `End` asks for that.
    fn edge(
        &self,
        consumer: &BaseConsumer<Listener>,
        places: &[Place],
        edge: Offset,
    ) -> Result<BTreeMap<Place, i64>, KafkaFault> {
        let asked: Vec<_> = places.iter().map(|place| (place.clone(), edge)).collect();
        let told = consumer.offsets_for_times(self.list(&asked)?, PATIENCE);
        Ok(offsets(&told.map_err(|error| self.fault(&error, "tell where logs begin and end"))?))
    }

    fn list(&self, wanted: &[(Place, Offset)]) -> Result<TopicPartitionList, KafkaFault> {
        let mut list = TopicPartitionList::with_capacity(wanted.len());
        for (place, offset) in wanted {
            list.add_partition_offset(&place.topic, place.partition, *offset)
                .map_err(|error| self.fault(&error, "name a position"))?;
        }
        Ok(list)
    }

    fn group(&mut self, name: &str) -> Result<&BaseConsumer<Listener>, KafkaFault> {
        if !self.groups.contains_key(name) {
            let consumer: BaseConsumer<Listener> = client::base(&self.config)?
                .set("group.id", name)
                .set("enable.auto.commit", "false")
                // Require-stable would fail while a transaction is open on the position.
                .set("isolation.level", "read_uncommitted")
                .create_with_context(self.listener.clone())
                .map_err(|error| KafkaFault::client(&error))?;
            self.groups.insert(name.to_owned(), consumer);
        }
        Ok(self.groups.get(name).expect("put there just above"))
    }

    /// Reads at `round`, whose partitions have different numbers: the end of a partition is announced by number alone.
    fn read_round(
        &self,
        round: &[(Place, i64)],
        until: Duration,
        found: &mut BTreeMap<(Place, i64), Found>,
    ) -> Result<(), KafkaFault> {
        let wanted: Vec<_> =
            round.iter().map(|(place, offset)| (place.clone(), Offset::Offset(*offset))).collect();
        let fault = |error| self.fault(&error, "read a record");
        self.committed.assign(&self.list(&wanted)?).map_err(fault)?;
        let mut missing: BTreeMap<i32, &(Place, i64)> =
            round.iter().map(|position| (position.0.partition, position)).collect();
        while !missing.is_empty() && self.clock.now() < until {
            match self.committed.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let (partition, timestamp) = (message.partition(), message.timestamp());
                    let position = missing.get(&partition).filter(|position| {
                        *position.0.topic == *message.topic() && message.offset() >= position.1
                    });
                    if let Some(position) = position {
                        let timestamp_ms = timestamp.to_millis().unwrap_or(-1);
                        found.insert((*position).clone(), Found::Record { timestamp_ms });
                        missing.remove(&partition);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    if let Some(position) = missing.remove(&partition) {
                        found.insert(position.clone(), Found::Nothing);
                    }
                }
                // A partition that cannot be read now keeps its place among the missing; others go on.
                Some(Err(error)) => tracing::debug!(%error, "reading at a position"),
            }
        }
        self.committed.unassign().map_err(fault)
    }
}

impl Cluster for KafkaCluster {
    fn groups(&mut self) -> Result<Vec<Group>, KafkaFault> {
        self.follow_secrets()?;
        let list = self.everything.fetch_group_list(None, PATIENCE);
        let list = list.map_err(|error| self.fault(&error, "list groups"))?;
        // Connect's workers, among others, are groups too, and read nothing.
        let reads = |group: &&GroupInfo| matches!(group.protocol_type(), "consumer" | "");
        let groups: Vec<Group> = list.groups().iter().filter(reads).map(group).collect();
        self.groups.retain(|name, _| groups.iter().any(|group| group.name == *name));
        Ok(groups)
    }

    fn bounds(&mut self) -> Result<BTreeMap<Place, Bounds>, KafkaFault> {
        let places = self.places()?;
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        // In this order, so that what is written meanwhile never makes an end lie before a beginning.
        let starts = self.edge(&self.everything, &places, Offset::Beginning)?;
        let stables = self.edge(&self.committed, &places, Offset::End)?;
        let highs = self.edge(&self.everything, &places, Offset::End)?;
        let bounds = |place: Place| {
            let (start, high) = (*starts.get(&place)?, *highs.get(&place)?);
            let stable = *stables.get(&place)?;
            Some((place, Bounds { start, stable, high }))
        };
        Ok(places.into_iter().filter_map(bounds).collect())
    }

    fn committed(&mut self, group: &str, places: &[Place]) -> Result<BTreeMap<Place, i64>, KafkaFault> {
        let asked: Vec<_> = places.iter().map(|place| (place.clone(), Offset::Invalid)).collect();
        let list = self.list(&asked)?;
        let told = self.group(group)?.committed_offsets(list, PATIENCE);
        Ok(offsets(&told.map_err(|error| self.fault(&error, "read a group's positions"))?))
    }

    fn read(
        &mut self,
        positions: &[(Place, i64)],
        deadline: Duration,
    ) -> Result<BTreeMap<(Place, i64), Found>, KafkaFault> {
        let until = self.clock.now() + deadline;
        let mut found = BTreeMap::new();
        for round in rounds(positions) {
            if self.clock.now() >= until {
                break;
            }
            self.read_round(&round, until, &mut found)?;
        }
        Ok(found)
    }

    fn retention(&mut self, topics: &[&str]) -> Result<BTreeMap<String, Option<Duration>>, KafkaFault> {
        let configs = self.admin.configs(topics)?;
        let kept = |config: &BTreeMap<String, String>| {
            let deletes = config.get("cleanup.policy").is_some_and(|policy| policy.contains("delete"));
            // −1 is for ever.
            let ms: Option<u64> = config.get("retention.ms").and_then(|ms| ms.parse().ok());
            ms.filter(|_| deletes).map(Duration::from_millis)
        };
        Ok(topics.iter().map(|topic| (*topic).to_owned()).zip(configs.iter().map(kept)).collect())
    }
}

/// `positions`, in as few rounds as go without two partitions of the same number in one.
fn rounds(positions: &[(Place, i64)]) -> Vec<Vec<(Place, i64)>> {
    let mut rounds: Vec<BTreeMap<i32, (Place, i64)>> = Vec::new();
    for position in positions {
        let partition = position.0.partition;
        let fits = rounds.iter().position(|round| !round.contains_key(&partition)).unwrap_or(rounds.len());
        rounds.resize_with(rounds.len().max(fits + 1), BTreeMap::new);
        rounds[fits].insert(partition, position.clone());
    }
    rounds.into_iter().map(|round| round.into_values().collect()).collect()
}

/// The offsets of a list, where there are any.
fn offsets(list: &TopicPartitionList) -> BTreeMap<Place, i64> {
    let each = list.elements().into_iter().filter_map(|element| match (element.error(), element.offset()) {
        (Ok(()), Offset::Offset(offset)) => {
            Some((Place { topic: element.topic().into(), partition: element.partition() }, offset))
        }
        _ => None,
    });
    each.collect()
}

fn group(info: &GroupInfo) -> Group {
    let assigned: Vec<usize> =
        info.members().iter().map(|member| partitions_in(member.assignment().unwrap_or_default())).collect();
    Group {
        name: info.name().to_owned(),
        state: info.state().to_owned(),
        members: assigned.len(),
        empty_members: assigned.iter().filter(|partitions| **partitions == 0).count(),
        assigned_partitions: assigned.iter().sum(),
    }
}

/// How many partitions an assignment of the consumer protocol holds: a version, then for each topic its name and an array
/// of partition numbers, all big-endian (`ConsumerProtocolAssignment.json` in Kafka). What is cut off holds none.
fn partitions_in(assignment: &[u8]) -> usize {
    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = bytes.split_at_checked(count)?;
        *bytes = rest;
        Some(taken)
    }
    fn int32(bytes: &mut &[u8]) -> Option<usize> {
        let taken = take(bytes, 4)?.try_into().ok()?;
        usize::try_from(i32::from_be_bytes(taken)).ok()
    }
    fn count(mut bytes: &[u8]) -> Option<usize> {
        take(&mut bytes, 2)?;
        let topics = int32(&mut bytes)?;
        let mut partitions = 0;
        for _ in 0..topics {
            let length = take(&mut bytes, 2)?.try_into().ok().map(u16::from_be_bytes)?;
            take(&mut bytes, usize::from(length))?;
            let own = int32(&mut bytes)?;
            take(&mut bytes, own.checked_mul(4)?)?;
            partitions += own;
        }
        Some(partitions)
    }
    count(assignment).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(topic: &str, partition: i32) -> (Place, i64) {
        (Place { topic: topic.into(), partition }, 7)
    }

    #[test]
    fn a_round_never_holds_two_partitions_of_one_number() {
        let all = [position("a", 0), position("a", 1), position("b", 0), position("b", 2), position("c", 0)];
        let sizes: Vec<usize> = rounds(&all).iter().map(Vec::len).collect();
        assert_eq!(sizes, [3, 1, 1]);
        assert!(rounds(&[]).is_empty());
    }

    #[test]
    fn an_assignment_is_counted_and_rubbish_is_none() {
        let mut bytes = vec![0, 1, 0, 0, 0, 2];
        for (topic, partitions) in [("ab", 3_u8), ("c", 1)] {
            bytes.extend([0, topic.len() as u8]);
            bytes.extend(topic.as_bytes());
            bytes.extend([0, 0, 0, partitions]);
            bytes.extend(vec![0; usize::from(partitions) * 4]);
        }
        bytes.extend([0xff; 4]);
        assert_eq!(partitions_in(&bytes), 4);
        assert_eq!(partitions_in(&bytes[..20]), 0);
        assert_eq!(partitions_in(&[]), 0);
        assert_eq!(partitions_in(&[0, 0, 0x7f, 0xff, 0xff, 0xff]), 0);
    }
}
