//! One stage instance of one stream: counts what goes in and out, contains panics, remembers restart points.

use super::lineage::Timing;
use crate::stages::ErasedStage;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use treble_core::{AnyPayload, Fact, Outbox, Restart, StageError, Window};

/// A stage instance with its place in the stream.
#[derive(Debug)]
pub struct Operator {
    name: &'static str,
    stage: Box<dyn ErasedStage>,
    emitted: u64,
    ready: Vec<Window>,
    waiting: usize,
    restarts: VecDeque<Restart>,
}

/// What one call made an operator emit.
#[derive(Debug, Default)]
pub struct Emitted {
    /// The items, in order.
    pub items: Vec<AnyPayload>,
    /// What the stage noticed.
    pub facts: Vec<Fact>,
}

impl Operator {
    /// `stage`, brought to `restart`: the next input pushed is number `restart.input`.
    pub fn resume(
        name: &'static str,
        mut stage: Box<dyn ErasedStage>,
        restart: Restart,
    ) -> Result<Self, StageError> {
        stage.restore(&restart.checkpoint)?;
        let emitted = restart.output;
        Ok(Self { name, stage, emitted, ready: Vec::new(), waiting: 0, restarts: VecDeque::from([restart]) })
    }

    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// See [`ErasedStage::timing`].
    #[must_use]
    pub fn timing(&self) -> Timing {
        self.stage.timing()
    }

    /// The number of the next item to be emitted.
    #[must_use]
    pub fn emitted(&self) -> u64 {
        self.emitted
    }

    /// Whether windows are at the model, or about to go there.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.waiting > 0 || !self.ready.is_empty()
    }

    /// See [`treble_core::Stage::push`].
    pub fn push(&mut self, input: AnyPayload) -> Result<Emitted, StageError> {
        self.guarded(|stage, out| stage.push(input, out))
    }

    /// See [`treble_core::Stage::finish`].
    pub fn finish(&mut self) -> Result<Emitted, StageError> {
        self.guarded(|stage, out| stage.finish(out))
    }

    /// See [`treble_core::Stage::supply`].
    pub fn supply(&mut self, results: Vec<Window>) -> Result<Emitted, StageError> {
        self.waiting = 0;
        self.guarded(|stage, out| stage.supply(results, out))
    }

    /// How many windows wait to be taken to the model.
    #[must_use]
    pub fn ready_windows(&self) -> usize {
        self.ready.len()
    }

    /// The windows that became ready since the last call; none while earlier ones are at the model.
    pub fn windows(&mut self) -> Vec<Window> {
        if self.waiting > 0 {
            return Vec::new();
        }
        self.waiting = self.ready.len();
        std::mem::take(&mut self.ready)
    }

    fn guarded(
        &mut self,
        step: impl FnOnce(&mut dyn ErasedStage, &mut Outbox<AnyPayload>) -> Result<(), StageError>,
    ) -> Result<Emitted, StageError> {
        let mut out = Outbox::default();
        contain(|| step(self.stage.as_mut(), &mut out))??;
        if self.waiting == 0 {
            self.ready.extend(contain(|| self.stage.windows())?);
        }
        self.emitted += out.items.len() as u64;
        Ok(Emitted { items: out.items, facts: out.facts })
    }

    /// Remembers where a successor could restart now.
    pub fn note_restart(&mut self) {
        let restart = self.stage.restart();
        if self.restarts.back() != Some(&restart) {
            self.restarts.push_back(restart);
        }
    }

    /// The latest restart point whose output starts at or before item `needed`; older ones are forgotten,
    /// since what is needed downstream only moves forward.
    pub fn restart_for(&mut self, needed: u64) -> Restart {
        while self.restarts.get(1).is_some_and(|restart| restart.output <= needed) {
            self.restarts.pop_front();
        }
        self.restarts.front().cloned().unwrap_or_default()
    }
}

fn contain<T>(call: impl FnOnce() -> T) -> Result<T, StageError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        StageError::Panicked { detail: text.unwrap_or_else(|| "no message".to_owned()) }
    })
}
