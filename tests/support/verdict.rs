//! What must be true of every stream on the output: gapless, single, complete, and the bytes that the offline path
//! writes (invariants 4 and 7).

use crate::broker::LocalStack;
use crate::clips::Clip;
use crate::kafka::{self, Committed};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::Cursor;
use treble_core::{Assets, EncodedChunk, laws};
use treble_decode::{DecodeConfig, DecodeStage};
use treble_pipeline::config::Config;
use treble_pipeline::offline;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AbortReason, AudioChunk, ChunkBody, StreamId, Topics};

/// A stream, put together from the output topic.
#[derive(Debug, Clone, Default)]
pub struct Delivered {
    /// All payloads, concatenated.
    pub bytes: Vec<u8>,
    /// Frames.
    pub frames: u64,
    /// Chunks, END or ABORT included.
    pub chunks: u64,
    /// Whether END was seen.
    pub ended: bool,
    /// Why the stream was given up, if it was.
    pub aborted: Option<AbortReason>,
}

impl Delivered {
    /// Whether nothing more is to come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ended || self.aborted.is_some()
    }

    fn add(&mut self, chunk: &AudioChunk) -> Result<()> {
        let id = chunk.stream_id.as_str();
        ensure!(!self.is_over(), "{id}: seq {} after its end", chunk.seq);
        ensure!(chunk.seq == self.chunks, "{id}: seq {} where {} was due", chunk.seq, self.chunks);
        self.chunks += 1;
        match &chunk.body {
            ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } => {
                self.bytes.extend(&segment.data);
                self.frames += segment.n_samples;
            }
            ChunkBody::End(totals) => {
                self.ended = true;
                ensure!(
                    totals.samples == self.frames,
                    "{id}: END says {} frames, {} came",
                    totals.samples,
                    self.frames
                );
                ensure!(totals.bytes == self.bytes.len() as u64, "{id}: END's byte count");
            }
            ChunkBody::Abort(reason) => self.aborted = Some(reason.clone()),
        }
        Ok(())
    }
}

/// Puts streams together from committed records of an audio topic.
///
/// # Errors
/// The first violation: a gap, a repeat, totals that contradict what came.
pub fn assemble(records: &[Committed]) -> Result<BTreeMap<String, Delivered>> {
    let mut streams: BTreeMap<String, Delivered> = BTreeMap::new();
    for record in records {
        let chunk = chunk_of(record)?;
        streams.entry(chunk.stream_id.as_str().to_owned()).or_default().add(&chunk)?;
    }
    Ok(streams)
}

/// As [`assemble`], where a name may be used again: the latest stream of each.
///
/// # Errors
/// The first violation, in any of the streams.
pub fn assemble_latest(records: &[Committed]) -> Result<BTreeMap<String, Delivered>> {
    let mut streams: BTreeMap<String, Delivered> = BTreeMap::new();
    for record in records {
        let chunk = chunk_of(record)?;
        let stream = streams.entry(chunk.stream_id.as_str().to_owned()).or_default();
        if stream.is_over() {
            *stream = Delivered::default();
        }
        stream.add(&chunk)?;
    }
    Ok(streams)
}

fn chunk_of(record: &Committed) -> Result<AudioChunk> {
    let value = record.value.as_ref().context("a null value on an audio topic")?;
    let chunk = AudioChunk::decode(frame::split(value, Format::Protobuf)?.body)?;
    chunk.check_key(&record.key)?;
    Ok(chunk)
}

/// Waits until `expected` streams are over on `{prefix}.audio.out`, and puts them together.
pub fn delivered(stack: &LocalStack, prefix: &str, expected: usize) -> Result<BTreeMap<String, Delivered>> {
    assemble(&output(stack, prefix, expected)?)
}

/// The records of `{prefix}.audio.out`, once `expected` streams are over.
pub fn output(stack: &LocalStack, prefix: &str, expected: usize) -> Result<Vec<Committed>> {
    let (mut seen, mut over) = (0, 0);
    kafka::read_committed(stack, &Topics::new(prefix)?.audio_out(), |records| {
        over += records[seen..].iter().filter(|record| is_last(record)).count();
        seen = records.len();
        over >= expected
    })
}

