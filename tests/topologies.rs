//! Fused, distributed and offline give byte-identical output (invariant 7), on a real Kafka.

#![expect(clippy::print_stdout, reason = "a suite tells what it counted; libtest shows it on demand")]

use anyhow::Result;
use treble_test_support::broker::LocalStack;
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
