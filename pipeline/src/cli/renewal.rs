//! Certificates for Kafka that are renewed while stages run.

use crate::config::Config;
use crate::kafka::certificates::Certificates;
use crate::runtime::Shutdown;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Looks at certificates for Kafka until it is dropped, and ends the stages once they are renewed.
pub(super) struct Renewal {
    come: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl Renewal {
    /// Starts to look at those of `config`, to drain `stages`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn watch(config: &Config, stages: &Shutdown) -> io::Result<Self> {
        let (come, ended) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let mut certificates = Certificates::of(&config.kafka);
        if certificates.is_empty() {
            return Ok(Self { come, ended, thread: None });
        }
        let (tell, end, stages) = (Arc::clone(&come), Arc::clone(&ended), stages.clone());
        let watch = move || {
            while !end.load(Ordering::Acquire) {
                thread::park_timeout(LOOK);
                if certificates.are_renewed() {
                    tracing::info!("the stages begin anew, with the new certificates");
                    tell.store(true, Ordering::Release);
                    return stages.drain();
                }
            }
        };
        let thread = thread::Builder::new().name("certificates".to_owned()).spawn(watch)?;
        Ok(Self { come, ended, thread: Some(thread.thread().clone()) })
    }

    /// Whether they were.
    pub(super) fn has_come(&self) -> bool {
        self.come.load(Ordering::Acquire)
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}
