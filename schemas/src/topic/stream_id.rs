//! The name of a stream.

use std::fmt;
use std::sync::Arc;
use thiserror::Error;

/// The name of a stream: 1 to 255 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

/// Why a text is no stream id.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StreamIdError {
    /// Nothing.
    #[error("the stream id is empty; give each stream a name, as the record's key")]
    Empty,
    /// Over 255 bytes.
    #[error("the stream id has {bytes} bytes, more than 255; use a shorter name")]
    TooLong {
        /// Bytes.
        bytes: usize,
    },
    /// A control character.
    #[error("the stream id has the control character {character:?} at byte {at}; leave it out")]
    Control {
        /// The character.
        character: char,
        /// Its byte position.
        at: usize,
    },
    /// Not UTF-8.
    #[error("the stream id is not UTF-8 from byte {at} on; write it as UTF-8")]
    NotUtf8 {
        /// Bytes that are UTF-8.
        at: usize,
    },
}

impl StreamId {
    /// The most bytes of an id.
    pub const MAX_BYTES: usize = 255;

    /// The id `name`.
    pub fn new(name: impl AsRef<str>) -> Result<Self, StreamIdError> {
        let name = name.as_ref();
        match name.len() {
            0 => Err(StreamIdError::Empty),
            bytes if bytes > Self::MAX_BYTES => Err(StreamIdError::TooLong { bytes }),
            _ => match name.char_indices().find(|(_, character)| character.is_control()) {
                Some((at, character)) => Err(StreamIdError::Control { character, at }),
                None => Ok(Self(name.into())),
            },
        }
    }

    /// The id that a record's key spells.
    pub fn from_key(key: &[u8]) -> Result<Self, StreamIdError> {
        let name =
            std::str::from_utf8(key).map_err(|error| StreamIdError::NotUtf8 { at: error.valid_up_to() })?;
        Self::new(name)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(StreamId::new("Müller/clip 1").unwrap().as_str(), "Müller/clip 1");
        assert!(StreamId::new("x".repeat(255)).is_ok());
        assert_eq!(StreamId::new(""), Err(StreamIdError::Empty));
        assert_eq!(StreamId::new("x".repeat(256)), Err(StreamIdError::TooLong { bytes: 256 }));
        assert_eq!(StreamId::new("a\nb"), Err(StreamIdError::Control { character: '\n', at: 1 }));
        assert_eq!(StreamId::from_key(b"ab\xff"), Err(StreamIdError::NotUtf8 { at: 2 }));
    }
}
