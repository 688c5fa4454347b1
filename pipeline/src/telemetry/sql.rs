//! What is counted at the doors of analysts.

use super::family::Each;
use super::labels::{Admission, Answered, Asked, Closed, Protocol, StatusCode};
use super::metrics::SqlMetrics;
use super::process;
use crate::ports::Clock;
use prometheus::{Histogram, IntCounter, IntGauge};
use std::sync::Arc;
use std::time::Duration;

/// See the module.
pub struct SqlObserver {
    metrics: SqlMetrics,
    admissions: Each<Protocol, Each<Admission, IntCounter>>,
    queries: Each<Asked, Each<Answered, IntCounter>>,
    durations: Each<Asked, Histogram>,
    sessions: Each<Protocol, IntGauge>,
    memory: IntGauge,
    recent: IntGauge,
    http: Each<StatusCode, IntCounter>,
    http_duration: Histogram,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for SqlObserver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqlObserver").finish_non_exhaustive()
    }
}

impl SqlObserver {
    /// Everything at 0.
    ///
    /// # Errors
    /// Where a metric cannot be registered: a defect.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, prometheus::Error> {
        let metrics = SqlMetrics::new()?;
        Ok(Self {
            admissions: Each::new(|protocol| Each::new(|outcome| metrics.admissions.of((protocol, outcome)))),
            queries: Each::new(|asked| Each::new(|answered| metrics.queries.of((asked, answered)))),
            durations: Each::new(|asked| metrics.query_duration.of((asked,))),
            sessions: Each::new(|protocol| metrics.sessions_active.of((protocol,))),
            memory: metrics.memory.only(),
            recent: metrics.recent.only(),
            http: Each::new(|code| metrics.http_requests.of((code,))),
            http_duration: metrics.http_duration.only(),
            metrics,
            clock,
        })
    }

    /// How many sessions a door may have.
    pub fn limit(&self, protocol: Protocol, sessions: usize) {
        self.metrics.sessions_limit.of((protocol,)).set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }

    /// Someone came to a door.
    pub fn admission(&self, protocol: Protocol, outcome: Admission) {
        self.admissions.of(protocol).of(outcome).inc();
    }

    /// A session that counts until it is dropped.
    #[must_use]
    pub fn session(&self, protocol: Protocol) -> Session {
        let active = self.sessions.of(protocol).clone();
        active.inc();
        Session(active)
    }

    /// A statement that is timed until [`Timer::stop`].
    #[must_use]
    pub fn ask(&self, asked: Asked) -> Timer {
        Timer {
            outcomes: Answered::ALL
                .iter()
                .map(|answered| self.queries.of(asked).of(*answered).clone())
                .collect(),
            duration: self.durations.of(asked).clone(),
            began: self.clock.now(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// An answer over HTTP.
    pub fn http(&self, code: u16, took: Duration) {
        self.http.of(StatusCode::of(code)).inc();
        self.http_duration.observe(took.as_secs_f64());
    }

    /// The present, in the monotonic time of the clock that times statements.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The answer to a scrape.
    ///
    /// # Errors
    /// Where the format cannot hold what was counted: a defect.
    pub fn render(&self, memory_bytes: usize, recent_bytes: usize) -> Result<String, String> {
        let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.memory.set(bytes(memory_bytes));
        self.recent.set(bytes(recent_bytes));
        let own = self.metrics.encode().and_then(|own| Ok(own + &process::exposition()?));
        own.map_err(|error| error.to_string())
    }
}

/// A session; see [`SqlObserver::session`].
#[derive(Debug)]
pub struct Session(IntGauge);

impl Drop for Session {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A statement that is under way.
pub struct Timer {
    outcomes: Vec<IntCounter>,
    duration: Histogram,
    began: Duration,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Timer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Timer").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Timer {
    /// Its end.
    pub fn stop(self, answered: Answered) {
        self.outcomes[answered.index()].inc();
        self.duration.observe(self.clock.now().saturating_sub(self.began).as_secs_f64());
    }
}
