//! What a dead letter is about: one record, or the whole stream that its stage gave up.
//!
//! A stream in chunks cannot be resumed in its middle: its dead letter keeps the record at fault, and says where the
//! stream began. So it is read again from there, for as long as the topic still holds it.

use super::super::{Exit, Failure};
use super::key;
use crate::config::KafkaConfig;
use crate::kafka::fetcher::{Fetcher, Polled, Position};
use crate::kafka::headers;
use crate::ports::{Clock, InRecord, OutRecord};
use std::time::Duration;
use treble_schemas::dead_letter::{ATTEMPT, DeadLetter, Header, original_headers, replay_headers};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody};

/// How long the topic may be silent before its end.
const SILENCE: Duration = Duration::from_secs(15);

/// The stream in chunks that a dead letter is about, by the offset of its first record; `None` for a record that is
/// a stream by itself, or none.
pub(super) fn stream_begins_at(record: &InRecord, letter: &DeadLetter) -> Option<i64> {
    letter.stream_first_offset.filter(|_| headers::clip_content_type(&record.headers).is_none())
}

/// The record itself, as it is published again: where it was read.
pub(super) fn alone(record: &InRecord, letter: &DeadLetter) -> OutRecord {
    OutRecord {
        topic: letter.topic.clone(),
        partition: Some(letter.partition),
        key: record.key.clone().unwrap_or_default(),
        value: record.value.clone(),
        headers: replay_headers(&record.headers),
    }
}

/// Hands every record of the letter's stream to `each`, in order; how many they were.
pub(super) fn stream(
    config: &KafkaConfig,
    clock: &dyn Clock,
    dead: &InRecord,
    letter: &DeadLetter,
    first_offset: i64,
    mut each: impl FnMut(&OutRecord) -> Result<(), Failure>,
) -> Result<u64, Failure> {
    let mut fetcher = Fetcher::connect(config, &letter.topic)?;
    fetcher.start(&[Position { partition: letter.partition, offset: first_offset }])?;
    let mut reading = Reading::default();
    let mut answered = clock.now();
    loop {
        match fetcher.poll(Duration::from_millis(200))? {
            Polled::Record(record) => {
                answered = clock.now();
                match reading.see(dead, &record) {
                    Seen::Another => {}
                    Seen::Part => each(&again(&record, letter))?,
                    Seen::Last => {
                        each(&again(&record, letter))?;
                        return Ok(reading.parts);
                    }
                    Seen::NextStream => return Ok(reading.parts),
                    Seen::Headless => return Err(gone(dead, letter)),
                }
            }
            Polled::AtEnd if reading.parts == 0 => return Err(gone(dead, letter)),
            Polled::AtEnd => return Ok(reading.parts),
            Polled::Nothing if clock.now() - answered > SILENCE => {
                return Err(Failure::silence(fetcher.trouble()));
            }
            Polled::Nothing => {}
        }
    }
}

fn again(record: &InRecord, letter: &DeadLetter) -> OutRecord {
    let mut headers = original_headers(&record.headers);
    headers.push(Header::text(ATTEMPT, letter.attempt.to_string()));
    OutRecord { headers, ..alone(record, letter) }
}

fn gone(dead: &InRecord, letter: &DeadLetter) -> Failure {
    let problem =
        format!("offset {} cannot be replayed: stream {} is not whole any more", dead.offset, key(dead));
    Failure::new(Exit::NoInput, problem)
        .because(format!("{} partition {} no longer holds its beginning", letter.topic, letter.partition))
        .mend("publish the file again")
}

/// What a record is to the stream that is looked for.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// Of another stream.
    Another,
    /// Of the stream.
    Part,
    /// Its end.
    Last,
    /// The beginning of the next stream of the same id.
    NextStream,
    /// Of the stream, whose beginning was not seen.
    Headless,
}

#[derive(Debug, Default)]
struct Reading {
    parts: u64,
    started_at_us: i64,
}

impl Reading {
    fn see(&mut self, dead: &InRecord, record: &InRecord) -> Seen {
        let chunk = (record.key == dead.key).then(|| chunk(record)).flatten();
        let Some(chunk) = chunk else { return Seen::Another };
        let seen = match (&chunk.body, self.parts) {
            (ChunkBody::Start { .. }, 0) => {
                self.started_at_us = chunk.capture_time_us;
                Seen::Part
            }
            (_, 0) => Seen::Headless,
            (ChunkBody::Start { .. }, _) if chunk.capture_time_us != self.started_at_us => Seen::NextStream,
            (ChunkBody::Start { .. } | ChunkBody::Data { .. }, _) => Seen::Part,
            (ChunkBody::End(_) | ChunkBody::Abort(_), _) => Seen::Last,
        };
        if matches!(seen, Seen::Part | Seen::Last) {
            self.parts += 1;
        }
        seen
    }
}

fn chunk(record: &InRecord) -> Option<AudioChunk> {
    let framed = frame::split(record.value.as_ref()?, Format::Protobuf).ok()?;
    AudioChunk::decode(framed.body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use treble_schemas::{AudioFormat, Segment, StreamId, Totals};

    fn record(name: &str, seq: u64, capture_time_us: i64, body: ChunkBody) -> InRecord {
        let chunk =
            AudioChunk { stream_id: StreamId::new(name).unwrap(), seq, capture_time_us, source: None, body };
        let mut value = Vec::new();
        frame::write_header(&mut value, 1, Format::Protobuf);
        chunk.encode(&mut value);
        InRecord {
            topic: "t.audio.in".into(),
            partition: 0,
            offset: 0,
            timestamp_ms: 0,
            key: Some(Bytes::copy_from_slice(name.as_bytes())),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    fn start() -> ChunkBody {
        ChunkBody::Start { format: AudioFormat::default(), segment: Segment::default() }
    }

    fn data() -> ChunkBody {
        ChunkBody::Data { format: None, segment: Segment::default() }
    }

    fn all_seen(records: &[InRecord]) -> Vec<Seen> {
        let dead = record("a", 2, 5, data());
        let mut reading = Reading::default();
        records.iter().map(|record| reading.see(&dead, record)).collect()
    }

    #[test]
    fn a_stream_is_what_bears_its_key_from_start_to_end() {
        let end = ChunkBody::End(Totals::default());
        let records = [
            record("a", 0, 5, start()),
            record("b", 0, 5, start()),
            record("a", 0, 5, start()),
            record("a", 1, 5, data()),
            record("a", 2, 5, end),
        ];
        assert_eq!(all_seen(&records), [Seen::Part, Seen::Another, Seen::Part, Seen::Part, Seen::Last]);
    }

    #[test]
    fn a_stream_without_end_ends_where_the_next_begins() {
        let records = [record("a", 0, 5, start()), record("a", 1, 5, data()), record("a", 0, 6, start())];
        assert_eq!(all_seen(&records), [Seen::Part, Seen::Part, Seen::NextStream]);
    }

    #[test]
    fn a_stream_whose_beginning_was_deleted_is_not_replayed_in_part() {
        assert_eq!(
            all_seen(&[record("b", 0, 5, start()), record("a", 1, 5, data())]),
            [Seen::Another, Seen::Headless]
        );
    }
}
