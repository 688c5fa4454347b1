//! What a commit costs: a worker's transactions, as it writes them every 100 ms, over more and more partitions. librdkafka sends a
//! request for each partition that a transaction writes to, and a broker answers those of a connection one by one.

use crate::kafka::{Writer, record};
use anyhow::Result;
use bytes::Bytes;
use std::thread;
use std::time::Duration;
use treble_bench_support::{Figure, timed};
use treble_schemas::Topics;
use treble_test_support::broker::LocalStack;
use treble_test_support::configuration::{self, PARTITIONS};
use treble_test_support::kafka;

const PREFIX: &str = "commit";
const COMMITS: usize = 100;
/// Those before them, which find the coordinator and the leaders.
const UNCOUNTED: usize = 10;
const INTERVAL: Duration = Duration::from_millis(100);
/// About what 100 ms of one stream are as FLAC at 48 kHz, what is kept of it, and what is told of it.
const OUTPUT_BYTES: usize = 16 * 1024;
const STATE_BYTES: usize = 512;
const EVENT_BYTES: usize = 256;

pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    kafka::create_topics(stack, PREFIX)?;
    let topics = Topics::new(PREFIX)?;
    let config = configuration::config(&configuration::settings(stack, PREFIX))?.kafka;
    let mut writer = Writer::start(&config, &topics.audio_in())?;
    let written = [
        (topics.audio_out(), OUTPUT_BYTES),
        (topics.state("encode"), STATE_BYTES),
        (topics.events(), EVENT_BYTES),
    ];
    let mut figures = Vec::new();
    for partitions in [1, 2, PARTITIONS.cast_signed()] {
        let value = median_ms(&mut writer, &written, partitions)?;
        let name = format!("commit_p50_partitions_{partitions}");
        figures.push(Figure { name, value, unit: "ms", better: "lower", against: None });
    }
    Ok(figures)
}

#[expect(clippy::disallowed_methods, reason = "real time is what a worker commits in")]
fn median_ms(writer: &mut Writer, written: &[(String, usize)], partitions: i32) -> Result<f64> {
    let partitions: Vec<i32> = (0..partitions).collect();
    let mut took = Vec::new();
    for _ in 0..UNCOUNTED + COMMITS {
        let values = written.iter().map(|(topic, bytes)| (topic, Bytes::from(vec![b'x'; *bytes])));
        let records = values
            .flat_map(|(topic, value)| partitions.iter().map(move |one| record(topic, *one, value.clone())))
            .collect();
        let one = timed(|| writer.commit(records, &partitions))?;
        took.push(one);
        thread::sleep(INTERVAL.saturating_sub(one));
    }
    let counted = &mut took[UNCOUNTED..];
    counted.sort_unstable();
    Ok(counted[COMMITS / 2].as_secs_f64() * 1000.0)
}
