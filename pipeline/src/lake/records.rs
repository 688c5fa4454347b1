//! Records on their way to rows: for those who store them, and those who only look.

use crate::config::RegistryConfig;
use crate::ports::InRecord;
use crate::schema_registry::{RegistryAccess, RegistryError, SchemaRegistry};
use crate::secret::SecretError;
use std::time::Duration;
use treble_analyse::arrow::error::ArrowError;
use treble_analyse::lines;
use treble_analyse::rows::{Decoder, Record, Rows};
use treble_analyse::tables::{Origin, Table};

impl From<InRecord> for Record {
    fn from(record: InRecord) -> Self {
        let InRecord { partition, offset, timestamp_ms, key, value, .. } = record;
        Self { partition, offset, timestamp_ms, key, value }
    }
}

/// Tells `decoder` what the schema of `record` is, where it does not know it yet: before each [`Decoder::push`]. Whether the
/// registry was asked, and has answered.
pub(crate) fn learn(
    decoder: &mut Decoder,
    registry: &SchemaRegistry,
    record: &InRecord,
) -> Result<bool, RegistryError> {
    let unknown = decoder.unknown_schema(record.value.as_ref());
    if let Some(id) = unknown {
        decoder.learn(id, registry.text_of(id)?.as_deref());
    }
    Ok(unknown.is_some())
}

/// Understands the records of one origin.
#[derive(Debug)]
pub(super) enum Reader {
    /// Events, whose schemas the registry knows.
    Events(Box<(Decoder, SchemaRegistry)>),
    /// Lines of the log, which say what they are.
    Logs(lines::Decoder),
}

/// Rows that are to be stored, and what is told of them once they are.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) rows: Rows,
    /// When the newest canary among lines of the log was written, in microseconds of Unix time.
    pub(super) newest_canary_us: Option<i64>,
}

impl Reader {
    /// A reader of `origin`; no question to the registry takes longer than `patience`.
    ///
    /// # Errors
    /// The registry, or what opens it.
    pub(super) fn open<E>(origin: Origin, config: &RegistryConfig, patience: Duration) -> Result<Self, E>
    where
        E: From<SecretError> + From<RegistryError>,
    {
        Ok(match origin {
            Origin::Events => {
                let registry = SchemaRegistry::new(&RegistryAccess::read(config)?, patience)?;
                Self::Events(Box::new((Decoder::new(), registry)))
            }
            Origin::Logs => Self::Logs(lines::Decoder::default()),
        })
    }

    pub(super) const fn origin(&self) -> Origin {
        match self {
            Self::Events(_) => Origin::Events,
            Self::Logs(_) => Origin::Logs,
        }
    }

    /// See [`learn`].
    pub(super) fn learn(&mut self, record: &InRecord) -> Result<bool, RegistryError> {
        match self {
            Self::Events(events) => learn(&mut events.0, &events.1, record),
            Self::Logs(_) => Ok(false),
        }
    }

    /// Takes a record; it is one row of what the next [`flush`](Self::flush) gives.
    pub(super) fn push(&mut self, record: InRecord) -> Result<(), ArrowError> {
        match self {
            Self::Events(events) => {
                events.0.push(record.into());
                Ok(())
            }
            Self::Logs(lines) => lines.push(record.into()),
        }
    }

    /// Drops all records since the last [`flush`](Self::flush).
    pub(super) fn discard(&mut self) {
        match self {
            Self::Events(events) => events.0.discard(),
            Self::Logs(lines) => lines.discard(),
        }
    }

    pub(super) const fn rows(&self) -> usize {
        match self {
            Self::Events(events) => events.0.rows(),
            Self::Logs(lines) => lines.rows(),
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        match self {
            Self::Events(events) => events.0.bytes(),
            Self::Logs(lines) => lines.bytes(),
        }
    }

    /// All rows since the last call.
    pub(super) fn flush(&mut self) -> Result<Batch, ArrowError> {
        match self {
            Self::Events(events) => Ok(Batch { rows: events.0.flush()?, newest_canary_us: None }),
            Self::Logs(lines) => {
                let lines::Lines { rows, newest_canary_us } = lines.flush()?;
                Ok(Batch { rows: [(Table::Logs, rows)].into(), newest_canary_us })
            }
        }
    }
}
