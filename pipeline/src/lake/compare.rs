//! A lake against the topic that it was filled from.

use crate::config::KafkaConfig;
use crate::kafka::fault::KafkaFault;
use crate::kafka::fetcher::{Fetcher, Polled};
use std::time::Duration;
use treble_analyse::verify::{Seen, TableCheck};

/// How long the cluster may be silent before its answer counts as none.
const SILENCE: u32 = 30;

/// What the topic holds, and the lake of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Records that the topic holds and the lake too.
    pub stored: u64,
    /// Records that lie at or beyond the position of their partition: they are yet to be stored.
    pub waiting: u64,
    /// Records that lie before it, and are in no table.
    pub missing: u64,
}

/// Reads `topic` to its present end, and looks each record up; `None` where the cluster stops answering.
pub fn against_topic(
    config: &KafkaConfig,
    topic: &str,
    checks: &[TableCheck],
    seen: &Seen,
) -> Result<Option<Comparison>, KafkaFault> {
    let position = |partition: i32| {
        checks.iter().map(|check| check.positions.get(&partition).copied().unwrap_or(0)).min().unwrap_or(0)
    };
    let mut fetcher = Fetcher::connect(config, topic)?;
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
                    (false, true) => &mut comparison.missing,
                    (false, false) => &mut comparison.waiting,
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
