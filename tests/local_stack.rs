//! The local stack that every claim about delivery rests on keeps its own promises.

use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use treble_test_support::broker::LocalStack;

const TOPIC: &str = "local-stack-check";
const PATIENCE: Duration = Duration::from_secs(60);

fn client(stack: &LocalStack) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack.bootstrap_servers());
    config.set("reconnect.backoff.max.ms", "500");
    config
}

fn create_topic(stack: &LocalStack) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(stack).create()?;
    let topic = NewTopic::new(TOPIC, 1, TopicReplication::Fixed(1));
    let outcome =
        tokio::runtime::Runtime::new()?.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    assert_eq!(outcome, [Ok(TOPIC.to_owned())]);
    Ok(())
}

fn send(stack: &LocalStack, text: &str) -> Result<()> {
    let producer: BaseProducer = client(stack).set("acks", "all").create()?;
    producer.send(BaseRecord::<(), str>::to(TOPIC).payload(text)).map_err(|(fault, _)| fault)?;
    producer.flush(PATIENCE).context("the record was not acknowledged")
}

fn read_all(stack: &LocalStack, count: usize) -> Result<Vec<String>> {
    let consumer: BaseConsumer = client(stack).set("group.id", "local-stack-check").create()?;
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&from)?;
    (0..count)
        .map(|_| {
            let record = consumer.poll(PATIENCE).context("no record in time")??;
            Ok(record.payload_view::<str>().context("empty record")??.to_owned())
        })
        .collect()
}

#[test]
fn a_killed_broker_comes_back_with_its_records_and_nothing_outlives_the_stack() -> Result<()> {
    let stack = LocalStack::start_without_registry(1)?;
    create_topic(&stack)?;
    send(&stack, "before")?;
    stack.kill_node(1)?;
    let address = &stack.endpoints().nodes[0].address;
    assert!(TcpStream::connect(address).is_err(), "a killed broker still listens");
    stack.start_node(1)?;
    send(&stack, "after")?;
    assert_eq!(read_all(&stack, 2)?, ["before", "after"]);

    let (address, dir) = (address.clone(), stack.dir().to_owned());
    drop(stack);
    assert!(TcpStream::connect(&address).is_err(), "the broker outlived its stack");
    assert!(!dir.exists(), "{} was left behind", dir.display());
    Ok(())
}

#[test]
fn a_missing_broker_number_is_told_with_those_that_exist() -> Result<()> {
    let stack = LocalStack::shared()?;
    let fault = stack.kill_node(2).unwrap_err().to_string();
    assert!(fault.contains("node-1"), "{fault}");
    let registry = stack.schema_registry_url();
    assert!(registry.starts_with("http://127.0.0.1:"), "{registry}");
    Ok(())
}
