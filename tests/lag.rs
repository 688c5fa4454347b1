//! Lag in seconds beside the truth, on a real Kafka: every send time is known here.

use anyhow::{Context, Result, anyhow, ensure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::kafka::lag::KafkaCluster;
use treble_pipeline::lag::collector::{Collector, Limits};
use treble_pipeline::lag::report::{LogBounds, Method, PositionLag, Report};
use treble_pipeline::lag::status::Status;
use treble_pipeline::ports::Clock;
use treble_schemas::dead_letter::DeadLetter;
use treble_test_support::broker::LocalStack;
use treble_test_support::configuration;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE, delete_before};
use treble_test_support::process::{Background, binary, environment};

/// A topic of one partition, and a group that reads it and is called as the topic is.
struct Trial {
    stack: &'static LocalStack,
    name: &'static str,
    producer: BaseProducer,
    group: BaseConsumer,
    collector: Collector<KafkaCluster>,
    clock: SystemClock,
}

impl Trial {
    fn new(name: &'static str, transactional: bool) -> Result<Self> {
        let stack = LocalStack::shared()?;
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", stack.bootstrap_servers());
        let admin: AdminClient<DefaultClientContext> = client.create()?;
        let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1)).set("retention.ms", "3600000");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        for outcome in runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new()))? {
            outcome.map_err(|(topic, code)| anyhow!("{topic}: {code}"))?;
        }
        kafka::await_topics(&admin, &[name])?;
        let group = client.clone().set("group.id", name).create()?;
        if transactional {
            client.set("transactional.id", name);
        }
        let producer: BaseProducer = client.set("linger.ms", "0").create()?;
        if transactional {
            producer.init_transactions(PATIENCE)?;
        }
        let config = configuration::config(&configuration::settings(stack, name))?;
        let clock = SystemClock::new();
        let cluster = KafkaCluster::connect(&config.kafka, Arc::new(clock))?;
        let collector = Collector::new(cluster, Limits::default(), vec![name.to_owned()]);
        Ok(Self { stack, name, producer, group, collector, clock })
    }

    fn now_ms(&self) -> i64 {
        self.clock.unix_us() / 1_000
    }

    fn send(&self, timestamp_ms: i64) -> Result<()> {
        let record = BaseRecord::<(), [u8]>::to(self.name).payload(b"record").timestamp(timestamp_ms);
        self.producer.send(record).map_err(|(error, _)| error)?;
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(self.producer.flush(PATIENCE)?)
    }

    fn commit(&self, offset: i64) -> Result<()> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.name, 0, Offset::Offset(offset))?;
        Ok(self.group.commit(&list, CommitMode::Sync)?)
    }

    /// Collects until the log is stable up to `stable`: markers follow a commit or an abort in their own time.
    fn collect_at(&mut self, stable: i64) -> Result<(PositionLag, LogBounds)> {
        loop {
            let (lag, log) = self.collect()?;
            if log.stable >= stable {
                return Ok((lag, log));
            }
            ensure!(self.clock.now() < PATIENCE, "never stable up to {stable}: {log:?}");
            thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn collect(&mut self) -> Result<(PositionLag, LogBounds)> {
        let now = Duration::from_micros(self.clock.unix_us().unsigned_abs());
        let mut report: Report = self.collector.collect(now)?;
        ensure!(report.failures.is_empty(), "{:?}", report.failures);
        ensure!(report.groups.len() == 1, "only the group that was asked for: {report:?}");
        let log = report.logs.into_iter().find(|log| log.topic == self.name).context("the topic")?;
        let lag = report.groups[0].positions.pop().context("a position")?;
        ensure!(report.groups[0].positions.is_empty(), "the group has one position");
        Ok((lag, log))
    }
}

#[test]
fn seconds_are_within_a_second_of_the_truth_at_a_thousand_records_a_second() -> Result<()> {
    let mut trial = Trial::new("lag-live", false)?;
    let mut sent_ms = Vec::new();
    let mut worst = 0.0_f64;
    let mut compared = 0;
    trial.commit(0)?;
    for tick in 0..50 {
        for _ in 0..100 {
            sent_ms.push(trial.now_ms());
            trial.send(*sent_ms.last().context("just pushed")?)?;
        }
        trial.flush()?;
        // Two seconds behind, and by jumps.
        let position = (sent_ms.len().saturating_sub(2_000) / 700) * 700;
        trial.commit(i64::try_from(position)?)?;
        if tick % 5 == 4 {
            let before = trial.now_ms();
            let (lag, _) = trial.collect()?;
            let truth = (before - sent_ms[position]) as f64 / 1e3;
            let seconds = lag.lag_seconds.context("seconds")?;
            ensure!(lag.method == Method::Exact && lag.committed == i64::try_from(position)?, "{lag:?}");
            ensure!(lag.lag == i64::try_from(sent_ms.len() - position)?, "{lag:?}");
            worst = worst.max((seconds - truth).abs());
            compared += 1;
        }
        thread::park_timeout(Duration::from_millis(50));
    }
    println!("records={} compared={compared} worst_error_seconds={worst:.3}", sent_ms.len());
    ensure!(worst < 1.0, "off by {worst} s");
    Ok(())
}

#[test]
fn an_old_record_is_as_old_as_it_says_and_what_is_deleted_is_lost() -> Result<()> {
    let mut trial = Trial::new("lag-old", false)?;
    let now = trial.now_ms();
    (0..600).try_for_each(|n| trial.send(now - 600_000 + n * 1_000))?;
    trial.flush()?;
    trial.commit(100)?;
    let (lag, _) = trial.collect()?;
    let off = lag.lag_seconds.context("seconds")? - 500.0;
    ensure!((0.0..5.0).contains(&off) && lag.lag == 500, "{lag:?}");
    let margin = lag.retention_margin_seconds.context("the topic deletes")?;
    ensure!((3_095.0..=3_100.0).contains(&margin), "{lag:?}");

    delete_before(trial.stack, trial.name, 0, 300)?;
    let (lag, log) = trial.collect()?;
    ensure!((lag.records_lost, lag.lag_seconds, log.start) == (200, None, 300), "{lag:?} {log:?}");
    trial.commit(600)?;
    let (lag, _) = trial.collect()?;
    ensure!((lag.lag, lag.lag_seconds, lag.status) == (0, Some(0.0), Status::Ok), "{lag:?}");
    ensure!(lag.records_lost == 200, "what was lost stays lost: {lag:?}");
    Ok(())
}

#[test]
fn markers_aborted_records_and_an_open_transaction_are_no_lag() -> Result<()> {
    let mut trial = Trial::new("lag-transactions", true)?;
    let old = trial.now_ms() - 3_600_000;
    trial.producer.begin_transaction()?;
    (0..10).try_for_each(|_| trial.send(old))?;
    trial.producer.commit_transaction(PATIENCE)?;
    trial.commit(10)?;
    let (lag, log) = trial.collect_at(11)?;
    ensure!((lag.lag, lag.lag_seconds, lag.method) == (1, Some(0.0), Method::EmptyTail), "{lag:?}");
    ensure!(log.stable == 11 && log.high == 11, "{log:?}");

    trial.producer.begin_transaction()?;
    (0..5).try_for_each(|_| trial.send(old))?;
    trial.flush()?;
    let (lag, log) = trial.collect()?;
    ensure!((lag.lag, lag.lag_seconds) == (1, Some(0.0)), "nobody can read them yet: {lag:?}");
    ensure!((log.stable, log.high) == (11, 16), "the gap shows: {log:?}");
    trial.producer.abort_transaction(PATIENCE)?;
    let (lag, _) = trial.collect_at(17)?;
    ensure!((lag.lag, lag.lag_seconds, lag.method) == (7, Some(0.0), Method::EmptyTail), "{lag:?}");

    trial.producer.begin_transaction()?;
    trial.send(trial.now_ms() - 30_000)?;
    trial.producer.commit_transaction(PATIENCE)?;
    let (lag, _) = trial.collect_at(19)?;
    let off = lag.lag_seconds.context("seconds")? - 30.0;
    ensure!((0.0..5.0).contains(&off) && lag.method == Method::Exact, "{lag:?}");
    Ok(())
}

#[test]
fn the_command_shows_it_and_the_collector_serves_it() -> Result<()> {
    let trial = Trial::new("lag-command", false)?;
    let now = trial.now_ms();
    (0..10).try_for_each(|_| trial.send(now - 60_000))?;
    trial.flush()?;
    trial.commit(4)?;
    let treble = |arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.args(arguments).envs(environment(trial.stack, trial.name)).stdin(Stdio::null());
        Ok(command)
    };
    let shown = treble(&["lag", trial.name, "--output", "json"])?.output()?;
    ensure!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    let document: serde_json::Value = serde_json::from_slice(&shown.stdout)?;
    let position = &document["report"]["groups"][0]["positions"][0];
    ensure!(position["lag"] == 6 && position["method"] == "exact", "{document}");
    let table = String::from_utf8(treble(&["lag", trial.name, "--partitions"])?.output()?.stdout)?;
    ensure!(table.contains("lag-command [0]") && table.contains(" 6 "), "{table}");
    let unknown = treble(&["lag", "nobody-at-all"])?.output()?;
    ensure!(unknown.status.code() == Some(66), "{unknown:?}");

    let port = configuration::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let collector = Background::start(&mut treble(&["lag", "--interval", "1", "--listen", &listen])?)?;
    let clock = SystemClock::new();
    let labels = [("consumergroup", trial.name), ("topic", trial.name), ("partition", "0")];
    loop {
        let answer = treble_test_support::http::get(port, "/metrics").unwrap_or_default();
        let metrics = Exposition::read(&answer).ok();
        let lag = metrics.as_ref().and_then(|metrics| metrics.value("kafka_consumergroup_lag", &labels));
        if let (Some(lag), Some(metrics)) = (lag, metrics) {
            ensure!(lag == 6.0, "{answer}");
            let seconds = metrics.value("kafka_consumergroup_lag_seconds", &labels).context("seconds")?;
            ensure!((60.0..120.0).contains(&seconds), "{seconds}");
            let ready = treble_test_support::http::get(port, "/readyz").context("an answer")?;
            ensure!(ready.starts_with("HTTP/1.1 200"), "{ready}");
            // It is the first process of its container, which no signal ends by itself.
            return collector.end();
        }
        ensure!(clock.now() < PATIENCE, "the collector never told of the group:\n{answer}");
        thread::park_timeout(Duration::from_millis(100));
    }
}

