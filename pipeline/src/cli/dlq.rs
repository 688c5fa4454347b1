//! `treble dlq`.

mod heads;
mod original;
mod purge;

pub(super) use heads::heads;

use super::{Context, Exit, Failure, registry};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::kafka::headers::{self, TraceContext};
use crate::kafka::publisher::Publisher;
use crate::ports::{Clock, InRecord, OutRecord};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use treble_schemas::dead_letter::{DeadLetter, DeadLetterError};

/// Lists, shows, replays and purges dead letters
#[derive(Debug, Subcommand)]
pub(super) enum DlqVerb {
    /// Lists dead letters, the oldest first
    List(List),
    /// Shows one dead letter whole
    Show(Show),
    /// Publishes the originals of dead letters again
    Replay(Replay),
    /// Deletes dead letters that were dealt with: all up to one
    Purge(purge::Purge),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Of this stage only
    #[arg(long, value_name = "NAME")]
    stage: Option<String>,
    /// With this error code only
    #[arg(long, value_name = "CODE")]
    code: Option<String>,
    /// Of this trace only: 32 hexadecimal digits, as `treble publish` tells them
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// The last N only
    #[arg(long, value_name = "N")]
    last: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its offset, as listed
    offset: i64,
    /// Prints the original value as it was, and nothing else
    #[arg(long)]
    raw: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "A stream that was published in chunks is published again whole, from its beginning, while its topic still \
                  holds it. Without --yes nothing is published: the command says what it would do."
)]
pub(super) struct Replay {
    /// Offsets, as listed
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    offsets: Vec<i64>,
    /// All that are listed
    #[arg(long)]
    all: bool,
    /// Really publishes
    #[arg(long)]
    yes: bool,
}

impl DlqVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        match self {
            Self::List(list) => list.run(context, &config)?,
            Self::Show(show) => show.run(context, &config)?,
            Self::Replay(replay) => replay.run(context, &config)?,
            Self::Purge(purge) => purge.run(context, &config)?,
        }
        Ok(Exit::Success)
    }
}

/// A record of the topic, and what its headers say.
type Letter = (InRecord, Result<DeadLetter, DeadLetterError>);

impl List {
    fn run(self, context: &Context, config: &Config) -> Result<(), Failure> {
        let mut letters = Vec::new();
        each(config, |letter| {
            if self.wants(&letter) {
                letters.push((letter.0.offset, summary(&letter), line(&letter)));
            }
        })?;
        let skip = self.last.map_or(0, |last| letters.len().saturating_sub(last));
        for (_, summary, line) in &letters[skip..] {
            context.output.document("dead_letter", summary, || line.clone())?;
        }
        if letters.is_empty() {
            context.output.say("No dead letters.");
        }
        Ok(())
    }

    fn wants(&self, (record, said): &Letter) -> bool {
        if self.trace.is_some() && self.trace != trace_id(record) {
            return false;
        }
        let fits =
            |wanted: &Option<String>, actual: &str| wanted.as_ref().is_none_or(|wanted| wanted == actual);
        match said {
            Ok(letter) => fits(&self.stage, &letter.stage) && fits(&self.code, &letter.code),
            Err(_) => self.stage.is_none() && self.code.is_none(),
        }
    }
}

/// The trace of the original, whose headers a dead letter keeps.
fn trace_id(record: &InRecord) -> Option<String> {
    headers::trace_context(&record.headers).map(TraceContext::trace_id_hex)
}

impl Show {
    fn run(self, context: &Context, config: &Config) -> Result<(), Failure> {
        let mut found = None;
        each(config, |letter| {
            if letter.0.offset == self.offset {
                found = Some(letter);
            }
        })?;
        let letter = found.ok_or_else(|| absent(self.offset))?;
        if self.raw {
            return context.output.raw(letter.0.value.as_deref().unwrap_or_default());
        }
        let mut document = summary(&letter);
        document["headers"] = headers(&letter.0);
        context.output.document("dead_letter", &document, || page(&letter))
    }
}

