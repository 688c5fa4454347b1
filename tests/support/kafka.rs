//! Kafka as an outsider sees it: topics, publishing by the documented contract, reading committed records.

use crate::broker::LocalStack;
use crate::clips::Clip;
use crate::configuration::PARTITIONS;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{Message, Offset, TopicPartitionList};
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_pipeline::schema_registry::{Registration, RegistryAccess, SchemaRegistry};
use treble_schemas::frame::{self, Format};
use treble_schemas::topic::{Partitions, partition_of};
use treble_schemas::{AudioChunk, AudioFormat, ChunkBody, Contract, Segment, StreamId, Topics, Totals};

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(120);

const STAGES: [&str; 3] = ["decode", "upscale", "encode"];

fn client(stack: &LocalStack) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", stack.bootstrap_servers());
    config.set("reconnect.backoff.max.ms", "500");
    config.set("message.max.bytes", "4300000");
    config
}

/// Creates every topic of the pipeline under `prefix`.
pub fn create_topics(stack: &LocalStack, prefix: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(stack).create()?;
    let copies = i32::try_from(stack.endpoints().nodes.len())?;
    let specs = Topics::new(prefix)?.specs(&STAGES);
    let topics: Vec<NewTopic<'_>> = specs
        .iter()
        .map(|spec| {
            let partitions = match spec.partitions {
                Partitions::Aligned => PARTITIONS.cast_signed(),
                Partitions::Fixed(count) => count,
            };
            let topic = NewTopic::new(&spec.name, partitions, TopicReplication::Fixed(copies));
            spec.configs.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for outcome in runtime.block_on(admin.create_topics(&topics, &AdminOptions::new()))? {
        outcome.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
    }
    await_topics(&admin, &specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>())
}

/// Waits until a broker tells of all `topics`: it learns of them in its own time, late on a busy machine.
pub fn await_topics(admin: &AdminClient<DefaultClientContext>, topics: &[&str]) -> Result<()> {
    let clock = SystemClock::new();
    loop {
        let metadata = admin.inner().fetch_metadata(None, PATIENCE)?;
        let told = |name: &&str| metadata.topics().iter().any(|topic| topic.name() == *name);
        if topics.iter().all(told) {
            return Ok(());
        }
        ensure!(clock.now() < PATIENCE, "the broker does not tell of {topics:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Deletes the records of a partition before `offset`, as retention would.
pub fn delete_before(stack: &LocalStack, topic: &str, partition: i32, offset: i64) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = client(stack).create()?;
    let mut before = TopicPartitionList::new();
    before.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(admin.delete_records(&before, &AdminOptions::new()))?;
    for element in outcome.elements() {
        element.error().with_context(|| format!("{topic} [{partition}] before {offset}"))?;
    }
    Ok(())
}

/// The partition that `key` falls to.
pub fn partition(key: &str) -> Result<i32> {
    let count = NonZeroU32::new(PARTITIONS).context("partitions")?;
    Ok(partition_of(key.as_bytes(), count))
}

/// The schema id that chunks under `prefix` are framed with.
pub fn chunk_schema(stack: &LocalStack, prefix: &str) -> Result<u32> {
    schema(stack, prefix, Contract::AudioChunk, &Topics::new(prefix)?.audio_in())
}

/// The schema id of `contract` on `topic`, one of those under `prefix`.
pub fn schema(stack: &LocalStack, prefix: &str, contract: Contract, topic: &str) -> Result<u32> {
    let registry = SchemaRegistry::new(&RegistryAccess::anonymous(stack.schema_registry_url()), PATIENCE)?;
    let ids = registry.contract_ids(&Topics::new(prefix)?, &STAGES, Registration::Register)?;
    Ok(ids.of(contract, topic)?)
}

/// Remembers what the brokers refused: a test must not take its own loss for Treble's.
#[derive(Debug, Default)]
struct Deliveries {
    refused: Mutex<Vec<String>>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.refused.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
        }
    }
}

/// A producer that follows the documented contract.
pub struct Publisher {
    producer: BaseProducer<Deliveries>,
    topic: String,
    schema: u32,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publisher").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes to `{prefix}.audio.in`.
    pub fn new(stack: &LocalStack, prefix: &str) -> Result<Self> {
        let schema = chunk_schema(stack, prefix)?;
        let producer = client(stack)
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .create_with_context(Deliveries::default())?;
        Ok(Self { producer, topic: Topics::new(prefix)?.audio_in(), schema })
    }

    /// The schema id that chunks are framed with.
    #[must_use]
    pub const fn schema(&self) -> u32 {
        self.schema
    }

    /// Publishes to another topic.
    #[must_use]
    pub fn onto(mut self, topic: &str) -> Self {
        topic.clone_into(&mut self.topic);
        self
    }

    /// Frames chunks with another schema id from now on.
    pub const fn use_schema(&mut self, id: u32) {
        self.schema = id;
    }

    /// Publishes the clip as one record, as `kcat -H content-type=…` would.
    pub fn clip(&self, clip: &Clip) -> Result<()> {
        let header = Header { key: "content-type", value: Some(clip.media_type) };
        self.send(&clip.name, &clip.bytes, OwnedHeaders::new().insert(header))
    }

    /// Publishes the clip as START, DATA of `piece` bytes each, END.
    pub fn chunks(&self, clip: &Clip, piece: usize) -> Result<()> {
        for chunk in chunks(clip, piece)? {
            self.chunk(&chunk)?;
        }
        Ok(())
    }

    /// Publishes one chunk.
    pub fn chunk(&self, chunk: &AudioChunk) -> Result<()> {
        let mut value = Vec::new();
        frame::write_header(&mut value, self.schema, Format::Protobuf);
        chunk.encode(&mut value);
        self.send(chunk.stream_id.as_str(), &value, OwnedHeaders::new())
    }

    fn send(&self, key: &str, value: &[u8], headers: OwnedHeaders) -> Result<()> {
        self.record(Some(key.as_bytes()), Some(value), headers)
    }

    /// Publishes any bytes, or none, under any key, or none.
    pub fn record(&self, key: Option<&[u8]>, value: Option<&[u8]>, headers: OwnedHeaders) -> Result<()> {
        let count = NonZeroU32::new(PARTITIONS).context("partitions")?;
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic)
            .partition(partition_of(key.unwrap_or_default(), count))
            .headers(headers);
        record.key = key;
        record.payload = value;
        self.enqueue(record)
    }

    /// Publishes a line as collectors do, without a key and wherever there is room, as of `timestamp_ms` of Unix time.
    pub fn line(&self, value: &[u8], timestamp_ms: i64) -> Result<()> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).timestamp(timestamp_ms);
        record.payload = Some(value);
        self.enqueue(record)
    }

    fn enqueue(&self, mut record: BaseRecord<'_, [u8], [u8]>) -> Result<()> {
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((error, refused)) => {
                    if error.rdkafka_error_code() != Some(rdkafka::types::RDKafkaErrorCode::QueueFull) {
                        bail!("publish: {error}");
                    }
                    self.producer.poll(Duration::from_millis(10));
                    record = refused;
                }
            }
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    /// Waits until everything is acknowledged.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(PATIENCE).context("records were not acknowledged")?;
        let refused = self.producer.context().refused.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(refused.is_empty(), "{} records were refused: {}", refused.len(), refused[0]);
        Ok(())
    }
}