/// A dead letter of `stage`, or what is none, onto the trial's topic.
fn post(trial: &Trial, stage: Option<&str>, timestamp_ms: i64) -> Result<()> {
    let said = stage.map(|stage| DeadLetter {
        code: "not_audio".into(),
        message: "no reader".into(),
        stage: stage.into(),
        topic: "t.audio.in".into(),
        partition: 0,
        offset: 7,
        timestamp_ms: None,
        stream_first_offset: None,
        attempt: 1,
        failed_at_ms: timestamp_ms,
        treble_version: "0".into(),
    });
    let named = said.iter().flat_map(|letter| letter.headers(&[]));
    let headers = named.fold(OwnedHeaders::new(), |headers, header| {
        headers.insert(Header { key: &header.name, value: header.value.as_deref() })
    });
    let record = BaseRecord::<(), [u8]>::to(trial.name).payload(b"original").timestamp(timestamp_ms);
    trial.producer.send(record.headers(headers)).map_err(|(error, _)| error)?;
    trial.flush()
}

/// Asks the collector at `port` until `holds`.
fn scrape_until(port: u16, what: &str, holds: impl Fn(&Exposition) -> bool) -> Result<Exposition> {
    let clock = SystemClock::new();
    loop {
        let answer = treble_test_support::http::get(port, "/metrics").unwrap_or_default();
        if let Some(metrics) = Exposition::read(&answer).ok().filter(&holds) {
            return Ok(metrics);
        }
        ensure!(clock.now() < PATIENCE, "never: {what}\n{answer}");
        thread::park_timeout(Duration::from_millis(100));
    }
}

