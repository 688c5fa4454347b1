//! The decorator that times every stage, for all streams and for its own, and counts the audio that it emits.

use super::labels::{Mode, Stage};
use super::metrics::Metrics;
use crate::ports::Clock;
use crate::runtime::blueprint::Decorate;
use crate::runtime::lineage::Timing;
use crate::stages::ErasedStage;
use std::sync::Arc;
use treble_core::{AnyPayload, Outbox, Restart, StageError, Window};

/// Times every call of every stage.
#[derive(Debug, Clone)]
pub struct TimedStages {
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    raising: (&'static str, Mode),
}

impl TimedStages {
    /// A decorator that counts into `metrics`. `raising` is the stage that raises the sound, and how; the mode of all
    /// others is `none`.
    #[must_use]
    pub fn new(metrics: Metrics, clock: Arc<dyn Clock>, raising: (&'static str, Mode)) -> Self {
        Self { metrics, clock, raising }
    }
}

impl Decorate for TimedStages {
    fn decorate(&self, name: &'static str, inner: Box<dyn ErasedStage>) -> Box<dyn ErasedStage> {
        let mode = if name == self.raising.0 { self.raising.1 } else { Mode::None };
        let stage = || Stage::from(name);
        Box::new(TimedStage {
            inner,
            duration: self.metrics.stage_duration.of((stage(),)),
            busy: self.metrics.busy_seconds.of((stage(), mode)),
            audio: self.metrics.audio_seconds.of((stage(), mode)),
            timing: Timing::default(),
            clock: Arc::clone(&self.clock),
        })
    }
}

#[derive(Debug)]
struct TimedStage {
    inner: Box<dyn ErasedStage>,
    duration: prometheus::Histogram,
    busy: prometheus::Counter,
    audio: prometheus::Counter,
    timing: Timing,
    clock: Arc<dyn Clock>,
}

type Called = Result<(), StageError>;

impl TimedStage {
    fn timed(
        &mut self,
        out: &mut Outbox<AnyPayload>,
        call: impl FnOnce(&mut dyn ErasedStage, &mut Outbox<AnyPayload>) -> Called,
    ) -> Called {
        let (begin, held) = (self.clock.now(), out.items.len());
        let result = call(self.inner.as_mut(), out);
        let end = self.clock.now();
        self.timing.add(begin, end);
        let seconds = end.saturating_sub(begin).as_secs_f64();
        self.duration.observe(seconds);
        self.busy.inc_by(seconds);
        self.audio.inc_by(out.items.iter().skip(held).map(audio_seconds).sum());
        result
    }
}

fn audio_seconds(item: &AnyPayload) -> f64 {
    match item {
        AnyPayload::Pcm(block) => block.spec().rate.seconds(block.frames() as u64),
        AnyPayload::Encoded(chunk) => chunk.format.rate.map_or(0.0, |rate| rate.seconds(chunk.frames)),
    }
}

impl ErasedStage for TimedStage {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        self.inner.restore(checkpoint)
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(out, |stage, out| stage.push(input, out))
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(out, |stage, out| stage.finish(out))
    }

    fn windows(&mut self) -> Vec<Window> {
        self.inner.windows()
    }

    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.timed(out, |stage, out| stage.supply(results, out))
    }

    fn restart(&self) -> Restart {
        self.inner.restart()
    }

    fn timing(&self) -> Timing {
        self.timing
    }
}
