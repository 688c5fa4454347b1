//! Asks the GPUs again and again, on a thread of its own: a driver that hangs holds up nobody.

use super::GpuSource;
use crate::ports::Clock;
use crate::telemetry::gpu::GpuTelemetry;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// How often: as anybody scrapes; a driver answers in less than a thousandth of it.
const INTERVAL: Duration = Duration::from_secs(1);

/// Watches until it is dropped. The thread is not waited for: it may stand in the driver.
#[derive(Debug)]
pub struct GpuWatch {
    _alive: SyncSender<()>,
}

impl GpuWatch {
    /// Asks `source`, first of all before this returns.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(
        mut source: Box<dyn GpuSource>,
        mut telemetry: GpuTelemetry,
        clock: Arc<dyn Clock>,
    ) -> io::Result<Self> {
        let (alive, watched) = sync_channel(0);
        let mut silent = look(&mut *source, &mut telemetry, &*clock, false);
        let thread = std::thread::Builder::new().name("gpu".to_owned());
        thread.spawn(move || {
            while waits(&watched) {
                silent = look(&mut *source, &mut telemetry, &*clock, silent);
            }
        })?;
        Ok(Self { _alive: alive })
    }
}

/// Waits for the next question; says no where nobody wants to know any more.
fn waits(watched: &Receiver<()>) -> bool {
    watched.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout)
}

/// Asks once; whether there was no answer, which is logged where it changes.
fn look(source: &mut dyn GpuSource, telemetry: &mut GpuTelemetry, clock: &dyn Clock, silent: bool) -> bool {
    match source.read() {
        Ok(readings) => {
            telemetry.read(&readings, clock.now());
            if silent {
                tracing::info!("the GPUs are told of again");
            }
            false
        }
        Err(error) => {
            telemetry.silent();
            if !silent {
                tracing::warn!(%error, "nothing is known of the GPUs for now");
            }
            true
        }
    }
}
