//! Upkeep on a schedule, beside the reading: by whoever reads partition 0 of the events. Owning that partition is the
//! lease; two processes that both think so do the work twice, and harm nothing.

use crate::config::LakeConfig;
use crate::ports::Clock;
use crate::telemetry::lake::LakeTelemetry;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;
use treble_analyse::lake::{Lake, LakeError, Location};
use treble_analyse::rollups;
use treble_analyse::tables::Origin;
use treble_analyse::upkeep::{self, Day};

/// The partition whose owner does it.
pub(super) const LEASE: i32 = 0;
/// The first run comes so soon, that of a process which is started again and again too.
const FIRST: Duration = Duration::from_secs(60);

/// How long rows are kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retention {
    /// Days that rows of events are kept; 0: for ever.
    events_days: u32,
    /// Days that lines of the log are kept; 0: for ever.
    logs_days: u32,
}

impl Retention {
    pub(crate) const fn of(config: &LakeConfig) -> Self {
        Self { events_days: config.retention_days, logs_days: config.logs_retention_days }
    }

    /// The first day of rows of `origin` that are kept; `None` where all are.
    pub(crate) fn first_day(self, origin: Origin, today: Day) -> Option<Day> {
        let days = match origin {
            Origin::Events => self.events_days,
            Origin::Logs => self.logs_days,
        };
        (days > 0).then(|| today.before(days))
    }
}

/// What is to be done, and when.
#[derive(Debug)]
pub(super) struct Upkeep {
    location: Location,
    retention: Retention,
    /// `None`: never.
    interval: Option<Duration>,
    /// When it is due next; `None` while another has the lease.
    due: Option<Duration>,
    running: Option<Receiver<Result<(), LakeError>>>,
    clock: Arc<dyn Clock>,
    telemetry: Arc<LakeTelemetry>,
}

impl Upkeep {
    pub(super) fn new(
        location: Location,
        retention: Retention,
        interval_ms: u64,
        clock: Arc<dyn Clock>,
        telemetry: Arc<LakeTelemetry>,
    ) -> Self {
        let interval = (interval_ms > 0).then(|| Duration::from_millis(interval_ms));
        Self { location, retention, interval, due: None, running: None, clock, telemetry }
    }

    /// Starts what is due, and hears what came of it. Called in every turn of the loop.
    pub(super) fn turn(&mut self, has_lease: bool) {
        self.hear();
        let Some(interval) = self.interval.filter(|_| has_lease) else {
            self.due = None;
            return;
        };
        let now = self.clock.now();
        let due = *self.due.get_or_insert_with(|| now + interval.min(FIRST));
        if now >= due && self.running.is_none() {
            self.due = Some(now + interval);
            self.start();
        }
    }

    fn hear(&mut self) {
        let Some(running) = &self.running else { return };
        match running.try_recv() {
            Ok(outcome) => self.telemetry.tidied(outcome.err().as_ref()),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {}
        }
        self.running = None;
    }

    /// On a thread that nobody waits for: each step is a commit of its own, and may be left out.
    fn start(&mut self) {
        let (done, running) = sync_channel(1);
        let (location, retention) = (self.location.clone(), self.retention);
        let today = Day::of_unix_us(self.clock.unix_us());
        let work = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
            if let Ok(runtime) = runtime {
                done.send(runtime.block_on(tidy(&location, today, retention))).ok();
            }
        };
        match std::thread::Builder::new().name("upkeep-analyse".to_owned()).spawn(work) {
            Ok(_) => self.running = Some(running),
            Err(error) => tracing::warn!(%error, "no thread for upkeep; it is tried again next time"),
        }
    }
}

/// All of it, once. Rollups come first: they want the days as they were written.
async fn tidy(location: &Location, today: Day, retention: Retention) -> Result<(), LakeError> {
    let mut lake = Lake::open(location).await?;
    rollups::run(&lake).await?;
    upkeep::retain(&mut lake, |origin| retention.first_day(origin, today)).await?;
    upkeep::optimize(&mut lake, today).await?;
    upkeep::vacuum(&mut lake, false).await?;
    Ok(())
}
