//! Dead letters: what could not be processed, why, and where it came from.
//!
//! A dead letter keeps the key, the value and every header of its original, so that `treble dlq replay` can
//! publish the original again byte for byte. What Treble has to say is added as headers, all of them text,
//! so that any Kafka tool shows it. Reading is total: hostile header bytes give an error, never a panic.

use bytes::Bytes;
use std::str::FromStr;
use thiserror::Error;

/// The header with the error's stable code.
pub const ERROR_CODE: &str = "x-error-code";
/// The header with one sentence for a person.
pub const ERROR_MESSAGE: &str = "x-error-message";
/// The header with the stage that gave up.
pub const ERROR_STAGE: &str = "x-error-stage";
/// The header with the topic of the original.
pub const SOURCE_TOPIC: &str = "x-source-topic";
/// The header with the partition of the original.
pub const SOURCE_PARTITION: &str = "x-source-partition";
/// The header with the offset of the original.
pub const SOURCE_OFFSET: &str = "x-source-offset";
/// The header with the timestamp of the original, Unix time in milliseconds.
pub const SOURCE_TIMESTAMP: &str = "x-source-timestamp";
/// The header with the offset of the first record of the original's stream.
pub const STREAM_FIRST_OFFSET: &str = "x-stream-first-offset";
/// The header that counts how often the record was tried, from 1.
pub const ATTEMPT: &str = "x-attempt";
/// The header with the time of the failure, Unix time in milliseconds.
pub const FAILED_AT: &str = "x-failed-at";
/// The header with the version of Treble that gave up.
pub const TREBLE_VERSION: &str = "x-treble-version";

/// The longest message that is written, in bytes; messages may quote hostile input.
pub const MAX_MESSAGE_BYTES: usize = 1024;

const ADDED: [&str; 11] = [
    ERROR_CODE,
    ERROR_MESSAGE,
    ERROR_STAGE,
    SOURCE_TOPIC,
    SOURCE_PARTITION,
    SOURCE_OFFSET,
    SOURCE_TIMESTAMP,
    STREAM_FIRST_OFFSET,
    ATTEMPT,
    FAILED_AT,
    TREBLE_VERSION,
];

/// One header of a record. Kafka allows repeated names and absent values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a text value.
    #[must_use]
    pub fn text(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.to_owned(), value: Some(Bytes::from(value.into())) }
    }
}

/// What Treble says about a record that it could not process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The error's stable code.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// The stage that gave up.
    pub stage: String,
    /// The topic of the original.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp, Unix time in milliseconds, where it has one.
    pub timestamp_ms: Option<i64>,
    /// The offset of the first record of its stream, where it is known.
    pub stream_first_offset: Option<i64>,
    /// How often the record was tried, from 1.
    pub attempt: u32,
    /// When it failed, Unix time in milliseconds.
    pub failed_at_ms: i64,
    /// The version of Treble that gave up.
    pub treble_version: String,
}

/// Why a record is no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DeadLetterError {
    /// A header is missing.
    #[error("the record has no header {name}: it is no dead letter of Treble")]
    Missing {
        /// The header.
        name: &'static str,
    },
    /// A header is not what it should be.
    #[error("header {name} is {value:?}, expected {expected}: the record is no dead letter of Treble")]
    Invalid {
        /// The header.
        name: &'static str,
        /// The value, as far as it is text, cut short.
        value: String,
        /// What belongs there.
        expected: &'static str,
    },
}

impl DeadLetter {
    /// The headers of the dead letter: the original's, then what is said about it. What an earlier attempt
    /// said is replaced.
    #[must_use]
    pub fn headers(&self, original: &[Header]) -> Vec<Header> {
        let mut headers = original_headers(original);
        let optional = |name, value: Option<i64>| value.map(|value| Header::text(name, value.to_string()));
        headers.extend([
            Header::text(ERROR_CODE, &*self.code),
            Header::text(ERROR_MESSAGE, one_line(&self.message)),
            Header::text(ERROR_STAGE, &*self.stage),
            Header::text(SOURCE_TOPIC, &*self.topic),
            Header::text(SOURCE_PARTITION, self.partition.to_string()),
            Header::text(SOURCE_OFFSET, self.offset.to_string()),
        ]);
        headers.extend(optional(SOURCE_TIMESTAMP, self.timestamp_ms));
        headers.extend(optional(STREAM_FIRST_OFFSET, self.stream_first_offset));
        headers.extend([
            Header::text(ATTEMPT, self.attempt.to_string()),
            Header::text(FAILED_AT, self.failed_at_ms.to_string()),
            Header::text(TREBLE_VERSION, &*self.treble_version),
        ]);
        headers
    }

    /// Reads what is said about a record. Where a name is repeated, the last one counts.
    pub fn from_headers(headers: &[Header]) -> Result<Self, DeadLetterError> {
        Ok(Self {
            code: text(headers, ERROR_CODE)?,
            message: text(headers, ERROR_MESSAGE)?,
            stage: text(headers, ERROR_STAGE)?,
            topic: text(headers, SOURCE_TOPIC)?,
            partition: number(headers, SOURCE_PARTITION)?,
            offset: number(headers, SOURCE_OFFSET)?,
            timestamp_ms: optional_number(headers, SOURCE_TIMESTAMP)?,
            stream_first_offset: optional_number(headers, STREAM_FIRST_OFFSET)?,
            attempt: number(headers, ATTEMPT)?,
            failed_at_ms: number(headers, FAILED_AT)?,
            treble_version: text(headers, TREBLE_VERSION)?,
        })
    }
}

