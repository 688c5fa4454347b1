//! The one trait that every stage implements.

use crate::error::{ConfigError, StageError};
use crate::fact::Fact;
use crate::inference::{Inference, Window};
use crate::payload::Payload;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use std::fmt;
use std::sync::Arc;

/// What stages share: read-only, built once per worker.
#[derive(Debug, Clone, Default)]
pub struct Assets {
    /// The model, where one is configured.
    pub inference: Option<Arc<dyn Inference>>,
}

/// Where a stage puts what it emits and what it noticed.
#[derive(Debug)]
pub struct Outbox<T> {
    /// Emitted, in order.
    pub items: Vec<T>,
    /// Noticed, in order.
    pub facts: Vec<Fact>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self { items: Vec::new(), facts: Vec::new() }
    }
}

impl<T> Outbox<T> {
    /// Emits one item.
    pub fn emit(&mut self, item: T) {
        self.items.push(item);
    }

    /// Reports one fact.
    pub fn note(&mut self, fact: Fact) {
        self.facts.push(fact);
    }
}

/// The point from which a successor of a stage instance must be fed again.
///
/// A fresh instance on which [`Stage::restore`] was called with `checkpoint`, and which is then pushed the
/// inputs from number `input` on, emits exactly what the uninterrupted instance emits from its item number
/// `output` on. The default is the stream's beginning, which is right for every stage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Restart {
    /// The number of the first input to push again; the first input of a stream is 0.
    pub input: u64,
    /// The number of the first item that is then emitted.
    pub output: u64,
    /// What [`Stage::restore`] takes; at most 64 KiB. Empty at the stream's beginning.
    pub checkpoint: Bytes,
}

/// One step of the pipeline for one stream: a value with state that one thread drives.
///
/// Life of an instance: `new` → (`restore`)? → `push`* → `finish` → as new. After any call that returned
/// `Ok`, the runner may ask [`windows`](Stage::windows) for work and bring the results to
/// [`supply`](Stage::supply); inputs may be pushed in between. The first item emitted announces the format
/// and holds no frames; the items together are cut on a grid that depends on the sample index alone
/// (`grid`), never on how the input was cut.
///
/// On an error nothing was emitted for that input. The runner drops the instance and aborts the stream.
///
/// Not `Send`: built, driven and dropped by one thread, as the decoder's coroutine demands.
pub trait Stage: fmt::Debug + Sized + 'static {
    /// Configuration key, metric label, span name; never reused.
    const NAME: &'static str;
    /// One line for `treble graph` and the reference.
    const SUMMARY: &'static str;
    /// The section of the configuration that is called [`NAME`](Self::NAME), as TOML: every key with its default, and
    /// above it a comment that says what it means. A key whose default is an empty text is absent from
    /// [`Config`](Self::Config) while it is empty.
    const SETTINGS: &'static str;
    /// What that section may say.
    type Config: DeserializeOwned + Default + fmt::Debug + Clone + Send + Sync;
    /// What is pushed.
    type In: Payload;
    /// What is emitted.
    type Out: Payload;

    /// A configuration that the laws, the benches and the reference use.
    #[must_use]
    fn example() -> Self::Config {
        Self::Config::default()
    }

    /// Checks what types cannot; the first fault found. What depends on the assets is for [`new`](Self::new).
    fn check(config: &Self::Config) -> Result<(), ConfigError> {
        let _holds_by_its_types = config;
        Ok(())
    }

    /// A stage at the beginning of a stream. No I/O.
    fn new(config: &Self::Config, assets: &Assets) -> Result<Self, ConfigError>;

    /// Brings a new instance to where [`Restart::checkpoint`] was taken.
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        if checkpoint.is_empty() {
            return Ok(());
        }
        Err(StageError::Checkpoint {
            detail: format!("{} restarts at the stream's beginning only", Self::NAME),
        })
    }

    /// Whether an instance that was restored from `checkpoint` can go on where the inputs that should follow are lost for
    /// good. They are then pushed empty, so that inputs keep their numbers, and what comes after is marked as a
    /// discontinuity.
    #[must_use]
    fn survives_loss(checkpoint: &[u8]) -> bool {
        let _whatever_it_is = checkpoint;
        false
    }

    /// Takes the next input.
    fn push(&mut self, input: Self::In, out: &mut Outbox<Self::Out>) -> Result<(), StageError>;

    /// Takes the end of the stream. After it, and after the last window was supplied, the stage is as new.
    fn finish(&mut self, out: &mut Outbox<Self::Out>) -> Result<(), StageError>;

    /// The windows that wait for the model, in order; each is handed out once.
    fn windows(&mut self) -> Vec<Window> {
        Vec::new()
    }

    /// Takes the results for all windows handed out since the last call, in the same order.
    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<Self::Out>) -> Result<(), StageError> {
        debug_assert!(
            results.is_empty() && out.items.is_empty(),
            "a stage without windows is never supplied"
        );
        Ok(())
    }

    /// Where a successor would have to be fed from, were this instance lost now.
    fn restart(&self) -> Restart {
        Restart::default()
    }
}
