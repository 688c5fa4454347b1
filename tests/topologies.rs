//! Fused, distributed and offline give byte-identical output (invariant 7), on a real Kafka.

#![expect(clippy::print_stdout, reason = "a suite tells what it counted; libtest shows it on demand")]

use anyhow::Result;
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::process::Worker;
use treble_test_support::running::Running;
use treble_test_support::{clips, configuration, kafka, verdict};

fn check(prefix: &str, topology: &str, more: &[(&'static str, String)]) -> Result<()> {
    let stack = LocalStack::shared()?;
    kafka::create_topics(stack, prefix)?;
    let mut settings = configuration::settings(stack, prefix);
    settings.push(("topology", topology.to_owned()));
    settings.extend(more.iter().cloned());
    let config = configuration::config(&settings)?;
    let publisher = kafka::Publisher::new(stack, prefix)?;
    let mut clips = clips::every_format()?;
    for (index, clip) in clips.iter().enumerate() {
        // Every other clip as one record, the rest in pieces of an odd size.
        if index % 2 == 0 { publisher.clip(clip)? } else { publisher.chunks(clip, 777)? }
    }
    let long = clips::chirp("long", 16_000, 20);
    publisher.chunks(&long, 10_000)?;
    clips.push(long);
    publisher.flush()?;
    let running = Running::start(config.clone());
    let streams = verdict::delivered(stack, prefix, clips.len())?;
    running.stop()?;
    let identical = verdict::identical(&config, &clips, &streams)?;
    assert_eq!(streams.len(), clips.len());
    println!("prefix={prefix} topology={topology} streams={} identical={identical}", streams.len());
    Ok(())
}

#[test]
fn distributed_equals_offline() -> Result<()> {
    check("distributed", "distributed", &[])
}

#[test]
fn fused_equals_offline() -> Result<()> {
    check("fused", "fused", &[])
}

#[test]
fn with_the_model_distributed_equals_offline() -> Result<()> {
    check("model", "distributed", &configuration::with_model()?)
}

#[test]
fn another_topology_is_refused_until_the_operator_accepts_every_stream_once_more() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "switched");
    kafka::create_topics(stack, prefix)?;
    let publisher = kafka::Publisher::new(stack, prefix)?;
    publisher.clip(&clips::chirp("a", 8_000, 1))?;
    publisher.flush()?;
    let mut worker = Worker::new(stack, prefix, "decode,upscale,encode", "only", &[])?;
    worker.start()?;
    verdict::delivered(stack, prefix, 1)?;
    worker.terminate()?;

    worker.set("topology", "fused");
    worker.start()?;
    let (code, said) = worker.await_end(kafka::PATIENCE)?;
    assert_eq!(code, Some(78), "{said}");
    for word in ["switched.audio.in", "group switched.decode,", "flow.on_new_topology=reprocess"] {
        assert!(said.contains(word), "{word:?} is not in {said}");
    }

    worker.set("flow.on_new_topology", "reprocess");
    worker.start()?;
    let topic = Topics::new(prefix)?.audio_out();
    let is_end = |record: &kafka::Committed| {
        let framed = record.value.as_ref().and_then(|value| frame::split(value, Format::Protobuf).ok());
        let chunk = framed.and_then(|framed| AudioChunk::decode(framed.body).ok());
        chunk.is_some_and(|chunk| matches!(chunk.body, ChunkBody::End(_)))
    };
    let all = kafka::read_committed(stack, &topic, |records| {
        records.iter().filter(|record| is_end(record)).count() == 2
    })?;
    worker.terminate()?;
    // Once more, and the same bytes.
    let (once, again) = all.split_at(all.len() / 2);
    let bytes =
        |records: &[kafka::Committed]| verdict::assemble(records).map(|mut streams| streams.remove("a"));
    let (once, again) = (bytes(once)?, bytes(again)?);
    assert_eq!(once.map(|stream| stream.bytes), again.map(|stream| stream.bytes));

    // Both have their place now: going back is no surprise any more.
    worker.set("topology", "distributed");
    worker.set("flow.on_new_topology", "fail");
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)?;
    worker.terminate()
}
