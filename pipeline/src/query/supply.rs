//! The thread that keeps tables up to date for as long as they are asked.

use super::feed::Feed;
use crate::flow::retry::Backoff;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Thread;
use std::time::Duration;

/// The first wait after a step that failed, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// A thread that steps a feed until this is dropped.
#[derive(Debug)]
pub struct Supply {
    ready: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Thread,
}

impl Supply {
    /// Starts it.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut feed: Feed) -> io::Result<Self> {
        let (ready, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (tell, end) = (Arc::clone(&ready), Arc::clone(&ended));
        let run = move || {
            let mut backoff = Backoff::new(RETRY.0, RETRY.1);
            while !end.load(Ordering::Acquire) {
                match feed.step() {
                    Ok(()) => {
                        backoff.reset();
                        tell.fetch_or(feed.is_caught_up(), Ordering::AcqRel);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "answers are not up to date; it is tried again");
                        std::thread::park_timeout(backoff.next_delay());
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("sql-feed".to_owned()).spawn(run)?.thread().clone();
        Ok(Self { ready, ended, thread })
    }

    /// Becomes true when everything was read once.
    #[must_use]
    pub fn ready(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.ready)
    }
}

impl Drop for Supply {
    fn drop(&mut self) {
        // Nobody waits for it: a question to a cluster that is gone takes seconds.
        self.ended.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
