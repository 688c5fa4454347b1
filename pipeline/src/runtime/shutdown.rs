//! Ending: the first request drains (what was read is processed and committed), the second aborts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A request to end, shared between who asks (signals, a failed worker) and the workers.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    draining: Arc<AtomicBool>,
    above: Option<Arc<AtomicBool>>,
}

impl Shutdown {
    /// Asks everybody to drain.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether draining was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        let asked = |flag: &AtomicBool| flag.load(Ordering::Acquire);
        asked(&self.draining) || self.above.as_deref().is_some_and(asked)
    }

    /// One for a part of what this one ends: what it is asked does not reach further.
    #[must_use]
    pub fn part(&self) -> Self {
        Self { draining: Arc::default(), above: Some(Arc::clone(&self.draining)) }
    }
}
