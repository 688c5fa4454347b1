//! A pipeline whose events are stored: streams to flow through it, and the judges of what is stored.

use anyhow::{Context, Result, ensure};
use rdkafka::message::OwnedHeaders;
use std::io::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_schemas::event::{Event, StageEvent};
use treble_schemas::frame::{Format, write_header};
use treble_schemas::{Contract, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips;
use treble_test_support::configuration::{self, PARTITIONS};
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::{self, Worker};
use treble_test_support::running::Running;
use treble_test_support::verdict;

/// Days that the lake keeps, where a test lets it tidy up.
pub(crate) const RETENTION_DAYS: u32 = 7;

/// xorshift64*: a schedule that is the same in every run.
pub(crate) struct Schedule(pub(crate) u64);

impl Schedule {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// What `treble lake verify --topic` found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Found {
    pub(crate) events: u64,
    pub(crate) reports: u64,
    pub(crate) unreadable: u64,
    /// Files of the table of events.
    pub(crate) event_files: u64,
    /// Records of days that the lake keeps no longer.
    pub(crate) expired: u64,
    /// Records of the topic that are stored, and those that are not yet.
    stored: u64,
    waiting: u64,
}

/// Three stages in the process of the test, topics of their own, and a lake.
pub(crate) struct Trial {
    stack: &'static LocalStack,
    prefix: &'static str,
    lake: TempDir,
    publisher: Publisher,
    _stages: Running,
}

impl Trial {
    pub(crate) fn start(prefix: &'static str) -> Result<Self> {
        let stack = LocalStack::shared()?;
        kafka::create_topics(stack, prefix)?;
        let config = configuration::config(&configuration::settings(stack, prefix))?;
        let publisher = Publisher::new(stack, prefix)?;
        Ok(Self { stack, prefix, lake: tempfile::tempdir()?, publisher, _stages: Running::start(config) })
    }

    fn lake_url(&self) -> String {
        self.lake.path().join("lake").display().to_string()
    }

    /// A process that stores every fifth of a second, so that a kill meets a commit at any of its steps.
    pub(crate) fn analyse(&self, instance: &str, more: &[(&'static str, String)]) -> Result<Worker> {
        let mut settings: Vec<(&'static str, String)> = [
            ("lake.flush_interval_ms", "200"),
            ("kafka.message_timeout_ms", "5000"),
            ("commit.transaction_timeout_ms", "6000"),
            ("kafka.session_timeout_ms", "7000"),
            ("commit.deadline_ms", "4000"),
        ]
        .map(|(key, value)| (key, value.to_owned()))
        .to_vec();
        settings.push(("lake.url", self.lake_url()));
        settings.extend(more.iter().cloned());
        Worker::new(self.stack, self.prefix, "analyse", instance, &settings)
    }

    /// Publishes the streams with these numbers, in chunks small enough for several commits each.
    pub(crate) fn publish(&self, numbers: Range<u32>) -> Result<()> {
        for number in numbers {
            self.publisher.chunks(&clips::chirp(&format!("s{number}"), 16_000, 4), 8_000)?;
        }
        self.publisher.flush()
    }

    /// Writes `count` events of one stage to the topic, as of `event_time_us` (microseconds since the Unix epoch).
    pub(crate) fn tell(&self, event_time_us: i64, count: u32) -> Result<()> {
        let events = Topics::new(self.prefix)?.events();
        let id = kafka::schema(self.stack, self.prefix, Contract::StageEvent, &events)?;
        let publisher = Publisher::new(self.stack, self.prefix)?.onto(&events);
        for number in 0..count {
            let stream_id = format!("told-{number}");
            let event = StageEvent { event_time_us, stream_id: stream_id.clone(), ..StageEvent::default() };
            let mut value = Vec::new();
            write_header(&mut value, id, Format::Avro);
            value.extend(event.encode()?);
            publisher.record(Some(stream_id.as_bytes()), Some(&value), OwnedHeaders::new())?;
        }
        publisher.flush()
    }

    /// Writes something to the topic of events that is none.
    pub(crate) fn nonsense(&self, value: &[u8]) -> Result<()> {
        let events = Topics::new(self.prefix)?.events();
        let publisher = Publisher::new(self.stack, self.prefix)?.onto(&events);
        publisher.record(Some(b"nonsense"), Some(value), OwnedHeaders::new())?;
        publisher.flush()
    }

    /// The same, one stream a second.
    pub(crate) fn publish_slowly(&self, numbers: Range<u32>) -> Result<()> {
        for number in numbers {
            self.publish(number..number + 1)?;
            thread::park_timeout(Duration::from_secs(1));
        }
        Ok(())
    }

    pub(crate) fn delivered(&self, streams: usize) -> Result<()> {
        let delivered = verdict::delivered(self.stack, self.prefix, streams)?;
        ensure!(delivered.len() == streams, "{} of {streams} streams", delivered.len());
        Ok(())
    }

    /// Waits until everything on the topic is stored; every row once, on the way too.
    pub(crate) fn await_stored(&self) -> Result<Found> {
        let clock = SystemClock::new();
        let mut calm = Found::default();
        loop {
            let found = self.verify()?;
            // Events follow their streams' last chunk by one commit: twice the same is the end.
            if found.waiting == 0 && found == calm {
                let rows = found.events + found.reports + found.unreadable;
                ensure!(rows == found.stored, "{rows} rows of {} records", found.stored);
                return Ok(found);
            }
            calm = found;
            ensure!(clock.now() < PATIENCE, "not all is stored: {found:?}");
            thread::park_timeout(Duration::from_millis(500));
        }
    }

    /// Waits until the lake is as `is_so` wants it; every row once, on the way too.
    pub(crate) fn await_found(&self, is_so: impl Fn(&Found) -> bool) -> Result<Found> {
        let clock = SystemClock::new();
        loop {
            let found = self.verify()?;
            if is_so(&found) {
                return Ok(found);
            }
            ensure!(clock.now() < PATIENCE, "{found:?}");
            thread::park_timeout(Duration::from_millis(500));
        }
    }

    fn verify(&self) -> Result<Found> {
        let mut command = Command::new(process::binary()?);
        command.args(["lake", "verify", "--topic", "--output", "json"]).current_dir(self.lake.path());
        command.envs(process::environment(self.stack, self.prefix)).env("TREBLE_LAKE_URL", self.lake_url());
        command.env("TREBLE_LAKE_RETENTION_DAYS", RETENTION_DAYS.to_string());
        let output = command.output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        let mut found = Found::default();
        for line in text.lines() {
            let document: serde_json::Value = serde_json::from_str(line)?;
            let number = |key: &str| document[key].as_u64().with_context(|| format!("{key} in {line}"));
            match document["table"].as_str() {
                Some("stage_events") => {
                    (found.events, found.event_files) = (number("rows")?, number("files")?);
                }
                Some("stream_reports") => found.reports = number("rows")?,
                Some("unreadable") => found.unreadable = number("rows")?,
                _ => {
                    (found.stored, found.waiting) = (number("stored")?, number("waiting")?);
                    found.expired = number("expired")?;
                }
            }
        }
        Ok(found)
    }

    /// Waits until `worker` has read what it has not stored yet.
    pub(crate) fn await_rows_in_hand(&self, worker: &Worker) -> Result<()> {
        let clock = SystemClock::new();
        loop {
            let metrics = Exposition::read(&worker.metrics().context("the worker does not answer")?)?;
            let read = metrics.sum("treble_records_received_total", &[("stage", "analyse")]);
            if read > metrics.sum("treble_lake_rows_written_total", &[]) {
                return Ok(());
            }
            ensure!(clock.now() < PATIENCE, "nothing is read");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Waits until `worker` reads so many partitions.
    pub(crate) fn await_partitions(&self, worker: &Worker, partitions: u32) -> Result<()> {
        let clock = SystemClock::new();
        loop {
            let answer = worker.metrics().context("the worker does not answer")?;
            let live = Exposition::read(&answer)?.sum("treble_kafka_live_partitions", &[]);
            if live >= f64::from(partitions.min(PARTITIONS)) {
                return Ok(());
            }
            ensure!(clock.now() < PATIENCE, "{live} partitions of {partitions}");
            thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// Python's `deltalake` reads the same tables.
    pub(crate) fn python_counts(&self, found: &Found) -> Result<()> {
        let text = python("count.py", &self.lake_url())?;
        let expect = format!(
            "stage_events {0} {0}\nstream_reports {1} {1}\nunreadable {2} {2}\n",
            found.events, found.reports, found.unreadable
        );
        ensure!(text == expect, "Python counts\n{text}where we count\n{expect}");
        Ok(())
    }

    /// Ballista reads the same files, where `make ballista` has built it.
    pub(crate) fn ballista_counts(&self, found: &Found) -> Result<()> {
        let Some(ballista) = std::env::var_os("TREBLE_ON_BALLISTA") else {
            eprintln!("Ballista was not asked; `make ballista` does");
            return Ok(());
        };
        let mut command = Command::new(ballista);
        let question = "SELECT count(*) AS rows, count(DISTINCT kafka_offset * 1000 + kafka_partition) AS distinct_rows, \
                        count(DISTINCT stage) AS stages FROM stage_events";
        command.args(["stage_events", question]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut asked = command.spawn()?;
        let files = python("files.py", &format!("{}/stage_events", self.lake_url()))?;
        asked.stdin.take().context("piped above")?.write_all(files.as_bytes())?;
        let answer = asked.wait_with_output()?;
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        eprint!("{text}");
        let row = text.lines().nth(3).unwrap_or_default();
        let cells: Vec<&str> = row.split('|').map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let events = found.events.to_string();
        ensure!(cells == [events.as_str(), &events, "3"], "Ballista counts\n{text}where we count {events}");
        Ok(())
    }
}

/// What a script beside this file prints about `url`.
fn python(script: &str, url: &str) -> Result<String> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let packages = here.join("../.treble/lake-python").canonicalize();
    let packages = packages.context("no deltalake for Python: run `infra/setup/setup --tests`")?;
    let mut command = Command::new("python3");
    let output = command.arg(here.join("lake").join(script)).arg(url).env("PYTHONPATH", packages).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    Ok(text)
}
