//! A lake against the topic that it was filled from.

use super::records::Reader;
use crate::config::Config;
use crate::kafka::fault::KafkaFault;
use crate::kafka::fetcher::{Fetcher, Polled};
use crate::ports::InRecord;
use crate::schema_registry::RegistryError;
use crate::secret::SecretError;
use std::time::Duration;
use treble_analyse::arrow::error::ArrowError;
use treble_analyse::tables::Origin;
use treble_analyse::upkeep::Day;
use treble_analyse::verify::{Seen, TableCheck};

/// How long the cluster may be silent before its answer counts as none.
const SILENCE: u32 = 30;
/// The most that one question to the registry takes.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(15);

/// What the topic holds, and the lake of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Records that the topic holds and the lake too.
    pub stored: u64,
    /// Records that lie at or beyond the position of their partition: they are yet to be stored.
    pub waiting: u64,
    /// Records of days that the lake keeps no longer, which are in no table.
    pub expired: u64,
    /// Other records that lie before the position of their partition, and are in no table.
    pub missing: u64,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// Kafka refused.
    #[error(transparent)]
    Kafka(#[from] KafkaFault),
    /// The registry refused.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// What opens the registry cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// Columns that do not fit together: a defect.
    #[error(transparent)]
    Rows(#[from] ArrowError),
}

/// Reads `topic`, which holds records of `origin`, to its present end, and looks each record up; days before `first` are kept no
/// longer. `None` where the cluster stops answering.
///
/// # Errors
/// [`CompareError`], with nothing compared.
pub fn against_topic(
    config: &Config,
    (origin, topic): (Origin, &str),
    checks: &[TableCheck],
    seen: &Seen,
    first: Option<Day>,
) -> Result<Option<Comparison>, CompareError> {
    let position = |partition: i32| {
        checks.iter().map(|check| check.positions.get(&partition).copied().unwrap_or(0)).min().unwrap_or(0)
    };
    let mut filing = Filing::open(config, origin)?;
    let mut fetcher = Fetcher::connect(&config.kafka, topic)?;
    let beginnings = fetcher.beginnings(None)?;
    fetcher.start(&beginnings)?;
    let (mut comparison, mut silent) = (Comparison::default(), 0);
    while !fetcher.is_at_end() {
        match fetcher.poll(Duration::from_secs(1))? {
            Polled::Record(record) => {
                silent = 0;
                let before = record.offset < position(record.partition);
                let counted = match (seen.contains(record.partition, record.offset), before) {
                    (true, _) => &mut comparison.stored,
                    (false, false) => &mut comparison.waiting,
                    (false, true) if filing.is_past(record, first)? => &mut comparison.expired,
                    (false, true) => &mut comparison.missing,
                };
                *counted += 1;
            }
            Polled::AtEnd => {}
            Polled::Nothing if silent >= SILENCE => return Ok(None),
            Polled::Nothing => silent += 1,
        }
    }
    Ok(Some(comparison))
}

/// Tells which day a record's row is filed under, as ingest does.
struct Filing(Reader);

impl Filing {
    fn open(config: &Config, origin: Origin) -> Result<Self, CompareError> {
        Reader::open(origin, &config.registry, REGISTRY_TIMEOUT).map(Self)
    }

    /// Whether `record` is filed under a day before `first`.
    fn is_past(&mut self, record: InRecord, first: Option<Day>) -> Result<bool, CompareError> {
        let Some(first) = first else { return Ok(false) };
        Ok(self.day(record)?.is_some_and(|day| day < first))
    }

    fn day(&mut self, record: InRecord) -> Result<Option<Day>, CompareError> {
        self.0.learn(&record)?;
        self.0.push(record)?;
        Ok(Day::of_rows(&self.0.flush()?.rows))
    }
}
