//! A command that goes on until it is asked to end, and tells of itself meanwhile.

use super::signals;
use crate::admin::access::Access;
use crate::admin::http::{self, Probe, Render};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::ports::Clock;
use crate::runtime::RunError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use tokio::runtime::Runtime;

/// Serves /metrics, /livez and /readyz until it is dropped.
pub(super) struct Served {
    end: Receiver<()>,
    _runtime: Runtime,
}

impl Served {
    /// Takes `address`, which `--listen` names, and lets in whom `config` does.
    ///
    /// # Errors
    /// Where it is not to be had, or the system gives no thread.
    pub(super) fn start(
        address: SocketAddr,
        config: &Config,
        render: Render,
        probe: Probe,
    ) -> Result<Self, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let access = Access::read(&config.admin, &clock)?;
        let listener = http::bind("--listen", address)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "serving /metrics, /livez and /readyz");
        runtime.spawn(http::serve(listener, access, render, probe));
        let (ask, end) = sync_channel(1);
        runtime.spawn(async move {
            signals::end_is_asked().await;
            ask.try_send(())
        });
        Ok(Self { end, _runtime: runtime })
    }

    /// Waits for `patience`, or until it is asked to end; whether it is.
    pub(super) fn is_asked_to_end_within(&self, patience: Duration) -> bool {
        self.end.recv_timeout(patience) != Err(RecvTimeoutError::Timeout)
    }
}
