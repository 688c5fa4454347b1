//! What the stages tell the analysts: typed events and their Avro form.
//!
//! The schemas are written for Arrow: flat records, no nesting, nulls where a value is unknown. Readers
//! resolve what older or newer writers wrote (`Event::decode_written_with`), by the BACKWARD rule that
//! `tests/compat.rs` holds: a field is added with a default, never changed.

mod stage_event;
mod stream_report;

pub use stage_event::StageEvent;
pub use stream_report::StreamReport;

use crate::contract::Contract;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, util::max_allocation_bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use thiserror::Error;

/// The longest event that is read, in bytes. A length inside a datum above it is refused before anything is
/// allocated for it.
pub const MAX_EVENT_BYTES: usize = 64 * 1024;

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It goes on.
    #[default]
    Running,
    /// Its END was reached.
    Finished,
    /// It was given up.
    Aborted,
}

/// How the sound was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// The stage does not raise it.
    #[default]
    None,
    /// By the model.
    Ai,
    /// By resampling alone.
    Baseline,
}

/// Why an event could not be written or read.
#[derive(Debug, Error)]
pub enum EventError {
    /// The datum is over [`MAX_EVENT_BYTES`].
    #[error(
        "the event has {bytes} bytes, more than {MAX_EVENT_BYTES}; nothing but Treble may write to the topic"
    )]
    TooLarge {
        /// Bytes of the datum.
        bytes: usize,
    },
    /// The datum does not follow its writer's schema, or that schema cannot be resolved to ours.
    #[error("the event does not follow schema {schema}: {source}")]
    Avro {
        /// The name of the schema.
        schema: &'static str,
        /// What the codec said.
        #[source]
        source: Box<apache_avro::Error>,
    },
    /// Bytes follow the datum.
    #[error("{bytes} bytes follow the event: it was written with another schema than {schema}")]
    TrailingBytes {
        /// How many.
        bytes: usize,
        /// The name of the schema.
        schema: &'static str,
    },
}

impl EventError {
    /// A stable name for metrics, events and dead letters.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "event_too_large",
            Self::Avro { .. } => "event_avro",
            Self::TrailingBytes { .. } => "event_trailing_bytes",
        }
    }
}

/// A record type of the events topic.
pub trait Event: Serialize + DeserializeOwned {
    /// The contract it follows.
    const CONTRACT: Contract;

    /// The schema that this version of Treble writes and reads.
    fn schema() -> &'static Schema;

    /// The datum (without a frame).
    fn encode(&self) -> Result<Vec<u8>, EventError> {
        let writer = GenericDatumWriter::builder(Self::schema()).build();
        writer.and_then(|writer| writer.write_ser_to_vec(self)).map_err(avro::<Self>)
    }

    /// Reads a datum (without its frame) that this version wrote.
    fn decode(body: &[u8]) -> Result<Self, EventError> {
        Self::decode_written_with(body, Self::schema())
    }

    /// Reads a datum (without its frame) written with `writer`, the schema that its frame's id names.
    fn decode_written_with(body: &[u8], writer: &Schema) -> Result<Self, EventError> {
        if body.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLarge { bytes: body.len() });
        }
        let mut rest = body;
        let reader = GenericDatumReader::builder(writer).reader_schema(Self::schema()).build();
        let value = reader.and_then(|reader| reader.read_value(&mut rest)).map_err(avro::<Self>)?;
        if !rest.is_empty() {
            return Err(EventError::TrailingBytes { bytes: rest.len(), schema: Self::CONTRACT.name() });
        }
        apache_avro::from_value(&value).map_err(avro::<Self>)
    }
}

impl Event for StageEvent {
    const CONTRACT: Contract = Contract::StageEvent;
    fn schema() -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| parse(Contract::StageEvent));
        &SCHEMA
    }
}

impl Event for StreamReport {
    const CONTRACT: Contract = Contract::StreamReport;
    fn schema() -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| parse(Contract::StreamReport));
        &SCHEMA
    }
}

fn parse(contract: Contract) -> Schema {
    // The library's own bound is half a gigabyte for a single string; the first call decides, for good.
    max_allocation_bytes(MAX_EVENT_BYTES);
    Schema::parse_str(contract.text()).expect("the schema is part of this crate and parsed by its tests")
}

fn avro<E: Event>(error: apache_avro::Error) -> EventError {
    EventError::Avro { schema: E::CONTRACT.name(), source: Box::new(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<E: Event + PartialEq + std::fmt::Debug>(event: &E) {
        assert_eq!(&E::decode(&event.encode().unwrap()).unwrap(), event);
    }

    #[test]
    fn what_is_written_is_read() {
        check(&StageEvent::default());
        check(&StreamReport::default());
        check(&StageEvent {
            event_time_us: 1_700_000_000_000_000,
            stream_id: "clip ä".into(),
            status: Status::Aborted,
            error_type: Some("not_audio".into()),
            mode: Mode::Ai,
            batch_size: Some(3.5),
            rate_in_hz: Some(8000),
            ..StageEvent::default()
        });
        check(&StreamReport { mode: Mode::Baseline, loudness_lufs: Some(-23.0), ..StreamReport::default() });
    }

    #[test]
    fn an_older_writer_is_resolved() {
        let mut old: serde_json::Value = serde_json::from_str(Contract::StreamReport.text()).unwrap();
        old["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "loudness_lufs");
        let old = Schema::parse(&old).unwrap();
        let report = StreamReport { stream_id: "a".into(), gaps: 3, ..StreamReport::default() };
        let datum = {
            let apache_avro::types::Value::Record(mut fields) = apache_avro::to_value(&report).unwrap()
            else {
                panic!("a record")
            };
            fields.retain(|(name, _)| name != "loudness_lufs");
            let value = apache_avro::types::Value::Record(fields).resolve(&old).unwrap();
            GenericDatumWriter::builder(&old).build().unwrap().write_value_to_vec(value).unwrap()
        };
        assert_eq!(StreamReport::decode_written_with(&datum, &old).unwrap(), report);
    }

    #[test]
    fn what_is_no_event_is_refused() {
        let mut datum = StageEvent::default().encode().unwrap();
        datum.push(0);
        assert_eq!(StageEvent::decode(&datum).unwrap_err().code(), "event_trailing_bytes");
        assert_eq!(StageEvent::decode(&[]).unwrap_err().code(), "event_avro");
        let large = vec![0; MAX_EVENT_BYTES + 1];
        assert_eq!(StageEvent::decode(&large).unwrap_err().code(), "event_too_large");
    }

    #[test]
    fn a_claimed_length_allocates_nothing() {
        // event_time 0, then a string that claims 2^40 bytes.
        let datum = [0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40];
        let refused = StageEvent::decode(&datum).unwrap_err();
        assert!(refused.to_string().contains("allocate"), "{refused}");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..512)) {
            drop(StageEvent::decode(&body));
            drop(StreamReport::decode(&body));
        }
    }
}
