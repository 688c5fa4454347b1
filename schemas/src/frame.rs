//! The Confluent wire frame: how a record says which schema its value was written with.
//!
//! `0x00`, the schema's id as four big-endian bytes, for Protobuf the path of the message within its file,
//! then the message. The path is a count and as many indexes, all zigzag varints; the path of a file's first
//! message is shortened to a single `0x00`. Every contract of Treble is the first message of its file, so
//! any other path means that a record of another kind was sent, and is refused by name.

use bytes::{Buf, BufMut, Bytes};
use thiserror::Error;

/// The first byte of every framed value.
pub const MAGIC: u8 = 0;
/// Bytes before a Protobuf message of Treble: magic, id, the short path.
pub const PROTOBUF_HEADER_BYTES: usize = 6;
/// Bytes before an Avro datum: magic, id.
pub const AVRO_HEADER_BYTES: usize = 5;
/// Message paths deeper than this do not exist; a longer count is noise.
const MAX_PATH: u64 = 32;

/// How the body of a frame is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// A Protobuf message; the frame names it by its path.
    Protobuf,
    /// An Avro datum; the frame has no path.
    Avro,
}

/// A value taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The id under which the registry knows the writer's schema.
    pub schema_id: u32,
    /// The message or datum; a slice of the value, not a copy.
    pub body: Bytes,
}

/// Why a value is not a frame that Treble reads.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The value does not begin with the magic byte.
    #[error(
        "the value is not framed for a schema registry: it begins with {first:#04x} where 0x00 is expected; \
         use a registry serializer, or send a whole file with the header content-type: audio/..."
    )]
    NotFramed {
        /// The first byte.
        first: u8,
    },
    /// The value ended within the frame's header.
    #[error("the value ends within its frame header: {length} bytes; use a registry serializer")]
    Truncated {
        /// Bytes of the value.
        length: usize,
    },
    /// The path names another message than the first of its file.
    #[error(
        "schema {schema_id}: the frame names message {path:?}, Treble reads only the first of a file, [0]"
    )]
    OtherMessage {
        /// The schema's id.
        schema_id: u32,
        /// The message's path.
        path: Vec<u32>,
    },
    /// The path is no path.
    #[error("schema {schema_id}: the message path of the frame is malformed; use a registry serializer")]
    BadPath {
        /// The schema's id.
        schema_id: u32,
    },
}

impl FrameError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFramed { .. } => "not_framed",
            Self::Truncated { .. } => "frame_truncated",
            Self::OtherMessage { .. } => "frame_other_message",
            Self::BadPath { .. } => "frame_bad_path",
        }
    }
}

/// Takes `value` apart without copying its body.
pub fn split(value: &Bytes, format: Format) -> Result<Frame, FrameError> {
    let mut rest = value.clone();
    match rest.first() {
        Some(&MAGIC) if rest.len() >= AVRO_HEADER_BYTES => rest.advance(1),
        Some(&first) if first != MAGIC => return Err(FrameError::NotFramed { first }),
        _ => return Err(FrameError::Truncated { length: value.len() }),
    }
    let schema_id = rest.get_u32();
    if format == Format::Protobuf {
        let path = take_path(&mut rest).ok_or(FrameError::BadPath { schema_id })?;
        if path != [0] {
            return Err(FrameError::OtherMessage { schema_id, path });
        }
    }
    Ok(Frame { schema_id, body: rest })
}

/// Writes the header of a frame; the body follows.
pub fn write_header(out: &mut impl BufMut, schema_id: u32, format: Format) {
    out.put_u8(MAGIC);
    out.put_u32(schema_id);
    if format == Format::Protobuf {
        out.put_u8(0);
    }
}

fn take_path(rest: &mut Bytes) -> Option<Vec<u32>> {
    let count = take_zigzag(rest)?;
    if count == 0 {
        return Some(vec![0]);
    }
    if count > MAX_PATH {
        return None;
    }
    (0..count).map(|_| take_zigzag(rest).and_then(|index| u32::try_from(index).ok())).collect()
}

/// A non-negative zigzag varint; `None` where it is negative, too long or cut off.
fn take_zigzag(rest: &mut Bytes) -> Option<u64> {
    let mut raw = 0_u64;
    for shift in (0..35).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        raw |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return (raw & 1 == 0).then_some(raw >> 1);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(value: &'static [u8], format: Format) -> Result<(u32, Vec<u8>), FrameError> {
        split(&Bytes::from_static(value), format).map(|frame| (frame.schema_id, frame.body.to_vec()))
    }

    #[test]
    fn both_spellings_of_the_first_message_are_read() {
        let expected = Ok((7, b"body".to_vec()));
        assert_eq!(check(b"\0\0\0\0\x07\0body", Format::Protobuf), expected);
        assert_eq!(check(b"\0\0\0\0\x07\x02\0body", Format::Protobuf), expected);
        assert_eq!(check(b"\0\0\0\0\x07body", Format::Avro), expected);
    }

    #[test]
    fn another_message_is_refused_by_its_path() {
        // Count 2, indexes 1 and 0, as the Java serializer writes a nested message.
        let refused = check(b"\0\0\0\0\x07\x04\x02\0body", Format::Protobuf);
        assert_eq!(refused, Err(FrameError::OtherMessage { schema_id: 7, path: vec![1, 0] }));
    }

    #[test]
    fn what_is_no_frame_says_why() {
        assert_eq!(check(b"RIFF....", Format::Avro), Err(FrameError::NotFramed { first: b'R' }));
        assert_eq!(check(b"", Format::Avro), Err(FrameError::Truncated { length: 0 }));
        assert_eq!(check(b"\0\0\0", Format::Avro), Err(FrameError::Truncated { length: 3 }));
        assert_eq!(check(b"\0\0\0\0\x07", Format::Protobuf), Err(FrameError::BadPath { schema_id: 7 }));
        let negative = check(b"\0\0\0\0\x07\x01", Format::Protobuf);
        assert_eq!(negative, Err(FrameError::BadPath { schema_id: 7 }));
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let value = Bytes::from(value);
            for format in [Format::Protobuf, Format::Avro] {
                if let Ok(frame) = split(&value, format) {
                    prop_assert!(frame.body.len() < value.len());
                }
            }
        }

        #[test]
        fn what_is_written_is_read(id: u32, body in proptest::collection::vec(any::<u8>(), 0..64)) {
            for format in [Format::Protobuf, Format::Avro] {
                let mut value = Vec::new();
                write_header(&mut value, id, format);
                value.extend_from_slice(&body);
                let frame = split(&Bytes::from(value), format).unwrap();
                prop_assert_eq!((frame.schema_id, &frame.body[..]), (id, &body[..]));
            }
        }
    }
}
