//! What watching costs: a compute thread with all that the runner attaches to it, and one that nobody watches.
//!
//! Run by `make bench`. Both feed the same small chunks through the three stages, fused, from memory to memory: the smaller
//! the chunk, the more often something is counted for the same sound. Clocks are real, since reading them is part of the cost.

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;
use treble_bench_support::{Figure, race, report, timed};
use treble_pipeline::clock::SystemClock;
use treble_pipeline::memory::MemorySchemas;
use treble_pipeline::ports::{Clock, InRecord};
use treble_pipeline::runtime::blueprint::{Blueprint, Decorate};
use treble_pipeline::runtime::compute::{Command, Compute, ComputeSetup, Observer, Reply};
use treble_pipeline::runtime::partition::PartitionLimits;
use treble_pipeline::runtime::records::RecordWriter;
use treble_pipeline::stages::StageConfigs;
use treble_pipeline::telemetry::labels::Mode;
use treble_pipeline::telemetry::metrics::Metrics;
use treble_pipeline::telemetry::observe::{ComputeObserver, SegmentTelemetry};
use treble_pipeline::telemetry::segment::Identity;
use treble_pipeline::telemetry::timed::TimedStages;
use treble_pipeline::topology::{self, Segment, Topology};
use treble_schemas::frame::{self, Format};
use treble_test_support::observer::Silent;
use treble_test_support::{clips, kafka};

const STREAMS: usize = 8;
const SECONDS: u32 = 20;
const RATE_HZ: u32 = 16_000;
/// 100 ms of one channel at 16 bits, as live producers cut.
const CHUNK_BYTES: usize = RATE_HZ as usize / 10 * 2;
/// Records of one poll, and of one transaction.
const POLLED: usize = 16;
const COMMITTED: usize = 160;

fn main() -> Result<()> {
    let records = records()?;
    let watched = || {
        let (observer, stages) = watchers()?;
        run(&records, observer, Some(stages))
    };
    let alone = || run(&records, Silent, None);
    // For `benches/instructions`, which counts what one of them does instead of timing it.
    match std::env::args().skip_while(|word| word != "--only").nth(1).as_deref() {
        None => {}
        Some("watched") => return watched().map(drop),
        Some("alone") => return alone().map(drop),
        Some("neither") => return Ok(()),
        Some(other) => bail!("--only watched, alone or neither, not {other}"),
    }
    let [watched, alone] = race([&watched, &alone])?;
    report(&[
        Figure::speed("watched_speed", f64::from(SECONDS) * STREAMS as f64, watched),
        Figure::ratio("watched_efficiency", watched, alone, "the same with nobody watching"),
    ])
}

/// What the runner attaches to a compute thread.
fn watchers() -> Result<(ComputeObserver, Arc<dyn Decorate>)> {
    let segment = segment()?;
    let identity = Identity {
        name: segment.name(),
        group: segment.group,
        input_topic: segment.input_topic,
        output_topics: vec![segment.output_topic, segment.state_topic],
        ends_pipeline: true,
    };
    let (metrics, clock): (_, Arc<dyn Clock>) = (Metrics::new()?, Arc::new(SystemClock::new()));
    let stages = Arc::new(TimedStages::new(metrics.clone(), Arc::clone(&clock), ("upscale", Mode::Baseline)));
    let telemetry = SegmentTelemetry::new(&identity, &metrics, clock, usize::MAX);
    Ok((ComputeObserver::new(Arc::new(telemetry)), stages))
}

fn segment() -> Result<Segment> {
    let names = ["decode", "upscale", "encode"].map(str::to_owned);
    Ok(topology::segments(&names, Topology::Fused, "bench")?.remove(0))
}

