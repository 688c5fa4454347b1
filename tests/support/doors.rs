//! `treble serve` as a user starts it.

use crate::http;
use crate::kafka::PATIENCE;
use crate::process::{self, Background};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;

/// A `treble serve`, which ends when this is dropped.
#[derive(Debug)]
pub struct Doors {
    process: Background,
    addresses: BTreeMap<String, String>,
    admin: u16,
}

impl Doors {
    /// Starts it in `folder`, at free ports where `arguments` do not name one.
    pub fn open(environment: &[(String, String)], folder: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = command(environment, folder, arguments)?;
        let mut child = command.args(["--output", "json"]).stdout(Stdio::piped()).spawn()?;
        let said = child.stdout.take().context("piped above")?;
        let (process, mut line) = (Background::of(child), String::new());
        BufReader::new(said).read_line(&mut line)?;
        let document: Value =
            serde_json::from_str(&line).with_context(|| format!("treble serve said {line:?}"))?;
        let admin = document["metrics"].as_str().and_then(|address| address.rsplit(':').next());
        let admin = admin.and_then(|port| port.parse().ok()).with_context(|| line.clone())?;
        Ok(Self { process, addresses: serde_json::from_value(document["doors"].clone())?, admin })
    }

    /// What becomes of it where it does not start.
    pub fn refused(environment: &[(String, String)], folder: &Path, arguments: &[&str]) -> Result<Output> {
        Ok(command(environment, folder, arguments)?.output()?)
    }

    /// Waits until it can answer.
    pub fn await_ready(&self) -> Result<()> {
        let clock = SystemClock::new();
        while !http::get(self.admin, "/readyz").is_some_and(|answer| answer.contains(" 200 ")) {
            ensure!(clock.now() < PATIENCE, "the doors are not ready");
            thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Address of the door for `protocol`.
    pub fn address(&self, protocol: &str) -> Result<&str> {
        self.addresses.get(protocol).map(String::as_str).with_context(|| format!("no door for {protocol}"))
    }

    /// Status and body of the answer to `sql` over HTTP.
    pub fn ask(&self, token: &str, sql: &str) -> Result<(u16, String)> {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str())];
        http::ask(self.address("http")?, "/v1/sql", if token.is_empty() { &[] } else { &headers }, sql)
    }

    /// The rows of the answer to `sql`.
    pub fn rows(&self, sql: &str) -> Result<Vec<Value>> {
        let (status, body) = self.ask("", sql)?;
        ensure!(status == 200, "{sql}: {status} {body}");
        Ok(serde_json::from_str(&body)?)
    }

    /// Waits until `column` of the answer to `sql` is `expect`; says how long that took.
    pub fn await_cell(&self, sql: &str, column: &str, expect: u64) -> Result<Duration> {
        let clock = SystemClock::new();
        loop {
            let found = self.rows(sql)?;
            if found.first().and_then(|row| row[column].as_u64()) == Some(expect) {
                return Ok(clock.now());
            }
            ensure!(clock.now() < PATIENCE, "{sql}: {found:?} in place of {expect}");
        }
    }

    /// What it tells Prometheus.
    pub fn metrics(&self) -> Result<String> {
        http::get(self.admin, "/metrics").context("no metrics")
    }

    /// Ends it as an operator would.
    pub fn end(self) -> Result<()> {
        self.process.end()
    }
}

fn command(environment: &[(String, String)], folder: &Path, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(process::binary()?);
    command.arg("serve").args(arguments).current_dir(folder).stdin(Stdio::null());
    for flag in ["--http", "--flight", "--postgres", "--listen"] {
        if !arguments.contains(&flag) {
            command.args([flag, "127.0.0.1:0"]);
        }
    }
    command.envs(environment.iter().cloned());
    Ok(command)
}