/// The headers of the original record, without what a dead letter adds.
#[must_use]
pub fn original_headers(headers: &[Header]) -> Vec<Header> {
    headers.iter().filter(|header| !ADDED.contains(&header.name.as_str())).cloned().collect()
}

/// The headers for publishing the original of a dead letter again: the original's and the count of attempts,
/// so that the next dead letter of the same record counts on.
#[must_use]
pub fn replay_headers(headers: &[Header]) -> Vec<Header> {
    let mut replayed = original_headers(headers);
    replayed.push(Header::text(ATTEMPT, attempts(headers).to_string()));
    replayed
}

/// How often a record was tried before, by its headers; 0 for one that comes from a producer or says nonsense.
#[must_use]
pub fn attempts(headers: &[Header]) -> u32 {
    number(headers, ATTEMPT).unwrap_or(0)
}

/// A header must not break a terminal or a log line, nor grow with its cause.
fn one_line(message: &str) -> String {
    let cut = message.floor_char_boundary(MAX_MESSAGE_BYTES);
    message[..cut].chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn last<'a>(headers: &'a [Header], name: &'static str) -> Result<&'a [u8], DeadLetterError> {
    let found = headers.iter().rev().find(|header| header.name == name);
    found.and_then(|header| header.value.as_deref()).ok_or(DeadLetterError::Missing { name })
}

fn invalid(name: &'static str, value: &[u8], expected: &'static str) -> DeadLetterError {
    let shown = String::from_utf8_lossy(&value[..value.len().min(64)]).into_owned();
    DeadLetterError::Invalid { name, value: shown, expected }
}

fn text(headers: &[Header], name: &'static str) -> Result<String, DeadLetterError> {
    let value = last(headers, name)?;
    std::str::from_utf8(value).map(str::to_owned).map_err(|_| invalid(name, value, "UTF-8 text"))
}

fn number<N: FromStr>(headers: &[Header], name: &'static str) -> Result<N, DeadLetterError> {
    let value = last(headers, name)?;
    let parsed = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    parsed.ok_or_else(|| invalid(name, value, "a decimal number"))
}

fn optional_number(headers: &[Header], name: &'static str) -> Result<Option<i64>, DeadLetterError> {
    match number(headers, name) {
        Ok(value) => Ok(Some(value)),
        Err(DeadLetterError::Missing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            code: "not_audio".into(),
            message: "no reader knows these bytes".into(),
            stage: "decode".into(),
            topic: "treble.audio.in".into(),
            partition: 3,
            offset: 1_234_567_890_123,
            timestamp_ms: Some(1_700_000_000_000),
            stream_first_offset: None,
            attempt: 1,
            failed_at_ms: 1_700_000_000_500,
            treble_version: "0.1.0".into(),
        }
    }

    #[test]
    fn what_is_written_is_read_and_the_original_is_kept() {
        let original = vec![
            Header::text("content-type", "audio/mpeg"),
            Header { name: "traceparent".into(), value: None },
            Header { name: "binary".into(), value: Some(Bytes::from_static(b"\xff\0")) },
            Header::text("content-type", "repeated"),
        ];
        let headers = letter().headers(&original);
        assert_eq!(DeadLetter::from_headers(&headers), Ok(letter()));
        assert_eq!(original_headers(&headers), original);
    }

    #[test]
    fn attempts_are_counted_across_replays() {
        let first = letter().headers(&[]);
        let replayed = replay_headers(&first);
        assert_eq!(attempts(&[]), 0);
        assert_eq!(attempts(&replayed), 1);
        let second = DeadLetter { attempt: attempts(&replayed) + 1, ..letter() }.headers(&replayed);
        assert_eq!(attempts(&second), 2);
        assert_eq!(second.iter().filter(|header| header.name == ATTEMPT).count(), 1);
    }

    #[test]
    fn a_message_is_one_short_line() {
        let message = format!("bad\r\n\u{1b}[2J{}", "ä".repeat(MAX_MESSAGE_BYTES));
        let headers = DeadLetter { message, ..letter() }.headers(&[]);
        let read = DeadLetter::from_headers(&headers).unwrap().message;
        assert!(read.starts_with("bad   [2J") && read.len() <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn what_is_no_dead_letter_says_which_header() {
        let without = |name: &str| -> Vec<Header> {
            letter().headers(&[]).into_iter().filter(|header| header.name != name).collect()
        };
        let missing = DeadLetter::from_headers(&without(SOURCE_OFFSET));
        assert_eq!(missing, Err(DeadLetterError::Missing { name: SOURCE_OFFSET }));
        let mut invalid = letter().headers(&[]);
        invalid.push(Header { name: SOURCE_PARTITION.into(), value: Some(Bytes::from_static(b"\xff")) });
        let refused = DeadLetter::from_headers(&invalid).unwrap_err().to_string();
        assert!(refused.contains(SOURCE_PARTITION), "{refused}");
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(
            values in proptest::collection::vec(proptest::option::of(any::<Vec<u8>>()), ADDED.len()),
        ) {
            let headers: Vec<_> = ADDED.iter().zip(values)
                .map(|(name, value)| Header { name: (*name).into(), value: value.map(Bytes::from) })
                .collect();
            drop(DeadLetter::from_headers(&headers));
            prop_assert!(original_headers(&headers).is_empty());
            let _attempts = attempts(&headers);
        }
    }
}