/// Waits until `expected` streams have ended on `{prefix}.audio.out`, and keeps nothing of them: for a stopwatch. How many frames
/// they say they have; an error where one was given up.
pub fn await_ends(stack: &LocalStack, prefix: &str, expected: usize) -> Result<u64> {
    let (mut over, mut frames) = (0, 0);
    kafka::follow_committed(stack, &Topics::new(prefix)?.audio_out(), |record| {
        let chunk = chunk_of(&record)?;
        match chunk.body {
            ChunkBody::Abort(reason) => bail!("{:?} was given up: {reason:?}", chunk.stream_id),
            ChunkBody::End(totals) => (over, frames) = (over + 1, frames + totals.samples),
            ChunkBody::Start { .. } | ChunkBody::Data { .. } => {}
        }
        Ok(over >= expected)
    })?;
    Ok(frames)
}

fn is_last(record: &Committed) -> bool {
    chunk_of(record).is_ok_and(|chunk| matches!(chunk.body, ChunkBody::End(_) | ChunkBody::Abort(_)))
}

/// Whether nothing is kept of `stream` on any state topic.
pub fn has_no_state(stack: &LocalStack, prefix: &str, stream: &StreamId) -> Result<bool> {
    let topics = Topics::new(prefix)?;
    for stage in ["decode", "upscale", "encode"] {
        let topic = topics.state(stage);
        let mut latest = None;
        for record in kafka::read_to_end(stack, &topic)? {
            if record.key == stream.as_str().as_bytes() {
                latest = record.value;
            }
        }
        if latest.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What the offline path writes for `clip`, or why it refuses it.
pub fn offline(config: &Config, clip: &Clip) -> Result<Result<Vec<u8>, String>> {
    let mut written = Vec::new();
    let mut input = Cursor::new(&clip.bytes);
    let outcome = offline::upscale(config, clip.media_type, &mut input, &mut written, &mut |_| {});
    Ok(outcome.map(|_| written).map_err(|error| error.to_string()))
}

/// Checks that every clip was delivered whole and byte-identical to the offline path; how many were.
pub fn identical(config: &Config, clips: &[Clip], streams: &BTreeMap<String, Delivered>) -> Result<usize> {
    for clip in clips {
        let stream = streams.get(&clip.name).with_context(|| format!("{} is missing", clip.name))?;
        let expected = offline(config, clip)?.map_err(anyhow::Error::msg).context(clip.name.clone())?;
        ensure!(stream.ended, "{}: given up: {:?}", clip.name, stream.aborted);
        ensure!(stream.bytes == expected, "{}: differs from the offline path", clip.name);
    }
    Ok(clips.len())
}

/// As [`identical`], by samples: both are decoded and compared.
pub fn sounds_identical(
    config: &Config,
    clips: &[Clip],
    streams: &BTreeMap<String, Delivered>,
) -> Result<usize> {
    for clip in clips {
        let stream = streams.get(&clip.name).with_context(|| format!("{} is missing", clip.name))?;
        let expected = offline(config, clip)?.map_err(anyhow::Error::msg).context(clip.name.clone())?;
        ensure!(stream.ended, "{}: given up: {:?}", clip.name, stream.aborted);
        let (heard, meant) = (samples(&stream.bytes)?, samples(&expected)?);
        ensure!(heard.len() == meant.len(), "{}: {} samples, not {}", clip.name, heard.len(), meant.len());
        let first = heard.iter().zip(&meant).position(|(heard, meant)| heard != meant);
        ensure!(first.is_none(), "{}: sample {first:?} of {} is another", clip.name, meant.len());
    }
    Ok(clips.len())
}

/// The samples of a file that encode wrote, channel after channel.
fn samples(file: &[u8]) -> Result<Vec<f32>> {
    let data = EncodedChunk { data: Bytes::copy_from_slice(file), ..EncodedChunk::default() };
    let inputs = [EncodedChunk::default(), data];
    let blocks = laws::run::<DecodeStage>(&DecodeConfig::default(), &Assets::default(), &inputs)?;
    let channels = blocks.first().map_or(0, |block| block.planes().len());
    let plane = |channel: usize| blocks.iter().flat_map(move |block| block.planes()[channel].iter().copied());
    Ok((0..channels).flat_map(plane).collect())
}
