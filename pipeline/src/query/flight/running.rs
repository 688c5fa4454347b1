//! What runs, so that whoever asked for it can stop it.

use super::admission::Caller;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::oneshot;

/// All calls that send rows. As many are known as there are: each leaves when it ends.
#[derive(Debug, Default)]
pub(super) struct Running {
    numbers: AtomicU64,
    calls: Mutex<BTreeMap<u64, Call>>,
}

#[derive(Debug)]
struct Call {
    caller: Caller,
    /// The number of the flight that it fetches.
    flight: u64,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// A number that no other flight of this process has.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A call of `caller` begins, which fetches `flight`.
    pub(super) fn enter(self: &Arc<Self>, caller: Caller, flight: u64) -> Stopper {
        let (stop, stopped) = oneshot::channel();
        let call = self.number();
        self.calls().insert(call, Call { caller, flight, stop });
        Stopper { running: Arc::clone(self), call, stopped }
    }

    /// Stops what fetches `flight` for `caller`; whether there was any.
    pub(super) fn stop(&self, caller: &Caller, flight: u64) -> bool {
        let mut calls = self.calls();
        let meant: Vec<u64> = calls
            .iter()
            .filter(|(_, call)| call.caller == *caller && call.flight == flight)
            .map(|(number, _)| *number)
            .collect();
        // Nobody may listen any more: then it has ended, which is what was asked for.
        meant.iter().filter_map(|call| calls.remove(call)).for_each(|call| call.stop.send(()).unwrap_or(()));
        !meant.is_empty()
    }

    fn calls(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.calls().len()
    }
}

/// The end of a call that listens. The call ends when it is dropped.
#[derive(Debug)]
pub(super) struct Stopper {
    running: Arc<Running>,
    call: u64,
    stopped: oneshot::Receiver<()>,
}

impl Stopper {
    /// Waits until the call is to stop.
    pub(super) async fn stopped(&mut self) {
        if (&mut self.stopped).await.is_err() {
            // The sender lives as long as this does, or has sent.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.running.calls().remove(&self.call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn only_who_asked_can_stop_it() {
        let running = Arc::new(Running::default());
        let ada = Some("ada".to_owned());
        let mut first = running.enter(ada.clone(), 7);
        let second = running.enter(ada.clone(), 8);
        assert!(!running.stop(&Some("grace".to_owned()), 7));
        assert!(!running.stop(&None, 7));
        assert!(first.stopped().now_or_never().is_none());
        assert!(running.stop(&ada, 7));
        assert!(first.stopped().now_or_never().is_some());
        assert!(!running.stop(&ada, 7), "it was stopped");
        drop((first, second));
        assert_eq!(running.len(), 0);
    }
}
