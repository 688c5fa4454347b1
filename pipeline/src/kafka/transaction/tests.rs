//! Against librdkafka's own mock cluster, which can be told to misbehave.

use super::{Deliveries, KafkaTransactions};
use crate::clock::SystemClock;
use crate::ports::{Clock, Epoch, OutRecord, Outcome, Transactions};
use bytes::Bytes;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, DefaultProducerContext};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::sync::{Arc, Weak};
use std::time::Duration;

const GROUP: &str = "decode";
const ID: &str = "decode.d1";
const DEADLINE: Duration = Duration::from_secs(2);

/// Two brokers: one coordinates transactions, one the group.
struct Rig {
    cluster: MockCluster<'static, DefaultProducerContext>,
    transactions: KafkaTransactions,
    consumer: BaseConsumer,
}

impl Rig {
    fn start() -> Self {
        let cluster = MockCluster::new(2).unwrap();
        cluster.create_topic("in", 1, 1).unwrap();
        cluster.create_topic("out", 1, 1).unwrap();
        cluster.partition_leader("out", 0, Some(1)).unwrap();
        cluster.coordinator(MockCoordinator::Transaction(ID.to_owned()), 1).unwrap();
        cluster.coordinator(MockCoordinator::Group(GROUP.to_owned()), 2).unwrap();
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", cluster.bootstrap_servers());
        let consumer = client.clone().set("group.id", GROUP).create().unwrap();
        client.set("transactional.id", ID).set("reconnect.backoff.max.ms", "100");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut transactions = KafkaTransactions::new(client.into(), "in", clock);
        transactions.init().unwrap();
        Self { cluster, transactions, consumer }
    }

    fn membership(&self) -> ConsumerGroupMetadata {
        self.consumer.group_metadata().unwrap()
    }

    fn commit(&mut self) -> Outcome {
        let record = OutRecord {
            topic: "out".into(),
            partition: Some(0),
            key: Bytes::from_static(b"stream"),
            value: Some(Bytes::from_static(b"audio")),
            headers: Vec::new(),
        };
        let epoch = Epoch { records: vec![record], offsets: vec![(0, 1)], ..Epoch::default() };
        let membership = self.membership();
        self.transactions.commit(&epoch, membership, DEADLINE)
    }

    fn producer(&self) -> Weak<BaseProducer<Deliveries>> {
        Arc::downgrade(self.transactions.producer.as_ref().unwrap())
    }
}

#[test]
fn a_producer_serves_as_long_as_nothing_goes_wrong() {
    let mut rig = Rig::start();
    let producer = rig.producer();
    assert_eq!(rig.commit(), Outcome::Committed);
    assert_eq!(rig.commit(), Outcome::Committed);
    assert!(producer.upgrade().is_some());
}

#[test]
fn after_an_abort_the_next_transaction_has_a_new_producer() {
    let mut rig = Rig::start();
    let producer = rig.producer();
    let refusal = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION];
    rig.cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &refusal);
    assert!(matches!(rig.commit(), Outcome::Aborted { .. }));
    assert!(producer.upgrade().is_none());
    assert_eq!(rig.commit(), Outcome::Committed);
}

#[test]
fn after_a_commit_that_was_sent_twice_the_next_transaction_has_a_new_producer() {
    let mut rig = Rig::start();
    let producer = rig.producer();
    // The mock cluster takes this as: close the connection.
    let lost = [RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT];
    rig.cluster.request_errors(RDKafkaApiKey::EndTxn, &lost);
    assert_eq!(rig.commit(), Outcome::Committed);
    assert!(producer.upgrade().is_none());
    assert_eq!(rig.commit(), Outcome::Committed);
}

/// librdkafka #5456: with the group's coordinator down, the call ignores its time-out.
#[test]
fn a_client_library_that_does_not_answer_is_left_behind() {
    let mut rig = Rig::start();
    rig.cluster.broker_down(2).unwrap();
    let clock = SystemClock::new();
    let Outcome::Broken { reason, fenced: false } = rig.commit() else { panic!("not broken") };
    assert!(reason.contains("no answer from the client library"), "{reason}");
    assert!(clock.now() < DEADLINE + Duration::from_secs(4));
    rig.cluster.broker_up(2).unwrap();
    rig.transactions.init().unwrap();
    assert_eq!(rig.commit(), Outcome::Committed);
}
