//! Live streams: how long a chunk takes from its publication to committed output, and what a commit costs.

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use treble_bench_support::Figure;
use treble_core::{AnyPayload, Assets, EncodedChunk, EncodedFormat, Outbox, Pace};
use treble_pipeline::stages::{STAGES, StageConfigs};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips;
use treble_test_support::configuration::PARTITIONS;
use treble_test_support::kafka::{self, Publisher};
use treble_test_support::process::Worker;

const RATE_HZ: u32 = 8_000;
/// Frames of a 100 ms chunk at the input's rate, and at the output's.
const CHUNK_FRAMES: usize = 800;
const OUTPUT_CHUNK_FRAMES: u64 = 4_800;
const CHUNK: Duration = Duration::from_millis(100);
const COMMIT_INTERVAL_MS: f64 = 100.0;
/// A chunk, and what the rate converter looks ahead from 8 kHz: what no design of the stages could do without.
const STAGES_FLOOR_MS: f64 = 132.0;
/// When nothing comes for so long, nothing more will.
const SILENCE: Duration = Duration::from_secs(20);
const STREAMS: usize = 10;
const SECONDS: u32 = 20;

/// Latency and cost of a commit, in both topologies.
pub(crate) fn figures(stack: &LocalStack) -> Result<Vec<Figure>> {
    warm_up(stack)?;
    let held_back_ms = held_back_ms()?;
    let mut figures = vec![milliseconds("live_held_back_by_stages", held_back_ms)];
    for (topology, hops) in [("fused", 1.0), ("distributed", 3.0)] {
        let prefix = format!("live-{topology}");
        let settings = [("topology", topology.to_owned())];
        let mut worker = start(stack, &prefix, &settings)?;
        let mut crowd = Crowd::publish_and_follow(stack, &prefix, STREAMS, SECONDS)?;
        let commit_ms = commit_p50_ms(&worker.metrics().context("the worker does not answer")?)?;
        worker.terminate()?;
        let floor_ms = STAGES_FLOOR_MS + hops * COMMIT_INTERVAL_MS;
        let name = |what: &str| format!("live_{topology}_{what}");
        let against = format!("{floor_ms} ms: a chunk, the look-ahead, {hops} commit intervals");
        figures.push(milliseconds(&name("latency_p50"), crowd.percentile_ms(50)?));
        figures.push(milliseconds(&name("latency_p99"), crowd.percentile_ms(99)?));
        figures.push(Figure {
            name: name("latency_p99_ratio"),
            value: crowd.percentile_ms(99)? / floor_ms,
            unit: "ratio",
            better: "lower",
            against: Some(against),
        });
        figures.push(milliseconds(&name("commit_p50"), commit_ms));
    }
    Ok(figures)
}

/// A broker that has just been started compiles its code for the first transactions.
fn warm_up(stack: &LocalStack) -> Result<()> {
    const PREFIX: &str = "live-warm-up";
    let mut worker = start(stack, PREFIX, &[])?;
    Crowd::publish_and_follow(stack, PREFIX, STREAMS, 5)?;
    worker.terminate()
}

