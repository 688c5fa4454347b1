//! A pipeline whose events are asked for, and those who ask.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::configuration;
use treble_test_support::doors::Doors;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::{self, Worker};
use treble_test_support::running::Running;
use treble_test_support::verdict;

/// Stages in the process of the test, and topics of their own.
pub(crate) struct Asked {
    stack: &'static LocalStack,
    prefix: &'static str,
    folder: TempDir,
    publisher: Publisher,
    _stages: Running,
}

impl Asked {
    pub(crate) fn start(prefix: &'static str) -> Result<Self> {
        let stack = LocalStack::shared()?;
        kafka::create_topics(stack, prefix)?;
        let config = configuration::config(&configuration::settings(stack, prefix))?;
        let publisher = Publisher::new(stack, prefix)?;
        Ok(Self { stack, prefix, folder: tempfile::tempdir()?, publisher, _stages: Running::start(config) })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn lake(&self) -> String {
        self.folder().join("lake").display().to_string()
    }

    /// A process that stores every fifth of a second.
    pub(crate) fn analyse(&self) -> Result<Worker> {
        let settings = [("lake.flush_interval_ms", "200".to_owned()), ("lake.url", self.lake())];
        Worker::new(self.stack, self.prefix, "analyse", "a1", &settings)
    }

    pub(crate) fn publish(&self, numbers: Range<u32>) -> Result<()> {
        for number in numbers {
            self.publisher.chunks(&clips::chirp(&format!("s{number}"), 16_000, 2), 8_000)?;
        }
        self.publisher.flush()
    }

    pub(crate) fn publish_slowly(&self, streams: u32) -> Result<()> {
        for number in 0..streams {
            self.publish(number..number + 1)?;
            thread::park_timeout(Duration::from_millis(500));
        }
        Ok(())
    }

    /// Publishes a clip that becomes a dead letter.
    pub(crate) fn refused(&self, bytes: &[u8]) -> Result<()> {
        self.publisher.clip(&Clip {
            name: "refused".to_owned(),
            media_type: "audio/mpeg",
            bytes: bytes.to_vec(),
        })?;
        self.publisher.flush()
    }

    pub(crate) fn delivered(&self, streams: usize) -> Result<()> {
        let delivered = verdict::delivered(self.stack, self.prefix, streams)?;
        ensure!(delivered.len() == streams, "{} of {streams} streams", delivered.len());
        Ok(())
    }

    /// What ties a process to the topics, and to the lake where there is one.
    fn environment(&self) -> Vec<(String, String)> {
        let mut environment = process::environment(self.stack, self.prefix);
        if Path::new(&self.lake()).exists() {
            environment.push(("TREBLE_LAKE_URL".to_owned(), self.lake()));
        }
        environment
    }

    fn shell(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(process::binary()?);
        command.arg("sql").args(arguments).current_dir(self.folder());
        command.envs(self.environment()).stdin(Stdio::null());
        Ok(command)
    }

    /// A `treble serve`.
    pub(crate) fn doors(&self, arguments: &[&str]) -> Result<Doors> {
        Doors::open(&self.environment(), self.folder(), arguments)
    }

    /// What `treble sql` prints.
    pub(crate) fn sql(&self, arguments: &[&str]) -> Result<String> {
        printed(self.shell(arguments)?.output()?)
    }

    /// What `treble sql` prints with `statements` on its standard input.
    pub(crate) fn piped(&self, statements: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.shell(arguments)?;
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("piped above")?.write_all(statements.as_bytes())?;
        printed(child.wait_with_output()?)
    }

    /// Waits until `treble sql` prints `expect`: events follow their stream by one commit.
    pub(crate) fn await_sql(&self, arguments: &[&str], expect: &str) -> Result<()> {
        let clock = SystemClock::new();
        loop {
            let found = self.sql(arguments)?;
            if found == expect {
                return Ok(());
            }
            ensure!(clock.now() < PATIENCE, "{arguments:?}: {found} in place of {expect}");
        }
    }

    /// Exit code and complaint of a `treble sql` that fails.
    pub(crate) fn fails(&self, arguments: &[&str]) -> Result<(i32, String)> {
        failed(self.shell(arguments)?.output()?)
    }

    /// Exit code and complaint of a `treble serve` that does not start.
    pub(crate) fn serve_fails(&self, arguments: &[&str]) -> Result<(i32, String)> {
        let output = Doors::refused(&self.environment(), self.folder(), arguments)?;
        ensure!(output.stdout.is_empty(), "doors are announced that do not open: {output:?}");
        failed(output)
    }
}

fn printed(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn failed(output: Output) -> Result<(i32, String)> {
    ensure!(!output.status.success(), "it did not fail");
    Ok((output.status.code().context("killed")?, String::from_utf8(output.stderr)?))
}
