//! What dead letters say of themselves, without what they carry.

use super::{Letter, each_from, summary};
use crate::cli::{Failure, registry};
use crate::config::Config;
use crate::kafka::fetcher::{Fetcher, Position};
use serde_json::Value;

/// The latest dead letters, `most` of each partition at most, as `treble dlq list` tells them: reason, stage, stream and trace,
/// neither the value nor the headers of what was refused.
pub(in crate::cli) fn heads(config: &Config, most: i64) -> Result<Vec<Value>, Failure> {
    let mut fetcher = Fetcher::connect(&config.kafka, &registry::topics(config).dlq())?;
    let beginnings = fetcher.beginnings(None)?;
    let latest = |beginning: Position| -> Result<Position, Failure> {
        let offset = beginning.offset.max(fetcher.end(beginning.partition)? - most);
        Ok(Position { offset, ..beginning })
    };
    let positions = beginnings.into_iter().map(latest).collect::<Result<Vec<_>, _>>()?;
    let mut heads = Vec::new();
    each_from(fetcher, &positions, |letter: Letter| heads.push(summary(&letter)))?;
    Ok(heads)
}
