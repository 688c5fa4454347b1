//! `treble dlq purge`.

use super::{absent, each};
use crate::cli::{Context, Failure, registry};
use crate::config::Config;
use crate::kafka::admin::Admin;
use crate::kafka::fetcher::{Fetcher, Position};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
#[command(after_help = "\
A replay leaves dead letters where they are. Purged ones are gone, and no longer counted by `treble lag --listen`. Without --yes nothing is \
deleted: the command says what it would do.")]
pub(in crate::cli) struct Purge {
    /// The offset of the last one, as listed
    offset: i64,
    /// Really deletes
    #[arg(long)]
    yes: bool,
}

impl Purge {
    pub(super) fn run(self, context: &Context, config: &Config) -> Result<(), Failure> {
        let (mut count, mut there) = (0_u64, false);
        each(config, |(record, _)| {
            count += u64::from(record.offset <= self.offset);
            there |= record.offset == self.offset;
        })?;
        if !there {
            return Err(absent(self.offset));
        }
        if self.yes {
            let topic = registry::topics(config).dlq();
            let partitions = Fetcher::connect(&config.kafka, &topic)?.beginnings(None)?;
            let before = partitions.iter().map(|begin| Position { offset: self.offset + 1, ..*begin });
            Admin::connect(&config.kafka)?.delete_before(&topic, &before.collect::<Vec<_>>())?;
        }
        let document = json!({ "offset": self.offset, "records": count, "deleted": self.yes });
        context.output.document("purge", &document, || {
            let verb = if self.yes { "deleted" } else { "would delete" };
            let what = if count == 1 { "dead letter" } else { "dead letters" };
            format!("{verb} {count} {what}, up to offset {}", self.offset)
        })?;
        if !self.yes {
            context.output.say("Nothing was deleted. Add --yes to do it.");
        }
        Ok(())
    }
}