/// Writes `bytes` bytes to partition 0 of `topic`; an error where the broker cannot hold them.
pub fn fill(stack: &LocalStack, topic: &str, bytes: usize) -> Result<()> {
    const RECORD_BYTES: usize = 1 << 20;
    let producer: BaseProducer<Deliveries> =
        client(stack).set("message.timeout.ms", "5000").create_with_context(Deliveries::default())?;
    let value = vec![0; RECORD_BYTES];
    for _ in 0..bytes / RECORD_BYTES {
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(0).payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(PATIENCE).context("records were neither taken nor refused")?;
    let refused = producer.context().refused.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(refused.is_empty(), "{} records were refused: {}", refused.len(), refused[0]);
    Ok(())
}

/// The clip as chunks: START, DATA of `piece` bytes each, END with its totals.
pub fn chunks(clip: &Clip, piece: usize) -> Result<Vec<AudioChunk>> {
    let stream_id = StreamId::new(&clip.name)?;
    let format = AudioFormat { codec: clip.media_type.to_owned(), ..AudioFormat::default() };
    let start = ChunkBody::Start { format, segment: Segment::default() };
    let data = clip.bytes.chunks(piece).map(|data| ChunkBody::Data {
        format: None,
        segment: Segment { data: Bytes::copy_from_slice(data), ..Segment::default() },
    });
    let totals = Totals { samples: 0, bytes: clip.bytes.len() as u64, crc32c: None };
    let bodies = std::iter::once(start).chain(data).chain([ChunkBody::End(totals)]);
    let chunk = |(seq, body)| AudioChunk {
        stream_id: stream_id.clone(),
        seq,
        capture_time_us: 1_000_000,
        source: None,
        body,
    };
    Ok((0..).zip(bodies).map(chunk).collect())
}

/// A committed record.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Option<Bytes>,
    /// Headers with a text value.
    pub headers: Vec<(String, String)>,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
}

