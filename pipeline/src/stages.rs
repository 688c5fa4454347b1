//! The one list of stages. Configuration keys, topology, command line, metrics, dead letters, laws and benches
//! read it; adding a stage is adding a line to [`STAGES`].

mod configs;

pub use configs::{StageConfig, StageConfigs};

use crate::runtime::lineage::Timing;
use serde::Deserialize;
use std::fmt;
use toml::Table;
use treble_core::{
    AnyPayload, Assets, ConfigError, Outbox, Payload, PayloadKind, Restart, Stage, StageError, Window,
};
use treble_decode::DecodeStage;
use treble_encode::EncodeStage;
use treble_upscale::UpscaleStage;

/// All stages, in data-flow order, each with the topic, after the prefix, that it writes.
pub const STAGES: &[StageEntry] = &[
    StageEntry::of::<DecodeStage>("audio.pcm"),
    StageEntry::of::<UpscaleStage>("audio.hires"),
    StageEntry::of::<EncodeStage>("audio.out"),
];

/// The topic, after the prefix, that the first stage reads.
pub const INPUT_TOPIC: &str = "audio.in";

/// Reads a stage's section of the configuration.
pub type Configure = fn(Table) -> Result<StageConfig, toml::de::Error>;
/// Checks a stage's configuration by itself: see [`Stage::check`].
pub type Check = fn(&StageConfigs) -> Result<(), ConfigError>;
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
    /// Its section of the configuration: see [`Stage::SETTINGS`].
    pub settings: &'static str,
    /// Reads that section.
    pub configure: Configure,
    /// Checks what the section says.
    pub check: Check,
    /// Whether an instance restored from a checkpoint can go on behind a hole: see [`Stage::survives_loss`].
    pub survives_loss: fn(&[u8]) -> bool,
    /// Builds one instance for one stream.
    pub build: Build,
}

impl StageEntry {
    /// All that is to be known of `S`, which writes `output_topic`.
    #[must_use]
    pub const fn of<S: Stage>(output_topic: &'static str) -> Self {
        Self {
            name: S::NAME,
            summary: S::SUMMARY,
            input: <S::In as Payload>::KIND,
            output: <S::Out as Payload>::KIND,
            output_topic,
            settings: S::SETTINGS,
            configure: |section| S::Config::deserialize(section).map(StageConfig::new),
            check: |configs| S::check(&configs.of::<S>()),
            survives_loss: S::survives_loss,
            build: |configs, assets| Ok(Box::new(Erased(S::new(&configs.of::<S>(), assets)?))),
        }
    }

    /// A stage of encoded bytes that is erased already and has nothing to configure: a double. It goes on behind a
    /// hole where it restarts in the middle of a stream.
    #[must_use]
    pub const fn double(name: &'static str, output_topic: &'static str, build: Build) -> Self {
        Self {
            name,
            summary: "a double",
            input: PayloadKind::Encoded,
            output: PayloadKind::Encoded,
            output_topic,
            settings: "",
            configure: |_| Ok(StageConfig::new(())),
            check: |_| Ok(()),
            survives_loss: |checkpoint| !checkpoint.is_empty(),
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
    /// When it worked; nothing of a stage that nobody times.
    fn timing(&self) -> Timing;
}

#[derive(Debug)]
struct Erased<S>(S);

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

    fn timing(&self) -> Timing {
        Timing::default()
    }
}
