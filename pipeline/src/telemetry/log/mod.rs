//! The log: one line an event, on standard error or in a file, for people or for collectors.
//!
//! `tracing` → `layer` captures, under a limit a place → a bounded queue → `writer`, a thread of its own, takes secrets out
//! ([`crate::redact`]), formats ([`schema`] says how for collectors) and writes. Nobody who logs waits for a disk or a pipe: lines
//! offered = written + suppressed + dropped, and each of the three is a metric. Deliberately absent: sending lines over the network,
//! which is the work of Fluent Bit and its like (`monitoring/logs`).
//!
//! [`event`] what lines tell of · [`schema`] their fields · `line` a line, written · `site` who writes · `limit` how often a place is
//! heard · `file` rotation · `count` what became of lines.

mod count;
pub mod event;
mod file;
mod layer;
mod limit;
mod line;
pub mod schema;
mod site;
mod writer;

use crate::clock::SystemClock;
use crate::config::{Config, LogConfig};
use crate::ports::Clock;
use count::Counts;
use event::Event;
use file::{RotatingFile, Rotation};
use layer::Capture;
use limit::Limiter;
use line::{Identity, Line};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use std::{panic, thread};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use writer::{Sink, StandardError, Writer};

/// Libraries that are heard only where `log.level` names them: those that tell of every step at `info`, with all that they know of a
/// table in each line; and rdkafka, which calls the end of a partition an error, and repeats what librdkafka tells itself.
const TALKATIVE: &str = "buoyant_kernel=error,deltalake_core=error,rdkafka::client=off";
/// Lines that wait to be written, at most.
const QUEUE: usize = 4_096;
/// The audit log begins a file each day, so that as many days are kept as files.
const DAY_SECONDS: u64 = 86_400;
/// How long a process that ends waits for what is not written: a pipe that nobody reads must not keep it.
const PATIENCE: Duration = Duration::from_secs(2);

/// The counts of the process's log: one, as `tracing` has one subscriber a process.
static COUNTS: OnceLock<Counts> = OnceLock::new();

/// What a process is, in the field `component`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Component {
    /// It runs the stages of the configuration.
    Stages,
    /// The doors of analysts.
    Sql,
    /// The lag collector.
    Lag,
    /// The canary.
    Canary,
}

impl Component {
    fn name(self, config: &Config) -> String {
        match (self, config.stages.as_slice()) {
            (Self::Stages, [stage]) => stage.clone(),
            (Self::Stages, _) => "pipeline".to_owned(),
            (Self::Sql, _) => "sql".to_owned(),
            (Self::Lag, _) => "lag".to_owned(),
            (Self::Canary, _) => "canary".to_owned(),
        }
    }
}

/// The log cannot be begun.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Its file cannot be written.
    #[error(
        "{key}: cannot open {path}: {source}; name a file in a folder that this user may write, or an empty text for standard error"
    )]
    File {
        /// The configuration key.
        key: &'static str,
        /// Its path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the log: {0}")]
    Thread(#[source] io::Error),
    /// A metric cannot be registered: a defect.
    #[error("the log cannot be counted: {0}")]
    Count(#[from] prometheus::Error),
}

/// The log of the process; dropped, it writes what waits.
#[derive(Debug)]
#[must_use = "what waits is written when this is dropped"]
pub struct Log {
    end: Arc<AtomicBool>,
    wake: SyncSender<Option<Line>>,
    ended: Receiver<()>,
}

/// Starts the log as configured, and sends panics to it. Levels were validated with the configuration; what does not parse here falls
/// back to `info`.
///
/// # Errors
/// [`LogError`].
pub fn start(config: &Config, component: Component) -> Result<Log, LogError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let identity = Identity {
        component: component.name(config),
        instance: config.instance_id.clone(),
        pipeline: config.prefix.clone(),
    };
    let counts = Counts::new()?;
    let limiter = Arc::new(Mutex::new(Limiter::new(config.log.repeats)));
    let (sink, coloured) = sink(&config.log, &*clock)?;
    let audit = audit(&config.log, &*clock)?;
    let audited = audit.is_some();
    let writer = Writer {
        identity,
        format: config.log.format,
        coloured,
        sink,
        audit,
        limiter: Arc::clone(&limiter),
        counts: counts.clone(),
        clock: Arc::clone(&clock),
    };
    let (lines, log) = spawn(writer).map_err(LogError::Thread)?;
    let capture = Capture { limiter, lines, audited, counts, clock };
    listen(&config.log, capture);
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("no text");
        let thread = thread::current().name().map(str::to_owned);
        tracing::error!(event = Event::Panicked.text(), place, thread, error = what, "a thread panicked");
    }));
    tracing::info!(event = Event::Started.text(), version = env!("CARGO_PKG_VERSION"), "the log begins");
    Ok(log)
}

/// What a scrape is told of the log: nothing, where there is none.
pub(super) fn exposition() -> Result<String, prometheus::Error> {
    COUNTS.get().map_or_else(|| Ok(String::new()), Counts::exposition)
}

fn sink(config: &LogConfig, clock: &dyn Clock) -> Result<(Box<dyn Sink>, bool), LogError> {
    let Some(path) = &config.file else { return Ok((Box::new(StandardError), coloured())) };
    let rotation = Rotation {
        path: path.clone(),
        bytes: config.file_mb << 20,
        period_seconds: config.file_hours * 3_600,
        files: config.files,
    };
    Ok((Box::new(open("log.file", rotation, clock)?), false))
}

fn audit(config: &LogConfig, clock: &dyn Clock) -> Result<Option<Box<dyn Sink>>, LogError> {
    let Some(path) = &config.audit_file else { return Ok(None) };
    let (bytes, files) = (config.audit_mb << 20, config.audit_files);
    let rotation = Rotation { path: path.clone(), bytes, period_seconds: DAY_SECONDS, files };
    Ok(Some(Box::new(open("log.audit_file", rotation, clock)?)))
}

fn open(key: &'static str, rotation: Rotation, clock: &dyn Clock) -> Result<RotatingFile, LogError> {
    let now = u64::try_from(clock.unix_us()).unwrap_or_default() / 1_000_000;
    let path = rotation.path.clone();
    RotatingFile::open(rotation, now).map_err(|source| LogError::File { key, path, source })
}

/// Starts the thread that writes.
fn spawn(writer: Writer) -> io::Result<(SyncSender<Option<Line>>, Log)> {
    let (sender, lines) = sync_channel(QUEUE);
    let (tell, ended) = sync_channel(1);
    let end = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&end);
    let write = move || {
        writer.run(&lines, &asked);
        tell.try_send(()).ok();
    };
    thread::Builder::new().name("log".to_owned()).spawn(write)?;
    Ok((sender.clone(), Log { end, wake: sender, ended }))
}

/// Who is heard from which level on.
fn targets(level: &str) -> Targets {
    let targets = format!("{TALKATIVE},{level}").parse();
    targets.unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO))
}

fn listen(config: &LogConfig, capture: Capture) {
    let targets = targets(&config.level);
    let counts = capture.counts.clone();
    // Only a process that already has a log, such as a test, refuses a second one.
    if tracing_subscriber::registry().with(capture.with_filter(targets)).try_init().is_ok() {
        drop(COUNTS.set(counts));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Release);
        // A queue that is full keeps the writer awake as well.
        drop(self.wake.try_send(None));
        // Where it takes longer, what is left is lost with the process.
        self.ended.recv_timeout(PATIENCE).ok();
    }
}

/// Colours are for terminals, and for people who did not ask to be spared them (no-color.org).
fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests;
