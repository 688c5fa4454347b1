//! What is asked: the lake and the topic of this configuration.

use super::super::{Context, Exit, Failure};
use super::rows::Rows;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::ports::Clock;
use crate::query::feed::{Feed, FeedError};
use crate::query::serve;
use crate::query::supply::Supply;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use treble_analyse::query::{Engine, QueryError, rows};

/// How long the beginning of an answer waits for the latest rows.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing is said about it.
const QUIET: Duration = Duration::from_secs(2);

/// Tables of one configuration, and who asks them.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) engine: Engine,
    runtime: Runtime,
    /// Feeds until it is dropped.
    _supply: Option<Supply>,
}

impl Source {
    /// Tables as they are now.
    pub(super) fn open(config: &Config, stored: bool, context: &Context) -> Result<Self, Failure> {
        Self::start(config, stored, context).map(|(source, _)| source)
    }

    /// Tables that are kept up to date.
    pub(super) fn follow(config: &Config, stored: bool, context: &Context) -> Result<Self, Failure> {
        let (source, feed) = Self::start(config, stored, context)?;
        let supply = Supply::start(feed).map_err(|error| system(&error))?;
        Ok(Self { _supply: Some(supply), ..source })
    }

    fn start(config: &Config, stored: bool, context: &Context) -> Result<(Self, Feed), Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let lake = super::lake(config)?;
        if stored && lake.is_none() {
            return Err(Failure::new(Exit::Config, "there is no lake to ask")
                .mend("set lake.url, or leave out --stored"));
        }
        let live =
            serve::live(config, &clock).map_err(|error| Failure::new(Exit::Config, error.to_string()))?;
        let new = |recent| Feed::new(config, lake.clone(), Arc::clone(&live), Arc::clone(&clock), recent);
        let mut feed = new(!stored).map_err(failure)?;
        match feed.step() {
            Err(FeedError::Kafka(fault)) if lake.is_some() => {
                context.output.say(&format!("Stored rows only: {fault}"));
                feed = new(false).map_err(failure)?;
            }
            outcome => outcome.map_err(failure)?,
        }
        catch_up(&mut feed, &*clock, context)?;
        let engine = Engine::new(live, serve::limits(&config.sql)).map_err(|error| super::failure(&error))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok((Self { engine, runtime: runtime.map_err(|error| system(&error))?, _supply: None }, feed))
    }

    /// Asks `statement` and prints the answer; gives the number of its rows. Ctrl-C stops it.
    pub(super) fn print(&self, statement: &str, out: &Rows) -> Result<usize, Failure> {
        self.runtime.block_on(async {
            let asked = async {
                let answer =
                    self.engine.ask(statement, None).await.map_err(|error| super::failure(&error))?;
                out.write(answer).await
            };
            tokio::select! {
                outcome = asked => outcome,
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "stopped")),
            }
        })
    }

    /// Asks `statement` for texts, such as names.
    pub(super) fn texts(&self, statement: &str) -> Result<Vec<String>, QueryError> {
        self.runtime.block_on(async {
            let rows = rows(self.engine.ask(statement, None).await?).await?;
            Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).collect())
        })
    }
}

/// Reads what is on the topic now.
fn catch_up(feed: &mut Feed, clock: &dyn Clock, context: &Context) -> Result<(), Failure> {
    let began = clock.now();
    let mut said = false;
    while !feed.is_caught_up() {
        feed.step().map_err(failure)?;
        let spent = clock.now().saturating_sub(began);
        if feed.is_full() {
            let fix = "set lake.url and let the stage analyse store them, or raise sql.recent_mb";
            return Err(Failure::new(Exit::Failure, "the topic holds more rows than memory may").mend(fix));
        }
        if spent > PATIENCE {
            return Err(Failure::silence(None));
        }
        if spent > QUIET && !said {
            context.output.say("Reading the latest rows from the topic …");
            said = true;
        }
    }
    Ok(())
}

fn system(error: &io::Error) -> Failure {
    Failure::new(Exit::Software, "the system gives no thread").because(error)
}

fn failure(error: FeedError) -> Failure {
    match error {
        FeedError::Kafka(fault) => fault.into(),
        FeedError::Registry(error) => error.into(),
        FeedError::Lake(error) => error.into(),
        FeedError::Secret(error) => error.into(),
        FeedError::Prefix(error) => Failure::new(Exit::Config, error.to_string()),
        FeedError::Thread(error) => system(&error),
        FeedError::Rows(error) => Failure::new(Exit::Software, error.to_string()),
    }
}
