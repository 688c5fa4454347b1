//! Fused, distributed and offline give byte-identical output (invariant 7), on a real Kafka.

use anyhow::{Context, Result, anyhow};
use std::thread;
use treble_pipeline::config::Config;
use treble_pipeline::runtime::{self, RunError, Shutdown};
use treble_pipeline::schema_registry::{Registration, RegistryAuth, SchemaRegistry};
use treble_schemas::Topics;
use treble_test_support::broker::LocalStack;
use treble_test_support::{clips, configuration, kafka, verdict};

/// A pipeline in this process, drained when dropped.
struct Running {
    shutdown: Shutdown,
    thread: Option<thread::JoinHandle<Result<(), RunError>>>,
}

impl Running {
    fn start(config: Config) -> Self {
        let shutdown = Shutdown::default();
        let watched = shutdown.clone();
        Self { shutdown, thread: Some(thread::spawn(move || runtime::run(&config, &watched))) }
    }

    fn stop(mut self) -> Result<()> {
        self.shutdown.drain();
        let thread = self.thread.take().context("stopped once")?;
        Ok(thread.join().map_err(|_| anyhow!("the pipeline panicked"))??)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shutdown.drain();
    }
}

fn schema(stack: &LocalStack, prefix: &str) -> Result<u32> {
    let registry = SchemaRegistry::new(stack.schema_registry_url(), &RegistryAuth::None, kafka::PATIENCE)?;
    let stages = ["decode", "upscale", "encode"];
    Ok(registry.contract_ids(&Topics::new(prefix)?, &stages, Registration::Register)?.audio_chunk)
}

fn check(topology: &str) -> Result<()> {
    let stack = LocalStack::shared()?;
    let prefix = topology;
    kafka::create_topics(stack, prefix)?;
    let mut settings = configuration::settings(stack, prefix);
    settings.push(("topology", topology.to_owned()));
    let config = configuration::config(&settings)?;
    let publisher = kafka::Publisher::new(stack, prefix, schema(stack, prefix)?)?;
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
    println!("topology={topology} streams={} identical={identical}", streams.len());
    Ok(())
}

#[test]
fn distributed_equals_offline() -> Result<()> {
    check("distributed")
}

#[test]
fn fused_equals_offline() -> Result<()> {
    check("fused")
}
