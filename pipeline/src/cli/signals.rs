//! Signals that ask a process to end.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C or SIGTERM; call it within a runtime. A process that is number 1 of its container hears of neither
/// otherwise.
pub(super) async fn end_is_asked() {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return std::future::pending().await };
    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
}