pub(crate) fn start(stack: &LocalStack, prefix: &str, settings: &[(&'static str, String)]) -> Result<Worker> {
    kafka::create_topics(stack, prefix)?;
    let mut worker = Worker::new(stack, prefix, "decode,upscale,encode", "bench", settings)?;
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)?;
    Ok(worker)
}

fn milliseconds(name: &str, value: f64) -> Figure {
    Figure { name: name.to_owned(), value, unit: "ms", better: "lower", against: None }
}

/// The median over all segments, from the histogram that the process itself exports, as `histogram_quantile` takes it: evenly
/// spread within a bucket.
fn commit_p50_ms(metrics: &str) -> Result<f64> {
    let mut buckets: HashMap<String, f64> = HashMap::new();
    for line in
        metrics.lines().filter(|line| line.starts_with("treble_kafka_transaction_duration_seconds_bucket"))
    {
        let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).context("a bound")?;
        let count: f64 = line.rsplit(' ').next().context("a count")?.parse()?;
        *buckets.entry(bound.to_owned()).or_default() += count;
    }
    let half = *buckets.get("+Inf").context("no transaction was measured")? / 2.0;
    let finite = buckets.iter().filter_map(|(bound, count)| Some((bound.parse::<f64>().ok()?, *count)));
    let mut finite: Vec<(f64, f64)> = finite.filter(|(bound, _)| bound.is_finite()).collect();
    finite.sort_by(|left, right| left.0.total_cmp(&right.0));
    let mut below = (0.0, 0.0);
    for (bound, count) in finite {
        if count >= half {
            return Ok((below.0 + (bound - below.0) * (half - below.1) / (count - below.1)) * 1000.0);
        }
        below = (bound, count);
    }
    anyhow::bail!("the median is off the scale")
}

/// How far output is behind input where no Kafka is in between: chunks are pushed through the stages in turn, and what counts is
/// how many more must come before a chunk is out. The filters' look-ahead, and blocks of the converter and the codec.
fn held_back_ms() -> Result<f64> {
    let configs = Arc::new(StageConfigs::default());
    let mut stages = Vec::new();
    for entry in STAGES {
        stages.push((entry.build)(&configs, &Assets::default())?);
    }
    let clip = clips::chirp("live", RATE_HZ, 5);
    let (mut pushed, mut out_frames, mut behind) = (0_u64, 0, 0);
    for piece in clip.bytes.chunks(CHUNK_FRAMES * 2) {
        let format = EncodedFormat { pace: Pace::Live, ..EncodedFormat::default() };
        let data = bytes::Bytes::copy_from_slice(piece);
        let mut items = vec![AnyPayload::Encoded(EncodedChunk { format, data, ..EncodedChunk::default() })];
        for stage in &mut stages {
            let mut out = Outbox::default();
            for item in items {
                stage.push(item, &mut out)?;
            }
            items = out.items;
        }
        pushed += 1;
        for item in items {
            if let AnyPayload::Encoded(chunk) = item {
                out_frames += chunk.frames;
            }
        }
        behind = behind.max(pushed - out_frames / OUTPUT_CHUNK_FRAMES);
    }
    Ok(behind as f64 * CHUNK.as_secs_f64() * 1000.0)
}

/// Live streams in 100 ms chunks, and when each chunk was out.
pub(crate) struct Crowd {
    /// From publication to committed output, of every chunk.
    latencies: Vec<Duration>,
    /// When each record of the output came, from the beginning on.
    arrivals: Vec<Duration>,
    expected: usize,
}

impl Crowd {
    /// As [`publish_and_follow_while`](Self::publish_and_follow_while), and nothing happens meanwhile.
    pub(crate) fn publish_and_follow(
        stack: &LocalStack,
        prefix: &str,
        streams: usize,
        seconds: u32,
    ) -> Result<Self> {
        Self::publish_and_follow_while(stack, prefix, streams, seconds, || Ok(()))
    }

    /// Publishes `streams` live streams for `seconds` in real time while `torment` runs, and follows the output until all
    /// are over or nothing comes for 20 s.
    #[expect(clippy::disallowed_methods, reason = "a stopwatch: what is measured is this machine's time")]
    pub(crate) fn publish_and_follow_while(
        stack: &LocalStack,
        prefix: &str,
        streams: usize,
        seconds: u32,
        torment: impl FnOnce() -> Result<()> + Send,
    ) -> Result<Self> {
        let publisher = Publisher::new(stack, prefix)?;
        let consumer = follow(stack, prefix)?;
        let rounds = (seconds * 10) as usize;
        let began = Instant::now();
        let mut crowd = Self { latencies: Vec::new(), arrivals: Vec::new(), expected: streams * rounds };
        thread::scope(|scope| -> Result<()> {
            let publishing = scope.spawn(|| publish(&publisher, streams, rounds, began));
            let tormenting = scope.spawn(torment);
            crowd.follow(&consumer, streams, began)?;
            for thread in [publishing, tormenting] {
                thread.join().map_err(|_| anyhow::anyhow!("a thread of the benchmark panicked"))??;
            }
            Ok(())
        })?;
        Ok(crowd)
    }

