//! The schema texts as they are registered, and under which subject.

use crate::frame::Format;

/// What a record's value may be. Each contract is one schema in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// [`crate::AudioChunk`], on every audio topic.
    AudioChunk,
    /// [`crate::StreamState`], on the state topics.
    StreamState,
    /// [`crate::event::StageEvent`], on the events topic.
    StageEvent,
    /// [`crate::event::StreamReport`], on the events topic.
    StreamReport,
}

/// A schema that another one imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference {
    /// The import path, as the importing text spells it.
    pub name: &'static str,
    /// The contract imported.
    pub contract: Contract,
}

impl Contract {
    /// Every contract, imported ones first: the order in which to register them.
    pub const ALL: [Self; 4] = [Self::AudioChunk, Self::StreamState, Self::StageEvent, Self::StreamReport];

    /// The full name of the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AudioChunk => "treble.v1.AudioChunk",
            Self::StreamState => "treble.v1.StreamState",
            Self::StageEvent => "treble.v1.StageEvent",
            Self::StreamReport => "treble.v1.StreamReport",
        }
    }

    /// How values are written.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::AudioChunk | Self::StreamState => Format::Protobuf,
            Self::StageEvent | Self::StreamReport => Format::Avro,
        }
    }

    /// The text that is registered.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AudioChunk => include_str!("../proto/treble/v1/chunk.proto"),
            Self::StreamState => include_str!("../proto/treble/v1/state.proto"),
            Self::StageEvent => include_str!("../avro/StageEvent.avsc"),
            Self::StreamReport => include_str!("../avro/StreamReport.avsc"),
        }
    }

    /// What the text imports.
    #[must_use]
    pub const fn references(self) -> &'static [Reference] {
        match self {
            Self::StreamState => {
                &[Reference { name: "treble/v1/chunk.proto", contract: Contract::AudioChunk }]
            }
            Self::AudioChunk | Self::StageEvent | Self::StreamReport => &[],
        }
    }

    /// The subject on `topic`: `{topic}-value` (TopicNameStrategy), but `{topic}-{name}`
    /// (TopicRecordNameStrategy) for events, because two kinds share one topic.
    #[must_use]
    pub fn subject(self, topic: &str) -> String {
        match self {
            Self::AudioChunk | Self::StreamState => format!("{topic}-value"),
            Self::StageEvent | Self::StreamReport => format!("{topic}-{}", self.name()),
        }
    }
}
