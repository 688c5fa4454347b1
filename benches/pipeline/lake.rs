//! How fast the stage analyse catches up: a topic full of events, from the start of a process to the last row in the lake.

use anyhow::{Context, Result};
use rdkafka::message::OwnedHeaders;
use std::time::Duration;
use treble_bench_support::events::stage_event;
use treble_bench_support::{Figure, timed};
use treble_schemas::event::Event;
use treble_schemas::frame::{Format, write_header};
use treble_schemas::{Contract, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::Worker;

/// Enough for several full buffers.
const EVENTS: u32 = 2_000_000;
/// Of them so many are different: writing them is not what is measured.
const DIFFERENT: u32 = 20_000;

fn fill(stack: &LocalStack, prefix: &str) -> Result<()> {
    let topics = Topics::new(prefix)?;
    let id = kafka::schema(stack, prefix, Contract::StageEvent, &topics.events())?;
    let publisher = Publisher::new(stack, prefix)?.onto(&topics.events());
    let framed = |number: u32| {
        let event = stage_event(number);
        let mut value = Vec::with_capacity(256);
        write_header(&mut value, id, Format::Avro);
        value.extend(event.encode()?);
        anyhow::Ok((event.stream_id, value))
    };
    let different = (0..DIFFERENT).map(framed).collect::<Result<Vec<_>>>()?;
    for (stream, value) in different.iter().cycle().take(EVENTS as usize) {
        publisher.record(Some(stream.as_bytes()), Some(value), OwnedHeaders::new())?;
    }
    publisher.flush()
}

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    let prefix = "ingest";
    kafka::create_topics(stack, prefix)?;
    fill(stack, prefix)?;
    let lake = tempfile::tempdir()?;
    let settings = [
        ("lake.url", lake.path().display().to_string()),
        ("lake.flush_mb", "64".to_owned()),
        ("lake.flush_interval_ms", "2000".to_owned()),
    ];
    let mut worker = Worker::new(stack, prefix, "analyse", "only", &settings)?;
    let took = timed(|| {
        worker.start()?;
        worker.await_ready(PATIENCE)?;
        loop {
            let metrics = Exposition::read(&worker.metrics().context("the worker does not answer")?)?;
            if metrics.sum("treble_lake_rows_written_total", &[]) >= f64::from(EVENTS) {
                return Ok(());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    })?;
    let peak = worker.peak_resident_bytes()?;
    worker.terminate()?;
    Ok(vec![
        Figure {
            name: "lake_ingest".to_owned(),
            value: f64::from(EVENTS) / took.as_secs_f64(),
            unit: "events/s",
            better: "higher",
            against: None,
        },
        Figure {
            name: "lake_ingest_memory".to_owned(),
            value: peak as f64 / f64::from(1 << 20),
            unit: "MiB",
            better: "lower",
            against: None,
        },
    ])
}
