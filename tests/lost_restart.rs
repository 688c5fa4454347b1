//! Retention deletes what a stopped stage must be fed next: it refuses to go on, or does what the operator chose. On a
//! real Kafka, with processes as a user starts them.

use anyhow::{Context, Result, ensure};
use std::time::Duration;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, Segment, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::verdict;

fn worker(prefix: &str, stage: &'static str) -> Result<Worker> {
    Worker::new(LocalStack::shared()?, prefix, stage, "only", &[])
}

/// A committed chunk, and the offset of its record.
type Placed = (i64, AudioChunk);

/// The committed chunks of a topic, once `enough` are there.
fn chunks(topic: &str, enough: impl Fn(&[Placed]) -> bool) -> Result<Vec<Placed>> {
    let mut chunks = Vec::new();
    kafka::read_committed(LocalStack::shared()?, topic, |records| {
        for record in &records[chunks.len()..] {
            let framed = record.value.as_ref().and_then(|value| frame::split(value, Format::Protobuf).ok());
            let chunk = framed.and_then(|framed| AudioChunk::decode(framed.body).ok());
            chunks.push((record.offset, chunk.expect("nothing else is on an audio topic")));
        }
        enough(&chunks)
    })?;
    Ok(chunks)
}

fn segment(chunk: &AudioChunk) -> Option<&Segment> {
    match &chunk.body {
        ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } => Some(segment),
        ChunkBody::End(_) | ChunkBody::Abort(_) => None,
    }
}

fn frames(chunks: &[Placed]) -> u64 {
    chunks.iter().filter_map(|(_, chunk)| segment(chunk)).map(|segment| segment.n_samples).sum()
}

fn marks(chunks: &[Placed]) -> usize {
    chunks.iter().filter(|(_, chunk)| segment(chunk).is_some_and(|segment| segment.discontinuity)).count()
}

fn has_ended(chunks: &[Placed]) -> bool {
    chunks.iter().any(|(_, chunk)| matches!(chunk.body, ChunkBody::End(_)))
}

#[test]
fn a_stage_refuses_by_default_and_goes_on_behind_the_hole_where_it_was_told_to() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "lost-pcm");
    kafka::create_topics(stack, prefix)?;
    let topics = Topics::new(prefix)?;
    let publisher = Publisher::new(stack, prefix)?;
    let publish = |chunks: &[AudioChunk]| {
        chunks.iter().try_for_each(|chunk| publisher.chunk(chunk)).and_then(|()| publisher.flush())
    };
    let clip = clips::chirp("wave", 16_000, 60);
    let all = kafka::chunks(&clip, 16_000)?;
    let (mut decode, mut upscale, mut encode) =
        (worker(prefix, "decode")?, worker(prefix, "upscale")?, worker(prefix, "encode")?);
    decode.start()?;
    upscale.start()?;
    publish(&all[..30])?;
    chunks(&topics.audio_hires(), |chunks| frames(chunks) > 5 * 48_000)?;
    upscale.terminate()?;

    // More comes for the stage that is away, and retention is faster than it.
    publish(&all[30..80])?;
    // It has read 15 s at most.
    let waiting = chunks(&topics.audio_pcm(), |chunks| frames(chunks) > 30 * 16_000)?;
    let last = waiting.last().context("chunks wait")?.0;
    let partition = kafka::partition("wave")?;
    kafka::delete_before(stack, &topics.audio_pcm(), partition, last)?;

    upscale.start()?;
    let (code, said) = upscale.await_end(PATIENCE)?;
    ensure!(code == Some(66), "{code:?}: {said}");
    let place = format!("{}, partition {partition}", topics.audio_pcm());
    for word in [&place, &format!("..{last}"), "flow.on_lost_restart = \"cold_restart\""] {
        ensure!(said.contains(word), "{word:?} is not in {said}");
    }

    upscale.set("flow.on_lost_restart", "cold_restart");
    upscale.start()?;
    encode.start()?;
    publish(&all[80..100])?;
    chunks(&topics.audio_hires(), |chunks| marks(chunks) > 0)?;
    // A successor finds the hole again, or is past it: either way nothing is doubled.
    upscale.kill()?;
    upscale.start()?;
    publish(&all[100..])?;
    let streams = verdict::delivered(stack, prefix, 1)?;
    let stream = streams.get("wave").context("the stream")?;
    ensure!(stream.ended, "{:?}", stream.aborted);
    ensure!(stream.frames > 0 && stream.frames < 60 * 48_000, "{} frames", stream.frames);
    let hires = chunks(&topics.audio_hires(), has_ended)?;
    ensure!(marks(&hires) == 1, "one hole, one mark");
    decode.terminate()?;
    upscale.terminate()?;
    encode.terminate()
}

#[test]
fn a_codec_that_restarts_at_the_beginning_only_ends_in_abort_and_a_dead_letter() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "lost-vorbis");
    kafka::create_topics(stack, prefix)?;
    let topics = Topics::new(prefix)?;
    let publisher = Publisher::new(stack, prefix)?;
    let clip = clips::every_format()?.into_iter().find(|clip| clip.name == "pages_vorbis.ogg");
    let all = kafka::chunks(&clip.context("the fixture")?, 500)?;
    let (head, rest) = all.split_at(all.len() * 3 / 4);
    head.iter().try_for_each(|chunk| publisher.chunk(chunk))?;
    publisher.flush()?;
    let mut decode = worker(prefix, "decode")?;
    decode.start()?;
    chunks(&topics.audio_pcm(), |chunks| !chunks.is_empty())?;
    decode.terminate()?;
    let partition = kafka::partition("pages_vorbis.ogg")?;
    let read = chunks(&topics.audio_in(), |chunks| chunks.len() == head.len())?;
    kafka::delete_before(stack, &topics.audio_in(), partition, read[head.len() - 1].0)?;

    decode.start()?;
    let (code, said) = decode.await_end(PATIENCE)?;
    ensure!(code == Some(66) && said.contains("must be read again from offset"), "{code:?}: {said}");
    decode.set("flow.on_lost_restart", "cold_restart");
    decode.start()?;
    let is_abort = |(_, chunk): &Placed| matches!(&chunk.body, ChunkBody::Abort(reason) if reason.code == "lost_restart");
    chunks(&topics.audio_pcm(), |chunks| chunks.iter().any(is_abort))?;
    let letters = kafka::read_committed(stack, &topics.dlq(), |records| !records.is_empty())?;
    ensure!(letters.len() == 1 && letters[0].key == b"pages_vorbis.ogg");
    let has_code = letters[0].headers.iter().any(|(_, value)| value == "lost_restart");
    ensure!(has_code, "{:?}", letters[0].headers);
    // What still comes of it is skipped, and the stage is well.
    rest.iter().try_for_each(|chunk| publisher.chunk(chunk))?;
    publisher.flush()?;
    decode.await_ready(Duration::from_secs(60))?;
    decode.terminate()
}