    fn follow(&mut self, consumer: &BaseConsumer, streams: usize, began: Instant) -> Result<()> {
        let mut heard: HashMap<String, u64> = HashMap::new();
        let mut over = 0;
        while over < streams {
            let Some(message) = consumer.poll(SILENCE) else { break };
            let now = began.elapsed();
            let Ok(message) = message else { continue };
            self.arrivals.push(now);
            let value = bytes::Bytes::copy_from_slice(message.payload().context("no value")?);
            let chunk = AudioChunk::decode(frame::split(&value, Format::Protobuf)?.body)?;
            if let ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } = &chunk.body {
                let frames = heard.entry(chunk.stream_id.as_str().to_owned()).or_default();
                let before = *frames / OUTPUT_CHUNK_FRAMES;
                *frames += segment.n_samples;
                let whole = (before..*frames / OUTPUT_CHUNK_FRAMES).map(|index| due(index as usize));
                self.latencies.extend(whole.map(|published| now.saturating_sub(published)));
            } else {
                over += 1;
            }
        }
        Ok(())
    }

    /// The longest time between two records of the output.
    pub(crate) fn longest_pause(&self) -> Duration {
        let pauses = self.arrivals.windows(2).map(|pair| pair[1] - pair[0]);
        pauses.max().unwrap_or(SILENCE)
    }

    /// Which part of the chunks came out.
    pub(crate) fn delivered(&self) -> f64 {
        self.latencies.len() as f64 / self.expected as f64
    }

    pub(crate) fn percentile_ms(&mut self, percent: usize) -> Result<f64> {
        ensure!(!self.latencies.is_empty(), "nothing came out");
        self.latencies.sort_unstable();
        let at = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
        Ok(self.latencies[at].as_secs_f64() * 1000.0)
    }
}

/// When chunk `index` of every stream is published, from the beginning on.
fn due(index: usize) -> Duration {
    CHUNK * u32::try_from(index).unwrap_or(u32::MAX)
}

#[expect(clippy::disallowed_methods, reason = "real time is what a live producer lives in")]
fn publish(publisher: &Publisher, streams: usize, rounds: usize, began: Instant) -> Result<()> {
    let clip = clips::chirp("live", RATE_HZ, u32::try_from(rounds / 10)?);
    let mut queues = Vec::new();
    for number in 0..streams {
        let mut clip = clip.clone();
        clip.name = format!("live-{number}");
        // The header comes with the first chunk.
        let mut chunks = kafka::chunks(&clip, CHUNK_FRAMES * 2)?;
        if let Some(AudioChunk { body: ChunkBody::Start { format, .. }, .. }) = chunks.first_mut() {
            format.live = true;
        }
        queues.push(chunks.into_iter());
    }
    for round in 0..=rounds + 1 {
        if let Some(wait) = due(round).checked_sub(began.elapsed()) {
            thread::sleep(wait);
        }
        for queue in &mut queues {
            let count = if round == 0 { 2 } else { 1 };
            queue.take(count).try_for_each(|chunk| publisher.chunk(&chunk))?;
        }
    }
    queues.into_iter().flatten().try_for_each(|chunk| publisher.chunk(&chunk))?;
    publisher.flush()
}

fn follow(stack: &LocalStack, prefix: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", stack.bootstrap_servers())
        .set("group.id", "bench")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "5")
        .create()?;
    let topic = Topics::new(prefix)?.audio_out();
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS.cast_signed() {
        from.add_partition_offset(&topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&from)?;
    Ok(consumer)
}