/// Streams that take turns, chunk by chunk.
fn records() -> Result<Vec<InRecord>> {
    let topic: Arc<str> = segment()?.input_topic.into();
    let stream =
        |number: usize| kafka::chunks(&clips::chirp(&format!("s{number}"), RATE_HZ, SECONDS), CHUNK_BYTES);
    let mut streams =
        (0..STREAMS).map(|number| Ok(stream(number)?.into_iter())).collect::<Result<Vec<_>>>()?;
    let mut records = Vec::new();
    loop {
        let before = records.len();
        for chunk in streams.iter_mut().filter_map(Iterator::next) {
            let mut value = Vec::new();
            frame::write_header(&mut value, MemorySchemas::CHUNK, Format::Protobuf);
            chunk.encode(&mut value);
            records.push(InRecord {
                topic: Arc::clone(&topic),
                partition: 0,
                offset: i64::try_from(records.len())?,
                timestamp_ms: 1,
                key: Some(Bytes::copy_from_slice(chunk.stream_id.as_str().as_bytes())),
                value: Some(value.into()),
                headers: Vec::new(),
            });
        }
        if records.len() == before {
            return Ok(records);
        }
    }
}

/// Feeds all records through one compute thread, and cuts epochs as a worker does; how long it took.
fn run<O: Observer>(
    records: &[InRecord],
    observer: O,
    decorate: Option<Arc<dyn Decorate>>,
) -> Result<Duration> {
    let (reply, replies) = sync_channel(4096);
    let mut compute = Compute::new(setup(observer, decorate)?, reply);
    compute.turn(Some(Command::Open {
        partition: 0,
        tenure: 1,
        live_from: 0,
        from: 0,
        streams: Vec::new(),
    }))?;
    let records = records.to_vec();
    timed(|| {
        let mut written = 0;
        for committed in records.chunks(COMMITTED) {
            for polled in committed.chunks(POLLED) {
                let command = Command::Records { records: polled.to_vec(), polled_at: Duration::ZERO };
                compute.turn(Some(command))?;
                finish(&mut compute, &replies, polled)?;
            }
            written += freeze(&mut compute, &replies)?;
        }
        ensure!(written > STREAMS, "{written} records were written");
        Ok(())
    })
}

fn setup<O: Observer>(
    observer: O,
    decorate: Option<Arc<dyn Decorate>>,
) -> Result<ComputeSetup<MemorySchemas, O>> {
    let (segment, clock) = (segment()?, Arc::new(SystemClock::new()));
    let (configs, assets) = (StageConfigs::default().into(), treble_core::Assets::default());
    Ok(ComputeSetup {
        blueprint: Blueprint { stages: segment.stages.clone(), configs, assets, decorate },
        writer: RecordWriter::new(segment, "bench.dlq".to_owned(), MemorySchemas::CHUNK, 2, clock.clone()),
        limits: PartitionLimits {
            max_epoch_bytes: 16 << 20,
            max_windows: 64,
            gap_timeout: Duration::from_secs(3_600),
            idle_timeout: Duration::from_secs(3_600),
        },
        schemas: MemorySchemas,
        observer,
        clock,
    })
}

/// Lets the thread work until all of `polled` is processed.
fn finish<O: Observer>(
    compute: &mut Compute<MemorySchemas, O>,
    replies: &Receiver<Reply>,
    polled: &[InRecord],
) -> Result<()> {
    let mut left: u64 = polled.iter().map(InRecord::size_bytes).sum();
    while left > 0 {
        for reply in replies.try_iter() {
            match reply {
                Reply::Processed { bytes } => left -= bytes,
                Reply::Halted(halt) => bail!("{halt}"),
                Reply::Frozen { .. } | Reply::Dirty => {}
            }
        }
        compute.turn(None)?;
    }
    Ok(())
}

/// Cuts the epoch; how many records it holds.
fn freeze<O: Observer>(compute: &mut Compute<MemorySchemas, O>, replies: &Receiver<Reply>) -> Result<usize> {
    compute.turn(Some(Command::Freeze { epoch: 1 }))?;
    for reply in replies.try_iter() {
        if let Reply::Frozen { parts, .. } = reply {
            return Ok(black_box(parts).iter().map(|(_, part)| part.records.len()).sum());
        }
    }
    bail!("no epoch")
}
