//! Cancelling from outside: a second connection names a session by its number and its key.

use datafusion_postgres::pgwire::api::auth::sasl::scram::random_nonce;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: i32,
    sessions: HashMap<i32, (i32, watch::Sender<u64>)>,
}

impl Sessions {
    /// A session begins.
    pub(super) fn enter(self: &Arc<Self>) -> Key {
        let digest = Sha256::digest(random_nonce());
        let secret = i32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        let (sender, cancelled) = watch::channel(0);
        let mut table = self.table();
        // A number is free again when its session has ended; there are far fewer sessions than numbers.
        let number = loop {
            table.last = table.last.checked_add(1).unwrap_or(1);
            if !table.sessions.contains_key(&table.last) {
                break table.last;
            }
        };
        table.sessions.insert(number, (secret, sender));
        drop(table);
        Key { sessions: Arc::clone(self), number, secret, cancelled }
    }

    /// Stops what the session `number` does, if `secret` is its key.
    pub(super) fn cancel(&self, number: i32, secret: i32) {
        if let Some((key, sender)) = self.table().sessions.get(&number)
            && *key == secret
        {
            sender.send_modify(|times| *times += 1);
        }
    }

    fn table(&self) -> std::sync::MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What names a session. It is forgotten when this is dropped.
#[derive(Debug)]
pub(super) struct Key {
    sessions: Arc<Sessions>,
    /// The number that the client is told.
    pub(super) number: i32,
    /// The key that the client is told.
    pub(super) secret: i32,
    cancelled: watch::Receiver<u64>,
}

impl Key {
    /// Listens for what is cancelled from now on.
    pub(super) fn listen(&self) -> Cancelled {
        let mut cancelled = self.cancelled.clone();
        cancelled.mark_unchanged();
        Cancelled(cancelled)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.sessions.table().sessions.remove(&self.number);
    }
}

/// Listens for a cancellation.
#[derive(Debug)]
pub(super) struct Cancelled(watch::Receiver<u64>);

impl Cancelled {
    /// Waits for it.
    pub(super) async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            // The session is gone, and nobody can cancel it any more.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn a_session_is_cancelled_by_who_has_its_key_and_only_while_it_works() {
        let sessions = Arc::new(Sessions::default());
        let key = sessions.enter();
        let mut early = key.listen();
        sessions.cancel(key.number, key.secret.wrapping_add(1));
        sessions.cancel(key.number + 1, key.secret);
        assert!(early.wait().now_or_never().is_none());
        sessions.cancel(key.number, key.secret);
        assert!(early.wait().now_or_never().is_some());
        assert!(key.listen().wait().now_or_never().is_none(), "what begins later goes on");
        let number = key.number;
        drop(key);
        assert!(!sessions.table().sessions.contains_key(&number));
    }
}
