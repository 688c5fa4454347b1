//! A pipeline in the process of the test.

use anyhow::{Context, Result, anyhow};
use std::thread;
use treble_pipeline::config::Config;
use treble_pipeline::runtime::{self, RunError, Shutdown};

/// The stages of a configuration, on threads of this process: drained by [`stop`](Running::stop) and by dropping.
#[derive(Debug)]
pub struct Running {
    shutdown: Shutdown,
    thread: Option<thread::JoinHandle<Result<(), RunError>>>,
}

impl Running {
    /// Starts the stages.
    #[must_use]
    pub fn start(config: Config) -> Self {
        let shutdown = Shutdown::default();
        let watched = shutdown.clone();
        Self { shutdown, thread: Some(thread::spawn(move || runtime::run(&config, &watched))) }
    }

    /// Drains, and says how the pipeline ended.
    ///
    /// # Errors
    /// Whatever ended it before it was asked to.
    pub fn stop(mut self) -> Result<()> {
        self.shutdown.drain();
        let thread = self.thread.take().context("stopped once")?;
        Ok(thread.join().map_err(|_| anyhow!("the pipeline panicked"))??)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.drain();
    }
}
