//! `treble tap`.

mod place;
mod said;

use super::{Context, Exit, Failure, registry};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::ports::{Clock, InRecord};
use clap::Args;
use place::Place;
use said::Said;
use serde_json::{Value, json};
use std::time::Duration;

/// Shows the records of a topic, and what they say
#[derive(Debug, Args)]
#[command(after_help = "\
Chunks, whole clips, dead letters and events are told in a line each; what is none of these, by its bytes. Only committed \
records are shown, and nothing is committed for having been looked at.

Examples:
  treble tap audio.in --limit 5
  treble tap treble.audio.out --key song --follow
  treble tap events --from 10m --output json")]
pub(super) struct Tap {
    /// The topic; one of Treble's own also without its prefix, such as audio.in, dlq or events
    topic: String,
    /// Where to begin: beginning, end, an offset, or how long ago (90s, 10m, 2h, 1d); the beginning, or the end with --follow
    #[arg(long, value_name = "PLACE")]
    from: Option<Place>,
    /// This partition only
    #[arg(long, value_name = "N")]
    partition: Option<i32>,
    /// Records with this key only
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Stops after so many records
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// Waits for what is still to come
    #[arg(long)]
    follow: bool,
}

/// How long the topic may be silent before its end.
const SILENCE: Duration = Duration::from_secs(15);

impl Tap {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let clock = SystemClock::new();
        let mut fetcher = Fetcher::connect(&config.kafka, &self.topic(&config))?;
        let positions = self.positions(&mut fetcher, clock.unix_us() / 1_000)?;
        fetcher.start(&positions)?;
        let mut shown = 0;
        let mut answered = clock.now();
        while self.limit.is_none_or(|limit| shown < limit) {
            match fetcher.poll(Duration::from_millis(200))? {
                Polled::Record(record) => {
                    answered = clock.now();
                    if self.wants(&record) {
                        shown += 1;
                        show(context, &record)?;
                    }
                }
                Polled::AtEnd if !self.follow => break,
                Polled::Nothing if !self.follow && clock.now() - answered > SILENCE => {
                    return Err(Failure::silence(fetcher.trouble()));
                }
                Polled::AtEnd | Polled::Nothing => {}
            }
        }
        Ok(Exit::Success)
    }

    /// The whole name of the topic.
    fn topic(&self, config: &Config) -> String {
        let topics = registry::topics(config);
        let whole = format!("{}.{}", topics.prefix(), self.topic);
        let stages: Vec<&str> = crate::stages::STAGES.iter().map(|entry| entry.name).collect();
        let own = topics.specs(&stages).into_iter().any(|spec| spec.name == whole);
        if own { whole } else { self.topic.clone() }
    }

    fn positions(&self, fetcher: &mut Fetcher, now_ms: i64) -> Result<Vec<Position>, Failure> {
        let place = self.from.unwrap_or(if self.follow { Place::End } else { Place::Beginning });
        let mut positions = fetcher.beginnings(place.since_ms(now_ms))?;
        if let Some(wanted) = self.partition {
            positions.retain(|position| position.partition == wanted);
            if positions.is_empty() {
                let what = format!("{} has no partition {wanted}", self.topic);
                return Err(
                    Failure::new(Exit::NoInput, what).mend("`treble topics list` says how many there are")
                );
            }
        }
        if let Place::Offset(offset) = place {
            for position in &mut positions {
                position.offset = offset.max(position.offset);
            }
        }
        Ok(positions)
    }

    fn wants(&self, record: &InRecord) -> bool {
        self.key.as_ref().is_none_or(|key| record.key.as_deref() == Some(key.as_bytes()))
    }
}

fn show(context: &Context, record: &InRecord) -> Result<(), Failure> {
    let said = Said::of(record);
    context.output.document("record", &document(record, &said), || line(record, &said))
}

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

fn document(record: &InRecord, said: &Said) -> Value {
    let header = |header: &crate::ports::Header| json!([header.name, text(header.value.as_deref())]);
    json!({
        "topic": &*record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp_ms": record.timestamp_ms,
        "key": text(record.key.as_deref()),
        "headers": record.headers.iter().map(header).collect::<Value>(),
        "value_bytes": record.value.as_ref().map(bytes::Bytes::len),
        "content": said.kind(),
        "said": said.document(),
    })
}

fn line(record: &InRecord, said: &Said) -> String {
    let key = text(record.key.as_deref()).unwrap_or_else(|| "-".to_owned());
    let at = place::clock_time(record.timestamp_ms);
    let line = format!("{at}  [{}] {:>8}  {key}  {said}", record.partition, record.offset);
    // Terminals must not be driven by what producers write.
    line.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::Header;
    use bytes::Bytes;

    fn record(value: &[u8], headers: Vec<Header>) -> InRecord {
        InRecord {
            topic: "t.audio.in".into(),
            partition: 3,
            offset: 17,
            timestamp_ms: 1_700_000_000_123,
            key: Some(Bytes::from_static(b"so\x1bng")),
            value: Some(Bytes::copy_from_slice(value)),
            headers,
        }
    }

    #[test]
    fn a_line_says_when_where_who_and_what_and_drives_no_terminal() {
        let record = record(b"RIFF", vec![Header::text("content-type", "audio/wav")]);
        let line = line(&record, &Said::of(&record));
        assert_eq!(line, "2023-11-14T22:13:20.123Z  [3]       17  so ng  clip audio/wav, 4 bytes");
    }

    #[test]
    fn a_document_holds_headers_and_sizes() {
        let record = record(b"RIFF", vec![Header::text("content-type", "audio/wav")]);
        let document = document(&record, &Said::of(&record));
        assert_eq!(document["headers"], json!([["content-type", "audio/wav"]]));
        assert_eq!((&document["value_bytes"], &document["content"]), (&json!(4), &json!("clip")));
    }
}