/// Reads the committed records of a topic from its beginning, until `enough` says so.
pub fn read_committed(
    stack: &LocalStack,
    topic: &str,
    mut enough: impl FnMut(&[Committed]) -> bool,
) -> Result<Vec<Committed>> {
    let mut records = Vec::new();
    if !enough(&records) {
        follow_committed(stack, topic, |record| {
            records.push(record);
            Ok(enough(&records))
        })?;
    }
    Ok(records)
}

/// Hands on the committed records of a topic from its beginning, until `take` says that one was the last.
pub fn follow_committed(
    stack: &LocalStack,
    topic: &str,
    mut take: impl FnMut(Committed) -> Result<bool>,
) -> Result<()> {
    let (consumer, _) = reader(stack, topic)?;
    let mut taken = 0;
    loop {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                taken += 1;
                if take(committed(&message))? {
                    return Ok(());
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) => eprintln!("{topic}: {error}"),
            None => bail!("{topic}: nothing more within {PATIENCE:?} after {taken} records"),
        }
    }
}

/// The committed records that a topic holds now.
pub fn read_to_end(stack: &LocalStack, topic: &str) -> Result<Vec<Committed>> {
    let (consumer, mut unread) = reader(stack, topic)?;
    let mut records = Vec::new();
    while unread > 0 {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => records.push(committed(&message)),
            Some(Err(KafkaError::PartitionEOF(_))) => unread -= 1,
            Some(Err(error)) => eprintln!("{topic}: {error}"),
            None => bail!("{topic}: no end within {PATIENCE:?}"),
        }
    }
    Ok(records)
}

/// The positions that `group` has committed on every partition of `topic`; 0 where it has none.
pub fn committed_positions(stack: &LocalStack, group: &str, topic: &str) -> Result<Vec<i64>> {
    let consumer: BaseConsumer = client(stack).set("group.id", group).create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS.cast_signed() {
        list.add_partition(topic, partition);
    }
    let committed = consumer.committed_offsets(list, PATIENCE)?;
    let position = |offset| if let Offset::Offset(offset) = offset { offset } else { 0 };
    Ok(committed.elements().iter().map(|element| position(element.offset())).collect())
}

/// A reader of a whole topic, and how many partitions it has.
fn reader(stack: &LocalStack, topic: &str) -> Result<(BaseConsumer, usize)> {
    let consumer: BaseConsumer = client(stack)
        .set("group.id", "outsider")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "50")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE)?;
    let found = metadata.topics().first().context("no such topic")?;
    let mut from = TopicPartitionList::new();
    for partition in found.partitions() {
        from.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&from)?;
    Ok((consumer, found.partitions().len()))
}

fn committed(message: &impl Message) -> Committed {
    let headers = message.headers().map(|headers| {
        let text = |value: Option<&[u8]>| String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
    });
    Committed {
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers.unwrap_or_default(),
        partition: message.partition(),
        offset: message.offset(),
    }
}
