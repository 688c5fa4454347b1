//! A pipeline whose events are asked for, and those who ask.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::configuration;
use treble_test_support::http;
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

    fn command(&self, verb: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = command(self.stack, self.prefix, self.folder(), verb, arguments)?;
        if Path::new(&self.lake()).exists() {
            command.env("TREBLE_LAKE_URL", self.lake());
        }
        Ok(command)
    }

    /// What `treble sql` prints.
    pub(crate) fn sql(&self, arguments: &[&str]) -> Result<String> {
        printed(self.command("sql", arguments)?.output()?)
    }

    /// What `treble sql` prints with `statements` on its standard input.
    pub(crate) fn piped(&self, statements: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command("sql", arguments)?;
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
        failed(self.command("sql", arguments)?.output()?)
    }

    /// Exit code and complaint of a `treble serve` that does not start.
    pub(crate) fn serve_fails(&self, arguments: &[&str]) -> Result<(i32, String)> {
        failed(self.command("serve", &with_ports(arguments))?.output()?)
    }
}

/// `treble VERB` in `folder`, of topics of one's own.
fn command(
    stack: &LocalStack,
    prefix: &str,
    folder: &Path,
    verb: &str,
    arguments: &[&str],
) -> Result<Command> {
    let mut command = Command::new(process::binary()?);
    command.arg(verb).args(arguments).current_dir(folder);
    command.envs(process::environment(stack, prefix)).stdin(Stdio::null());
    Ok(command)
}

fn printed(output: Output) -> Result<String> {
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn failed(output: Output) -> Result<(i32, String)> {
    ensure!(!output.status.success(), "it did not fail");
    Ok((output.status.code().context("killed")?, String::from_utf8(output.stderr)?))
}

/// Free ports for all doors that `arguments` does not name.
fn with_ports<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut all = arguments.to_vec();
    for flag in ["--http", "--flight", "--postgres", "--listen"] {
        if !arguments.contains(&flag) {
            all.extend([flag, "127.0.0.1:0"]);
        }
    }
    all
}

/// A `treble serve`.
pub(crate) struct Server {
    child: Child,
    http: String,
    admin: u16,
}

impl Server {
    pub(crate) fn start(asked: &Asked, arguments: &[&str]) -> Result<Self> {
        Self::spawn(asked.command("serve", &with_ports(arguments))?)
    }

    /// One that everybody may ask, over topics of `stack` that are empty.
    pub(crate) fn of(stack: &LocalStack, prefix: &str, folder: &Path) -> Result<Self> {
        Self::spawn(command(stack, prefix, folder, "serve", &with_ports(&["--anonymous"]))?)
    }

    fn spawn(mut command: Command) -> Result<Self> {
        let mut child = command.arg("--output").arg("json").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped above")?).read_line(&mut line)?;
        let document: Value =
            serde_json::from_str(&line).with_context(|| format!("treble serve said {line:?}"))?;
        let text = |value: &Value| value.as_str().map(str::to_owned).with_context(|| line.clone());
        let port = text(&document["metrics"])?.rsplit(':').next().and_then(|port| port.parse().ok());
        Ok(Self { child, http: text(&document["doors"]["http"])?, admin: port.context("no port")? })
    }

    pub(crate) fn await_ready(&self) -> Result<()> {
        let clock = SystemClock::new();
        while !http::get(self.admin, "/readyz").is_some_and(|answer| answer.contains(" 200 ")) {
            ensure!(clock.now() < PATIENCE, "the doors are not ready");
            thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Status and body of the answer to `sql`.
    pub(crate) fn ask(&self, token: &str, sql: &str) -> Result<(u16, String)> {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str())];
        http::ask(&self.http, "/v1/sql", if token.is_empty() { &[] } else { &headers }, sql)
    }

    /// The rows of the answer to `sql`.
    pub(crate) fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        let (status, body) = self.ask("", sql)?;
        ensure!(status == 200, "{sql}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Waits until `column` of the answer to `sql` is `expect`; says how long that took.
    pub(crate) fn await_cell(&self, sql: &str, column: &str, expect: u64) -> Result<Duration> {
        let clock = SystemClock::new();
        loop {
            let found = self.rows(sql)?;
            if found.first().and_then(|row| row[column].as_u64()) == Some(expect) {
                return Ok(clock.now());
            }
            ensure!(clock.now() < PATIENCE, "{sql}: {found:?} in place of {expect}");
        }
    }

    pub(crate) fn metrics(&self) -> Result<String> {
        http::get(self.admin, "/metrics").context("no metrics")
    }

    /// Ends it as an operator would.
    pub(crate) fn end(mut self) -> Result<()> {
        let killed = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(killed.success(), "no process to end");
        let status = self.child.wait()?;
        ensure!(status.success(), "treble serve ended with {status}");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Where it has ended there is nobody to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
