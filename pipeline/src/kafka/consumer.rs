//! [`Source`] over a group member: callbacks become events, positions are always explicit.

use super::headers;
use super::login::ClientSettings;
use crate::flow::contact::{self, Connection};
use crate::ports::{InRecord, PortError, Source, SourceEvent};
use crate::redact::redact;
use bytes::Bytes;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, Statistics, TopicPartitionList, statistics};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Rebalances waiting for the worker: each is answered before the next can come, so this never fills.
const REBALANCES: usize = 64;

/// Receives librdkafka's callbacks, which run inside `poll` and inside `drop`, and only forwards them.
pub struct MemberContext {
    events: SyncSender<SourceEvent>,
    closing: AtomicBool,
    /// Set with each statistics: now and then it is time to look after the client.
    due: AtomicBool,
    on_error: Box<dyn Fn(&str) + Send + Sync>,
    on_contact: Box<dyn Fn(bool) + Send + Sync>,
}

impl fmt::Debug for MemberContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemberContext").field("closing", &self.closing).finish_non_exhaustive()
    }
}

impl ClientContext for MemberContext {
    fn error(&self, error: KafkaError, reason: &str) {
        if is_trouble(&error) {
            (self.on_error)(&format!("{error}: {reason}"));
        }
    }

    fn stats(&self, statistics: Statistics) {
        // All of them: heartbeats go over a connection of their own, to the group's coordinator.
        let connections: Vec<Connection> = statistics.brokers.values().map(connection).collect();
        (self.on_contact)(contact::is_reachable(&connections));
        self.due.store(true, Ordering::Relaxed);
    }
}

impl ConsumerContext for MemberContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Acquire) {
            // Leaving: nobody is there any more to answer. Failing to unassign only delays the close.
            drop(consumer.unassign());
            return;
        }
        let partitions: Vec<i32> = list.elements().iter().map(|element| element.partition()).collect();
        let event = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => SourceEvent::Assigned(partitions),
            _ if consumer.assignment_lost() => SourceEvent::Lost(partitions),
            _ => SourceEvent::Revoked(partitions),
        };
        // Full only if the worker is gone.
        drop(self.events.try_send(event));
    }
}

/// A member of a consumer group that reads one topic.
pub struct KafkaSource {
    settings: ClientSettings,
    consumer: Option<BaseConsumer<MemberContext>>,
    topic: Arc<str>,
    events: Receiver<SourceEvent>,
    started: BTreeSet<i32>,
}

impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("topic", &self.topic)
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}

/// How long to wait for a consumer to close when brokers may be gone (rust-rdkafka #509, #611).
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

impl KafkaSource {
    /// Joins the group that `settings` name and subscribes to `topic`. `on_error` hears of lost connections, `on_contact` every
    /// other second whether any broker answers.
    pub fn join(
        settings: &ClientSettings,
        topic: &str,
        on_error: impl Fn(&str) + Send + Sync + 'static,
        on_contact: impl Fn(bool) + Send + Sync + 'static,
    ) -> Result<Self, PortError> {
        let (sender, events) = sync_channel(REBALANCES);
        let context = MemberContext {
            events: sender,
            closing: AtomicBool::new(false),
            due: AtomicBool::new(false),
            on_error: Box::new(on_error),
            on_contact: Box::new(on_contact),
        };
        let consumer: BaseConsumer<MemberContext> =
            settings.create_with_context(context).map_err(|error| fatal("consumer", &error))?;
        consumer.subscribe(&[topic]).map_err(|error| fatal("subscribe", &error))?;
        let settings = settings.clone();
        Ok(Self { settings, consumer: Some(consumer), topic: topic.into(), events, started: BTreeSet::new() })
    }

    /// Commits `positions` for the group. Only where they are kept elsewhere: for those who look how far the group is
    /// behind. `wait` until the broker has answered, as before the end.
    pub fn tell(&self, positions: &[(i32, i64)], wait: bool) -> Result<(), PortError> {
        let positions: Vec<_> =
            positions.iter().map(|(partition, offset)| (*partition, Offset::Offset(*offset))).collect();
        let mode = if wait { CommitMode::Sync } else { CommitMode::Async };
        let list = self.at(&positions)?;
        self.consumer().commit(&list, mode).map_err(|error| retriable("commit", &error))
    }

    fn look_after_login(&mut self) {
        if let Some(consumer) = &self.consumer
            && consumer.context().due.swap(false, Ordering::Relaxed)
        {
            self.settings.renew(consumer.client());
        }
    }

    fn consumer(&self) -> &BaseConsumer<MemberContext> {
        self.consumer.as_ref().expect("present until drop")
    }

    fn list(&self, partitions: &[i32]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(&self.topic, *partition);
        }
        list
    }

    fn at(&self, positions: &[(i32, Offset)]) -> Result<TopicPartitionList, PortError> {
        let mut list = TopicPartitionList::with_capacity(positions.len());
        for (partition, offset) in positions {
            list.add_partition_offset(&self.topic, *partition, *offset)
                .map_err(|error| fatal("position", &error))?;
        }
        Ok(list)
    }

    /// Answers an assignment of nothing. One of something is answered by [`start`](Source::start), partition by
    /// partition, once it is known where to begin: a first position of convenience, such as the end of the log, could
    /// win over the one that follows it.
    fn take(&self, partitions: &[i32]) -> Result<(), PortError> {
        if !partitions.is_empty() {
            return Ok(());
        }
        let nothing = self.list(&[]);
        self.consumer().incremental_assign(&nothing).map_err(|error| fatal("assign", &error))
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
}

impl Source for KafkaSource {
    type Membership = ConsumerGroupMetadata;

