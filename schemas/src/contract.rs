//! The schema texts as they are registered, and under which subject.

use crate::frame::Format;

/// What a record's value may be. Each contract is one schema in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Contract {
    /// [`crate::AudioChunk`], on every audio topic.
    AudioChunk,
    /// [`crate::StreamState`], on the state topics.
    StreamState,
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
    pub const ALL: [Self; 2] = [Self::AudioChunk, Self::StreamState];

    /// The full name of the record.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AudioChunk => "treble.v1.AudioChunk",
            Self::StreamState => "treble.v1.StreamState",
        }
    }

    /// How values are written.
    #[must_use]
    pub const fn format(self) -> Format {
        match self {
            Self::AudioChunk | Self::StreamState => Format::Protobuf,
        }
    }

    /// The text that is registered.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AudioChunk => include_str!("../proto/treble/v1/chunk.proto"),
            Self::StreamState => include_str!("../proto/treble/v1/state.proto"),
        }
    }

    /// What the text imports.
    #[must_use]
    pub const fn references(self) -> &'static [Reference] {
        match self {
            Self::StreamState => {
                &[Reference { name: "treble/v1/chunk.proto", contract: Contract::AudioChunk }]
            }
            Self::AudioChunk => &[],
        }
    }

    /// The subject on `topic`: `{topic}-value` (TopicNameStrategy).
    #[must_use]
    pub fn subject(self, topic: &str) -> String {
        match self {
            Self::AudioChunk | Self::StreamState => format!("{topic}-value"),
        }
    }
}
