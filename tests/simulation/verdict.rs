//! What a `read_committed` consumer finds in the end, and whether the accounts balance.

use crate::input::{DLQ, segment};
use crate::world::World;
use std::collections::BTreeMap;
use treble_pipeline::kafka::headers;
use treble_pipeline::ports::OutRecord;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, StreamId};

/// The outcome of one run.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
    streams: BTreeMap<String, Vec<AudioChunk>>,
    letters: Vec<String>,
}

/// The outcome of a settled world; `Err` where it contradicts itself.
pub(crate) fn of(world: &World) -> Result<Verdict, String> {
    let segment = segment(world.scenario.material);
    let read = |topic: &str| -> Vec<OutRecord> {
        let partitions = 0..world.scenario.partitions;
        partitions
            .flat_map(|partition| world.cluster.committed_records(topic, partition))
            .map(|(_, r)| r)
            .collect()
    };
    let mut streams: BTreeMap<String, Vec<AudioChunk>> = BTreeMap::new();
    let mut spans: BTreeMap<StreamId, Option<String>> = BTreeMap::new();
    for record in read(&segment.output_topic) {
        let chunk = chunk(&record)?;
        let span = headers::traceparent(&record.headers);
        // Whoever wrote them, chunks of one stream name one span.
        match spans.get(&chunk.stream_id) {
            Some(before) if chunk.seq > 0 && *before != span => {
                return Err(format!("{}: span {before:?}, then {span:?}", chunk.stream_id));
            }
            _ => drop(spans.insert(chunk.stream_id.clone(), span)),
        }
        streams.entry(chunk.stream_id.as_str().to_owned()).or_default().push(chunk);
    }
    for (id, chunks) in &mut streams {
        forget_repeated_formats(chunks);
        whole(chunks).map_err(|fault| format!("{id}: {fault}"))?;
    }
    let mut told = world.told();
    told.sort_by_key(|span| (span.trace_id(), span.parent_id()));
    if let Some(twice) = told.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("{} was told of twice", twice[0]));
    }
    let mut letters: Vec<String> = read(DLQ).iter().map(letter).collect();
    letters.sort();
    if let Some(twice) = letters.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("two dead letters of {}", twice[0]));
    }
    let mut open: BTreeMap<Vec<u8>, bool> = BTreeMap::new();
    for record in read(&segment.state_topic) {
        open.insert(record.key.to_vec(), record.value.is_some());
    }
    match open.iter().find(|(_, open)| **open) {
        Some((key, _)) => Err(format!("{}: state outlives the stream", String::from_utf8_lossy(key))),
        None => Ok(Verdict { streams, letters }),
    }
}

/// The chunk that a record holds.
pub(crate) fn chunk(record: &OutRecord) -> Result<AudioChunk, String> {
    let framed = frame::split(record.value.as_ref().ok_or("an output without value")?, Format::Protobuf);
    AudioChunk::decode(framed.map_err(|error| error.to_string())?.body).map_err(|error| error.to_string())
}

/// A successor says the format again on its first chunk: that is allowed, and changes nothing for a reader.
fn forget_repeated_formats(chunks: &mut [AudioChunk]) {
    let mut current = None;
    for chunk in chunks {
        match &mut chunk.body {
            ChunkBody::Start { format, .. } => current = Some(format.clone()),
            ChunkBody::Data { format, .. } if *format == current => *format = None,
            ChunkBody::Data { format: Some(format), .. } => current = Some(format.clone()),
            ChunkBody::Data { format: None, .. } | ChunkBody::End(_) | ChunkBody::Abort(_) => {}
        }
    }
}

/// Gapless from START to END or ABORT, as often as the id was used; the payload is what END says.
fn whole(chunks: &[AudioChunk]) -> Result<(), String> {
    let (mut expected, mut bytes) = (0, 0);
    for chunk in chunks {
        if chunk.seq != expected {
            return Err(format!("seq {} where {expected} should be", chunk.seq));
        }
        expected += 1;
        match &chunk.body {
            ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } => {
                bytes += segment.data.len() as u64
            }
            ChunkBody::End(totals) if totals.bytes != bytes => {
                return Err(format!("{bytes} bytes, but END says {}", totals.bytes));
            }
            ChunkBody::End(_) | ChunkBody::Abort(_) => (expected, bytes) = (0, 0),
        }
    }
    if expected == 0 { Ok(()) } else { Err(format!("no END after seq {}", expected - 1)) }
}

/// Which record a dead letter is about, and why.
pub(crate) fn letter(record: &OutRecord) -> String {
    let wanted = ["code", "partition", "offset"];
    let about = record.headers.iter().filter(|header| wanted.iter().any(|name| header.name.ends_with(name)));
    let text = |header: &treble_pipeline::ports::Header| {
        let value = header.value.as_deref().unwrap_or_default();
        format!("{}={}", header.name, String::from_utf8_lossy(value))
    };
    about.map(text).collect::<Vec<_>>().join(" ")
}

impl Verdict {
    /// Where `found` differs from what is expected.
    pub(crate) fn difference(&self, found: &Self) -> Option<String> {
        let ids = self.streams.keys().chain(found.streams.keys());
        for id in ids {
            let (expected, found) = (self.streams.get(id), found.streams.get(id));
            let (Some(expected), Some(found)) = (expected, found) else {
                return Some(format!("{id}: {} but {}", told(expected), told(found)));
            };
            if expected.len() != found.len() {
                return Some(format!("{id}: {} chunks instead of {}", found.len(), expected.len()));
            }
            if let Some((expected, found)) = expected.iter().zip(found).find(|(left, right)| left != right) {
                return Some(format!("{id}: {found:?} instead of {expected:?}"));
            }
        }
        (self.letters != found.letters)
            .then(|| format!("dead letters {:?} instead of {:?}", found.letters, self.letters))
    }
}

fn told(chunks: Option<&Vec<AudioChunk>>) -> &'static str {
    if chunks.is_some() { "present" } else { "absent" }
}
