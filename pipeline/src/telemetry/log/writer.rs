//! The thread that writes: it takes secrets out, puts lines into their format, and tells what was suppressed.

use super::count::Counts;
use super::event::Event;
use super::file::RotatingFile;
use super::layer::Shared;
use super::line::{Identity, Line, Value};
use crate::config::LogFormat;
use crate::ports::Clock;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// How often windows are looked at where nobody logs.
const TICK: Duration = Duration::from_millis(500);

/// How often a line proves that lines arrive where they are kept.
const CANARY: Duration = Duration::from_secs(300);

/// Where lines go.
pub(super) trait Sink: Send + fmt::Debug {
    /// Writes a whole line, with its line break; `now` in seconds of Unix time.
    fn write(&mut self, line: &[u8], now: u64) -> io::Result<()>;
}

/// Standard error.
#[derive(Debug)]
pub(super) struct StandardError;

impl Sink for StandardError {
    fn write(&mut self, line: &[u8], _: u64) -> io::Result<()> {
        io::stderr().lock().write_all(line)
    }
}

impl Sink for RotatingFile {
    fn write(&mut self, line: &[u8], now: u64) -> io::Result<()> {
        Self::write(self, line, now)
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) identity: Identity,
    pub(super) format: LogFormat,
    pub(super) coloured: bool,
    pub(super) sink: Box<dyn Sink>,
    /// The audit log, always for programs.
    pub(super) audit: Option<Box<dyn Sink>>,
    pub(super) limiter: Shared,
    pub(super) counts: Counts,
    pub(super) clock: Arc<dyn Clock>,
}

impl Writer {
    /// Writes until it is asked to end or nobody can log any more, and then what is left.
    pub(super) fn run(mut self, lines: &Receiver<Option<Line>>, end: &AtomicBool) {
        let mut looked = self.clock.now();
        let mut sung = looked;
        loop {
            match lines.recv_timeout(TICK) {
                Ok(Some(line)) => self.write(line),
                Ok(None) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if end.load(Ordering::Acquire) {
                break;
            }
            let now = self.clock.now();
            if now.saturating_sub(looked) >= TICK {
                looked = now;
                self.tell_suppressed(Some(now));
            }
            if now.saturating_sub(sung) >= CANARY {
                sung = now;
                // Through the queue like all others, so that `log.level` decides on it, too.
                tracing::info!(event = Event::LogCanary.text(), "lines are written");
            }
        }
        lines.try_iter().flatten().for_each(|line| self.write(line));
        self.tell_suppressed(None);
    }

    fn write(&mut self, line: Line) {
        let (level, line) = (line.level, line.redacted());
        let now = u64::try_from(self.clock.unix_us()).unwrap_or_default() / 1_000_000;
        if let Some(audit) = self.audit.as_mut().filter(|_| line.is_audited())
            && audit.write(format!("{}\n", line.json(&self.identity)).as_bytes(), now).is_err()
        {
            self.counts.dropped(level);
        }
        if line.audit_only {
            return;
        }
        let mut text = match self.format {
            LogFormat::Json => line.json(&self.identity),
            LogFormat::Text => line.text(self.coloured),
        };
        text.push('\n');
        match self.sink.write(text.as_bytes(), now) {
            Ok(()) => self.counts.written(level),
            // A full disk, a reader that has gone: there is no other place to tell it than the count.
            Err(_) => self.counts.dropped(level),
        }
    }

    /// One line for each place whose window is over at `now`; for all of them at the end.
    fn tell_suppressed(&mut self, now: Option<Duration>) {
        let told = {
            let mut limiter = self.limiter.lock().unwrap_or_else(PoisonError::into_inner);
            match now {
                Some(now) => limiter.over(now),
                None => limiter.rest(),
            }
        };
        for (site, count) in told {
            self.write(Line {
                unix_us: self.clock.unix_us(),
                level: site.level(),
                target: site.target().to_owned(),
                message: "lines of one place were suppressed".to_owned(),
                fields: vec![
                    ("event", Value::Text(Event::LinesSuppressed.text().to_owned())),
                    ("suppressed", Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))),
                    ("place", Value::Text(site.place())),
                ],
                audit_only: false,
            });
        }
    }
}
