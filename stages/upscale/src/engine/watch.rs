//! Who looks on while the engine works: the shell counts and times, the engine knows no clock.

use super::fault::FaultKind;

/// Why a batch was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closing {
    /// It is full.
    Full,
    /// Nothing more came in time.
    Deadline,
    /// Nobody is left to ask.
    Shutdown,
}

/// Told by the engine's thread of what it does, in this order for each batch: taken, closed, then for each run of the
/// model running and ran, then answered. The default hears nothing.
pub trait EngineWatch: Send + Sync + std::fmt::Debug {
    /// The first request of a batch was taken.
    fn taken(&self) {}
    /// The batch was closed.
    fn closed(&self, _why: Closing) {}
    /// The model begins to run `windows` windows, of `capacity` that fit.
    fn running(&self, _windows: usize, _capacity: usize) {}
    /// That run ended, with results or with a fault.
    fn ran(&self, _fault: Option<FaultKind>) {}
    /// `requests` were answered.
    fn answered(&self, _requests: usize, _succeeded: bool) {}
}

/// Nobody looks on.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl EngineWatch for Unwatched {}