impl Replay {
    fn run(self, context: &Context, config: &Config) -> Result<(), Failure> {
        let mut wanted = Vec::new();
        each(config, |letter| {
            if self.all || self.offsets.contains(&letter.0.offset) {
                wanted.push(letter);
            }
        })?;
        let missing =
            self.offsets.iter().find(|&&offset| wanted.iter().all(|(record, _)| record.offset != offset));
        if let Some(offset) = missing {
            return Err(absent(*offset));
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let publisher =
            if self.yes { Some(Publisher::connect(&config.kafka, Arc::clone(&clock))?) } else { None };
        let mut replayed = BTreeSet::new();
        for (record, said) in &wanted {
            let letter = said.as_ref().map_err(|error| {
                Failure::new(Exit::Data, format!("offset {} cannot be replayed", record.offset))
                    .because(error)
            })?;
            let begins_at = original::stream_begins_at(record, letter);
            // A stream that two stages gave up is one stream.
            let origin =
                (letter.topic.clone(), letter.partition, begins_at.unwrap_or(letter.offset), key(record));
            if !replayed.insert(origin) {
                continue;
            }
            let publish = |record: &OutRecord| match &publisher {
                Some(publisher) => publisher.publish(record).map_err(Failure::from),
                None => Ok(()),
            };
            let records = match begins_at {
                Some(first) => original::stream(&config.kafka, &*clock, record, letter, first, publish)?,
                None => publish(&original::alone(record, letter)).map(|()| 1)?,
            };
            tell(context, record, letter, records, self.yes)?;
        }
        match publisher {
            Some(publisher) => publisher.flush()?,
            None => context.output.say("Nothing was published. Add --yes to do it."),
        }
        Ok(())
    }
}

fn tell(
    context: &Context,
    record: &InRecord,
    letter: &DeadLetter,
    records: u64,
    done: bool,
) -> Result<(), Failure> {
    let document = json!({
        "offset": record.offset, "topic": letter.topic, "partition": letter.partition, "records": records,
        "published": done,
    });
    context.output.document("replay", &document, || {
        let verb = if done { "published" } else { "would publish" };
        let what = if records == 1 { "1 record".to_owned() } else { format!("{records} records") };
        let (topic, partition) = (&letter.topic, letter.partition);
        format!("{verb} offset {}: {what} to {topic} partition {partition}", record.offset)
    })
}

/// How long the topic may be silent before its end.
const SILENCE: Duration = Duration::from_secs(15);

/// Hands every dead letter that is there now to `each`.
fn each(config: &Config, each: impl FnMut(Letter)) -> Result<(), Failure> {
    let mut fetcher = Fetcher::connect(&config.kafka, &registry::topics(config).dlq())?;
    let beginnings = fetcher.beginnings(None)?;
    each_from(fetcher, &beginnings, each)
}

/// Hands every dead letter from `positions` on that is there now to `each`.
fn each_from(
    mut fetcher: Fetcher,
    positions: &[Position],
    mut each: impl FnMut(Letter),
) -> Result<(), Failure> {
    let clock = SystemClock::new();
    fetcher.start(positions)?;
    let mut answered = clock.now();
    loop {
        match fetcher.poll(Duration::from_millis(200))? {
            Polled::Record(record) => {
                answered = clock.now();
                let said = DeadLetter::from_headers(&record.headers);
                each((record, said));
            }
            Polled::AtEnd => return Ok(()),
            Polled::Nothing if clock.now() - answered > SILENCE => {
                return Err(Failure::silence(fetcher.trouble()));
            }
            Polled::Nothing => {}
        }
    }
}

fn absent(offset: i64) -> Failure {
    Failure::new(Exit::NoInput, format!("there is no dead letter at offset {offset}"))
        .mend("`treble dlq list` lists them")
}

fn key(record: &InRecord) -> String {
    record.key.as_deref().map_or_else(String::new, |key| String::from_utf8_lossy(key).into_owned())
}

fn summary((record, said): &Letter) -> Value {
    let size = record.value.as_ref().map_or(0, bytes::Bytes::len);
    let mut summary = json!({ "offset": record.offset, "key": key(record), "value_bytes": size });
    summary["trace_id"] = json!(trace_id(record));
    match said {
        Ok(letter) => {
            summary["code"] = json!(letter.code);
            summary["message"] = json!(letter.message);
            summary["stage"] = json!(letter.stage);
            summary["attempt"] = json!(letter.attempt);
            summary["failed_at_ms"] = json!(letter.failed_at_ms);
            summary["source"] = json!({
                "topic": letter.topic, "partition": letter.partition, "offset": letter.offset,
                "stream_first_offset": letter.stream_first_offset, "timestamp_ms": letter.timestamp_ms,
            });
            summary["treble_version"] = json!(letter.treble_version);
        }
        Err(error) => summary["problem"] = json!(error.to_string()),
    }
    summary
}

fn headers(record: &InRecord) -> Value {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let one = |header: &crate::ports::Header| json!([header.name, header.value.as_deref().map(text)]);
    record.headers.iter().map(one).collect()
}

/// Terminals must not be driven by what producers write.
fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn line((record, said): &Letter) -> String {
    let (offset, key) = (record.offset, key(record));
    harmless(&match said {
        Ok(letter) => {
            format!("{offset:>8}  {:<8} {:<18} {key}: {}", letter.stage, letter.code, letter.message)
        }
        Err(error) => format!("{offset:>8}  {key}: {error}"),
    })
}

fn page(letter: &Letter) -> String {
    let (record, said) = letter;
    let mut page = vec![line(letter).trim_start().to_owned()];
    if let Ok(letter) = said {
        page.push(format!(
            "source   {} partition {} offset {}",
            letter.topic, letter.partition, letter.offset
        ));
        page.push(format!("attempt  {}, by Treble {}", letter.attempt, letter.treble_version));
    }
    page.push(format!(
        "value    {} bytes; --raw prints them",
        record.value.as_ref().map_or(0, bytes::Bytes::len)
    ));
    for header in &record.headers {
        let value = header.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        page.push(format!("header   {}: {value}", header.name));
    }
    page.iter().map(|line| harmless(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Header;
    use bytes::Bytes;

    fn letter() -> Letter {
        let said = DeadLetter {
            code: "not_audio".into(),
            message: "no reader\u{1b}[2J".into(),
            stage: "decode".into(),
            topic: "t.audio.in".into(),
            partition: 3,
            offset: 7,
            timestamp_ms: None,
            stream_first_offset: None,
            attempt: 1,
            failed_at_ms: 5,
            treble_version: "0".into(),
        };
        let record = InRecord {
            topic: "t.dlq".into(),
            partition: 0,
            offset: 42,
            timestamp_ms: 5,
            key: Some(Bytes::from_static(b"song")),
            value: Some(Bytes::from_static(b"value")),
            headers: said.headers(&[Header::text("traceparent", "x")]),
        };
        (record, Ok(said))
    }

    #[test]
    fn a_replay_is_the_original_where_it_was_and_counts_on() {
        let (record, said) = letter();
        let original = original::alone(&record, said.as_ref().unwrap());
        assert_eq!((original.topic.as_str(), original.partition), ("t.audio.in", Some(3)));
        assert_eq!((&original.key[..], original.value.as_deref()), (&b"song"[..], Some(&b"value"[..])));
        assert_eq!(original.headers, [Header::text("traceparent", "x"), Header::text("x-attempt", "1")]);
    }

    #[test]
    fn what_producers_wrote_does_not_drive_the_terminal() {
        assert!(!line(&letter()).contains('\u{1b}'));
        assert!(!page(&letter()).contains('\u{1b}'));
    }

    #[test]
    fn filters_are_by_stage_and_code() {
        let list = |stage: Option<&str>, code: Option<&str>| List {
            stage: stage.map(str::to_owned),
            code: code.map(str::to_owned),
            trace: None,
            last: None,
        };
        assert!(list(None, None).wants(&letter()));
        assert!(list(Some("decode"), Some("not_audio")).wants(&letter()));
        assert!(!list(Some("encode"), None).wants(&letter()));
    }
}
