//! Kafka in and out beside `rdkafka_performance`, librdkafka's own benchmark, on the same broker: a worker's consumer beside a plain one,
//! and a worker's transactions beside an idempotent producer that has none.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use std::cell::RefCell;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use treble_bench_support::{Figure, race, timed};
use treble_pipeline::clock::SystemClock;
use treble_pipeline::config::KafkaConfig;
use treble_pipeline::kafka::client;
use treble_pipeline::kafka::consumer::KafkaSource;
use treble_pipeline::kafka::transaction::KafkaTransactions;
use treble_pipeline::ports::{Epoch, OutRecord, Outcome, Source, SourceEvent, Transactions};
use treble_schemas::Topics;
use treble_test_support::broker::LocalStack;
use treble_test_support::{configuration, kafka};

const PREFIX: &str = "kafka";
const RECORDS: usize = 16_000;
/// About what 100 ms of audio are as FLAC at 48 kHz.
const VALUE_BYTES: usize = 16 * 1024;
/// Records of one transaction: 4 MiB.
const EPOCH_RECORDS: usize = 256;
const PARTITION: i32 = 0;
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
const TRANSACTION_TIMEOUT_MS: u64 = 60_000;

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    kafka::create_topics(stack, PREFIX)?;
    let topics = Topics::new(PREFIX)?;
    let (ours, theirs) = (topics.audio_out(), topics.audio_in());
    let config = configuration::config(&configuration::settings(stack, PREFIX))?.kafka;
    let tool = Tool::find(stack)?;
    let writer = RefCell::new(Writer::start(&config, &theirs)?);
    let [written, produced] = race([&|| timed(|| write(&mut writer.borrow_mut(), &ours)), &|| {
        tool.run(&["-P", "-t", &theirs, "-a", "-1", "-X", "enable.idempotence=true"])
    }])?;
    let [read, consumed] =
        race([&|| consume(&config, &theirs), &|| tool.run(&["-C", "-t", &theirs, "-o", "beginning"])])?;
    let plain = "rdkafka_performance, idempotent and without transactions";
    Ok(vec![
        speed("kafka_out_speed", written),
        Figure::ratio("kafka_out_efficiency", written, produced, plain),
        speed("kafka_in_speed", read),
        Figure::ratio("kafka_in_efficiency", read, consumed, "rdkafka_performance"),
    ])
}

fn speed(name: &str, took: Duration) -> Figure {
    let mebibytes = (RECORDS * VALUE_BYTES) as f64 / f64::from(1 << 20);
    let value = mebibytes / took.as_secs_f64();
    Figure { name: name.to_owned(), value, unit: "MiB a second", better: "higher", against: None }
}

fn write(writer: &mut Writer, topic: &str) -> Result<()> {
    let value = Bytes::from(vec![b'x'; VALUE_BYTES]);
    for _ in 0..RECORDS / EPOCH_RECORDS {
        let records = (0..EPOCH_RECORDS).map(|_| record(topic, PARTITION, value.clone())).collect();
        writer.commit(records, &[PARTITION])?;
    }
    Ok(())
}

/// A record for one partition of `topic`.
pub(crate) fn record(topic: &str, partition: i32, value: Bytes) -> OutRecord {
    OutRecord {
        topic: topic.to_owned(),
        partition: Some(partition),
        key: Bytes::from_static(b"bench"),
        value: Some(value),
        headers: Vec::new(),
    }
}

/// Transactions of a worker.
pub(crate) struct Writer {
    transactions: KafkaTransactions,
    /// Whose positions they commit.
    member: KafkaSource,
    committed: i64,
}

impl Writer {
    /// A worker that has all partitions of `input`, and its transactions.
    pub(crate) fn start(config: &KafkaConfig, input: &str) -> Result<Self> {
        let settings = client::transactional(config, "bench", TRANSACTION_TIMEOUT_MS)?;
        let mut transactions = KafkaTransactions::new(settings, input, Arc::new(SystemClock::new()));
        transactions.init()?;
        Ok(Self { transactions, member: join(config, input)?, committed: 0 })
    }

    /// One transaction: the records, and a position on each of `partitions`.
    pub(crate) fn commit(&mut self, records: Vec<OutRecord>, partitions: &[i32]) -> Result<()> {
        self.committed += 1;
        let offsets = partitions.iter().map(|partition| (*partition, self.committed)).collect();
        let epoch = Epoch { records, offsets, ..Epoch::default() };
        let outcome = self.transactions.commit(&epoch, self.member.membership()?, PATIENCE);
        ensure!(outcome == Outcome::Committed, "{outcome:?}");
        Ok(())
    }
}

/// A worker's consumer of `topic`, with all of its partitions, of which none is read yet.
fn join(config: &KafkaConfig, topic: &str) -> Result<KafkaSource> {
    static MEMBERS: AtomicU32 = AtomicU32::new(0);
    let group = format!("bench-{}", MEMBERS.fetch_add(1, Ordering::Relaxed));
    let settings = client::member(config, &group, "bench")?;
    let mut source = KafkaSource::join(&settings, topic, |_| (), |_| ())?;
    loop {
        if let Some(SourceEvent::Assigned(partitions)) = source.poll(POLL)?
            && !partitions.is_empty()
        {
            return Ok(source);
        }
    }
}

fn consume(config: &KafkaConfig, topic: &str) -> Result<Duration> {
    let mut source = join(config, topic)?;
    timed(|| {
        source.start(&[(PARTITION, 0)])?;
        let mut records = 0;
        while records < RECORDS {
            if let Some(SourceEvent::Record(record)) = source.poll(POLL)? {
                black_box(record);
                records += 1;
            }
        }
        Ok(())
    })
}

/// `rdkafka_performance`, as `infra/setup/rdkafka_performance` builds it.
struct Tool {
    path: PathBuf,
    bootstrap_servers: String,
}

impl Tool {
    fn find(stack: &LocalStack) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let path = root.join(".treble/rdkafka_performance/rdkafka_performance");
        ensure!(path.exists(), "{} is missing: infra/setup/rdkafka_performance builds it", path.display());
        Ok(Self { path, bootstrap_servers: stack.bootstrap_servers().to_owned() })
    }

    /// How long it takes by its own clock.
    fn run(&self, arguments: &[&str]) -> Result<Duration> {
        let (partition, records, bytes) =
            (PARTITION.to_string(), RECORDS.to_string(), VALUE_BYTES.to_string());
        let output = Command::new(&self.path)
            .args(["-b", &self.bootstrap_servers, "-p", &partition, "-c", &records, "-s", &bytes])
            .arg("-q")
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "rdkafka_performance: {said}");
        let all = format!("% {records} messages ");
        let summary = said.lines().rfind(|line| line.starts_with(&all));
        let took = summary.and_then(|line| line.split(" in ").nth(1)?.split("ms").next()?.parse().ok());
        took.map(Duration::from_millis).with_context(|| format!("rdkafka_performance told no time: {said}"))
    }
}