    fn poll(&mut self, timeout: Duration) -> Result<Option<SourceEvent>, PortError> {
        self.look_after_login();
        // Rebalances first: under load there is always another record, and the group must not wait for it.
        if let Ok(event) = self.events.try_recv() {
            if let SourceEvent::Assigned(partitions) = &event {
                self.take(partitions)?;
            }
            return Ok(Some(event));
        }
        match self.consumer().poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(SourceEvent::Record(self.record(&message)))),
            Some(Err(KafkaError::PartitionEOF(partition))) => Ok(Some(SourceEvent::AtEnd(partition))),
            Some(Err(error)) => polled_error(&error).map(|()| None),
        }
    }

    fn start(&mut self, positions: &[(i32, i64)]) -> Result<(), PortError> {
        self.started.extend(positions.iter().map(|(partition, _)| *partition));
        let positions: Vec<_> =
            positions.iter().map(|(partition, offset)| (*partition, Offset::Offset(*offset))).collect();
        let list = self.at(&positions)?;
        self.consumer().incremental_assign(&list).map_err(|error| fatal("assign", &error))
    }

    fn release(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        let ours: Vec<i32> =
            partitions.iter().copied().filter(|partition| self.started.remove(partition)).collect();
        // An application's pause outlives an assignment (librdkafka 2.12 lifts only its own).
        self.resume(&ours)?;
        let list = self.list(&ours);
        self.consumer().incremental_unassign(&list).map_err(|error| fatal("unassign", &error))
    }

    fn stop(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        // Unassigned, not paused: that throws away what was fetched and the position with it.
        if partitions.is_empty() { Ok(()) } else { self.release(partitions) }
    }

    fn pause(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.consumer().pause(&self.list(partitions)).map_err(|error| retriable("pause", &error))
    }

    fn resume(&mut self, partitions: &[i32]) -> Result<(), PortError> {
        self.consumer().resume(&self.list(partitions)).map_err(|error| retriable("resume", &error))
    }

    fn membership(&self) -> Result<ConsumerGroupMetadata, PortError> {
        let missing = || PortError::Fatal("the consumer has no group".to_owned());
        self.consumer().group_metadata().ok_or_else(missing)
    }

    fn committed(&mut self, offsets: &[(i32, i64)]) {
        for (partition, offset) in offsets {
            // For the client's own lag statistics only; the partition may have been revoked meanwhile.
            drop(self.consumer().store_offset(&self.topic, *partition, offset - 1));
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else { return };
        consumer.context().closing.store(true, Ordering::Release);
        let (done, closed) = sync_channel(1);
        let close = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
            consumer.unsubscribe();
            drop(consumer);
            done.send(()).ok();
        });
        if close.is_ok() {
            // Past the patience the thread is left behind: the process is ending.
            closed.recv_timeout(CLOSE_PATIENCE).ok();
        }
    }
}

fn connection(broker: &statistics::Broker) -> Connection {
    let silent_for = u64::try_from(broker.rxidle).ok().map(Duration::from_micros);
    Connection { up: broker.state == "UP", silent_for }
}

/// The end of a partition comes as an error of the client, too; it is none, and comes several times a second. That all brokers
/// are down comes once a second as long as it lasts; [`MemberContext::stats`] tells it when it begins and when it ends.
fn is_trouble(error: &KafkaError) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    !matches!(error.rdkafka_error_code(), Some(Code::PartitionEOF | Code::AllBrokersDown))
}

fn polled_error(error: &KafkaError) -> Result<(), PortError> {
    use rdkafka::types::RDKafkaErrorCode as Code;
    match error {
        KafkaError::MessageConsumptionFatal(_) => Err(fatal("consume", error)),
        KafkaError::MessageConsumption(
            Code::FencedInstanceId
            | Code::AutoOffsetReset
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed,
        ) => Err(fatal("consume", error)),
        // librdkafka reconnects by itself; the client's error callback has reported it.
        _ => Ok(()),
    }
}

fn fatal(what: &str, error: &KafkaError) -> PortError {
    PortError::Fatal(redact(&format!("{what}: {error}")).into_owned())
}

fn retriable(what: &str, error: &KafkaError) -> PortError {
    PortError::Retriable(format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::ports::Clock;
    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;
    use rdkafka::types::RDKafkaErrorCode as Code;

    /// As while its partitions are being restored, or without any: heartbeats are all that it sends.
    #[test]
    fn a_member_that_reads_nothing_is_not_taken_for_cut_off() {
        let cluster = MockCluster::new(1).unwrap();
        cluster.create_topic("in", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "standby");
        config.set("heartbeat.interval.ms", "1000").set("statistics.interval.ms", "500");
        config.set("partition.assignment.strategy", "cooperative-sticky");
        let (told, heard) = sync_channel(1_000);
        let contact = move |reachable| {
            told.try_send(reachable).ok();
        };
        let mut source = KafkaSource::join(&config.into(), "in", |_| (), contact).unwrap();
        let (clock, until) = (SystemClock::new(), Duration::from_secs(16));
        while clock.now() < until {
            source.poll(Duration::from_millis(200)).unwrap();
        }
        let heard: Vec<bool> = heard.try_iter().skip_while(|reachable| !reachable).collect();
        // Longer than a broker may be silent, by far.
        assert!(heard.len() > 22 && heard.iter().all(|reachable| *reachable), "{heard:?}");
    }

    #[test]
    fn what_comes_every_second_is_no_trouble_to_warn_of() {
        assert!(!is_trouble(&KafkaError::Global(Code::PartitionEOF)));
        assert!(!is_trouble(&KafkaError::Global(Code::AllBrokersDown)));
        assert!(is_trouble(&KafkaError::Global(Code::BrokerTransportFailure)));
    }
}
