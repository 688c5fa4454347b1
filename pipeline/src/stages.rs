//! The one list of stages. Configuration keys, topology, command line, metrics, dead letters, laws and benches
//! read it; adding a stage is adding a line to [`STAGES`].

use std::fmt;
use treble_core::{
    AnyPayload, Assets, ConfigError, Outbox, Payload, PayloadKind, Restart, Stage, StageError, Window,
};
use treble_decode::{DecodeConfig, DecodeStage};
use treble_encode::{EncodeConfig, EncodeStage};
use treble_upscale::{UpscaleConfig, UpscaleStage};

/// The configuration of every stage.
#[derive(Debug, Clone, Default)]
pub struct StageConfigs {
    /// Of decode.
    pub decode: DecodeConfig,
    /// Of upscale.
    pub upscale: UpscaleConfig,
    /// Of encode.
    pub encode: EncodeConfig,
}

/// All stages, in data-flow order.
pub const STAGES: &[StageEntry] = &[
    StageEntry::of::<DecodeStage>("audio.pcm", |configs, assets| {
        erase(DecodeStage::new(&configs.decode, assets)?)
    }),
    StageEntry::of::<UpscaleStage>("audio.hires", |configs, assets| {
        erase(UpscaleStage::new(&configs.upscale, assets)?)
    }),
    StageEntry::of::<EncodeStage>("audio.out", |configs, assets| {
        erase(EncodeStage::new(&configs.encode, assets)?)
    }),
];

/// The topic, after the prefix, that the first stage reads.
pub const INPUT_TOPIC: &str = "audio.in";

/// Builds one instance of a stage for one stream.
pub type Build = fn(&StageConfigs, &Assets) -> Result<Box<dyn ErasedStage>, ConfigError>;

/// A stage, described: what the rest of the program knows of it.
#[derive(Debug, Clone, Copy)]
pub struct StageEntry {
    /// Configuration key, metric label and span name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// The kind it takes.
    pub input: PayloadKind,
    /// The kind it gives.
    pub output: PayloadKind,
    /// The topic, after the prefix, that it writes.
    pub output_topic: &'static str,
    /// Builds one instance for one stream.
    pub build: Build,
}

impl StageEntry {
    const fn of<S: Stage>(output_topic: &'static str, build: Build) -> Self {
        Self {
            name: S::NAME,
            summary: S::SUMMARY,
            input: <S::In as Payload>::KIND,
            output: <S::Out as Payload>::KIND,
            output_topic,
            build,
        }
    }
}

/// The entry of the stage called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static StageEntry> {
    STAGES.iter().find(|entry| entry.name == name)
}

/// A stage whose payload types have been forgotten; see [`Stage`] for what each method means.
pub trait ErasedStage: fmt::Debug {
    /// See [`Stage::restore`].
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError>;
    /// See [`Stage::push`].
    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError>;
    /// See [`Stage::finish`].
    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError>;
    /// See [`Stage::windows`].
    fn windows(&mut self) -> Vec<Window>;
    /// See [`Stage::supply`].
    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<AnyPayload>) -> Result<(), StageError>;
    /// See [`Stage::restart`].
    fn restart(&self) -> Restart;
}

#[derive(Debug)]
struct Erased<S>(S);

#[expect(clippy::unnecessary_wraps, reason = "the shape of every entry's builder")]
fn erase<S: Stage>(stage: S) -> Result<Box<dyn ErasedStage>, ConfigError> {
    Ok(Box::new(Erased(stage)))
}

impl<S: Stage> Erased<S> {
    fn call(
        &mut self,
        out: &mut Outbox<AnyPayload>,
        step: impl FnOnce(&mut S, &mut Outbox<S::Out>) -> Result<(), StageError>,
    ) -> Result<(), StageError> {
        let mut typed = Outbox::default();
        step(&mut self.0, &mut typed)?;
        out.items.extend(typed.items.into_iter().map(Payload::erase));
        out.facts.extend(typed.facts);
        Ok(())
    }
}

impl<S: Stage> ErasedStage for Erased<S> {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        self.0.restore(checkpoint)
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        let expected = match <S::In as Payload>::KIND {
            PayloadKind::Encoded => "encoded audio",
            PayloadKind::Pcm => "PCM",
        };
        let input = S::In::recall(input).map_err(|_| StageError::WrongPayload { expected })?;
        self.call(out, |stage, typed| stage.push(input, typed))
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.call(out, Stage::finish)
    }

    fn windows(&mut self) -> Vec<Window> {
        self.0.windows()
    }

    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.call(out, |stage, typed| stage.supply(results, typed))
    }

    fn restart(&self) -> Restart {
        self.0.restart()
    }
}