#[test]
fn dead_letters_that_wait_are_counted_by_stage_until_they_are_purged() -> Result<()> {
    let trial = Trial::new("lag-letters.dlq", false)?;
    let now = trial.now_ms();
    let stages = [Some("decode"), Some("encode"), Some("decode"), Some("nobody-of-ours"), None];
    for (place, stage) in (0_i64..).zip(stages) {
        post(&trial, stage, now - 3_600_000 + place * 1_000)?;
    }
    let treble = |arguments: &[&str]| -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.args(arguments).envs(environment(trial.stack, "lag-letters")).stdin(Stdio::null());
        Ok(command)
    };
    let port = configuration::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let collector = Background::start(&mut treble(&["lag", "--interval", "1", "--listen", &listen])?)?;
    let depth = |metrics: &Exposition, stage| metrics.value("treble_dlq_depth", &[("stage", stage)]);
    let oldest = |metrics: &Exposition, stage| {
        metrics.value("treble_dlq_oldest_timestamp_seconds", &[("stage", stage)])
    };
    let written = |place: i64| Some((now - 3_600_000 + place * 1_000) as f64 / 1e3);
    let metrics = scrape_until(port, "five letters", |metrics| depth(metrics, "other") == Some(2.0))?;
    let all = ["decode", "upscale", "encode"].map(|stage| depth(&metrics, stage));
    ensure!(all == [Some(2.0), Some(0.0), Some(1.0)], "{}", metrics.family("treble_dlq"));
    let times = ["decode", "upscale", "encode", "other"].map(|stage| oldest(&metrics, stage));
    ensure!(times == [written(0), None, written(1), written(3)], "{}", metrics.family("treble_dlq"));

    let planned = treble(&["dlq", "purge", "1", "--output", "json"])?.output()?;
    let said: serde_json::Value = serde_json::from_slice(&planned.stdout)?;
    ensure!(said["records"] == 2 && said["deleted"] == false, "{said}");
    ensure!(treble(&["dlq", "purge", "99", "--yes"])?.output()?.status.code() == Some(66));
    post(&trial, Some("upscale"), now)?;
    let metrics = scrape_until(port, "a sixth", |metrics| depth(metrics, "upscale") == Some(1.0))?;
    ensure!(depth(&metrics, "decode") == Some(2.0), "what is planned is not done");
    ensure!(treble(&["dlq", "purge", "1", "--yes"])?.output()?.status.success());
    let metrics = scrape_until(port, "two purged", |metrics| depth(metrics, "encode") == Some(0.0))?;
    ensure!(depth(&metrics, "decode") == Some(1.0), "{}", metrics.family("treble_dlq"));
    ensure!((oldest(&metrics, "decode"), oldest(&metrics, "encode")) == (written(2), None));
    collector.end()
}
