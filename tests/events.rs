//! What the stages tell on the topic of events: once for each commit, whoever is killed when, and sums that equal what was
//! delivered. On a real Kafka.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use treble_pipeline::schema_registry::{Registration, RegistryAccess, SchemaRegistry};
use treble_schemas::event::{Event, StageEvent, Status, StreamReport};
use treble_schemas::frame::{self, Format};
use treble_schemas::{AudioChunk, ChunkBody, Contract, Topics};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::kafka::{self, Committed, PATIENCE, Publisher};
use treble_test_support::process::Worker;
use treble_test_support::verdict;

const STAGES: [&str; 3] = ["decode", "upscale", "encode"];

/// Everything on the topic of events, by the schema that each record names.
struct Told {
    events: Vec<StageEvent>,
    reports: Vec<StreamReport>,
}

fn told(prefix: &str, reports: usize) -> Result<Told> {
    let stack = LocalStack::shared()?;
    let topics = Topics::new(prefix)?;
    let registry = SchemaRegistry::new(&RegistryAccess::anonymous(stack.schema_registry_url()), PATIENCE)?;
    let ids = registry.contract_ids(&topics, &STAGES, Registration::Require)?;
    let report = ids.of(Contract::StreamReport, &topics.events())?;
    let event = ids.of(Contract::StageEvent, &topics.events())?;
    ensure!(report != event, "two schemas, two ids");
    let id_of = |record: &Committed| {
        let value = record.value.as_ref().context("a null value")?;
        Ok::<u32, anyhow::Error>(frame::split(value, Format::Avro)?.schema_id)
    };
    let records = kafka::read_committed(stack, &topics.events(), |records| {
        records.iter().filter(|record| id_of(record).is_ok_and(|id| id == report)).count() >= reports
    })?;
    let mut told = Told { events: Vec::new(), reports: Vec::new() };
    for record in &records {
        let id = id_of(record)?;
        let body = frame::split(record.value.as_ref().context("a null value")?, Format::Avro)?.body;
        if id == report {
            told.reports.push(StreamReport::decode(&body)?);
        } else {
            ensure!(id == event, "schema {id} is neither");
            told.events.push(StageEvent::decode(&body)?);
        }
        let key = String::from_utf8(record.key.clone())?;
        let of = told.events.last().map(|event| &event.stream_id);
        ensure!(id == report || of == Some(&key), "the key is the stream");
    }
    Ok(told)
}

/// What a topic carries of each stream: frames, chunks and payload bytes.
fn carried(topic: &str, streams: usize) -> Result<BTreeMap<String, (u64, u64, u64)>> {
    let mut over = BTreeSet::new();
    let mut seen = 0;
    let chunk = |record: &Committed| {
        let value = record.value.as_ref().and_then(|value| frame::split(value, Format::Protobuf).ok())?;
        AudioChunk::decode(value.body).ok()
    };
    let records = kafka::read_committed(LocalStack::shared()?, topic, |records| {
        for chunk in records[seen..].iter().filter_map(chunk) {
            if matches!(chunk.body, ChunkBody::End(_) | ChunkBody::Abort(_)) {
                over.insert(chunk.stream_id.as_str().to_owned());
            }
        }
        seen = records.len();
        over.len() >= streams
    })?;
    let mut sums: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for chunk in records.iter().filter_map(chunk) {
        let sum = sums.entry(chunk.stream_id.as_str().to_owned()).or_default();
        sum.1 += 1;
        if let ChunkBody::Start { segment, .. } | ChunkBody::Data { segment, .. } = &chunk.body {
            sum.0 += segment.n_samples;
            sum.2 += segment.data.len() as u64;
        }
    }
    Ok(sums)
}

/// Events of one stage: no commit is told twice, and the sums are those of the topic that the stage writes.
fn check_stage(
    stage: &str,
    events: &[StageEvent],
    carried: &BTreeMap<String, (u64, u64, u64)>,
) -> Result<()> {
    for (stream, (frames, chunks, bytes)) in carried {
        let of: Vec<&StageEvent> =
            events.iter().filter(|event| event.stage == stage && event.stream_id == *stream).collect();
        let mut ranges: Vec<_> =
            of.iter().map(|event| (event.source_offset_first, event.source_offset_last)).collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            // A clip, one record, may take several commits; whether one of them is told twice, the sums below tell.
            let parts_of_a_clip = pair[0] == pair[1] && pair[0].0 == pair[0].1;
            ensure!(
                pair[0].1 < pair[1].0 || parts_of_a_clip,
                "{stage} of {stream} tells of {:?} twice: {ranges:?}",
                pair[1]
            );
        }
        let ends = of.iter().filter(|event| event.status != Status::Running).count();
        ensure!(ends == 1, "{stage} of {stream} ended {ends} times");
        let told: i64 = of.iter().map(|event| event.chunks_out).sum();
        ensure!(told == chunks.cast_signed(), "{stage} of {stream}: {told} chunks told, {chunks} carried");
        let told: i64 = of.iter().map(|event| event.bytes_out).sum();
        ensure!(told == bytes.cast_signed(), "{stage} of {stream}: {told} bytes told, {bytes} carried");
        let told: f64 =
            of.iter().map(|event| event.audio_seconds * f64::from(event.rate_out_hz.unwrap_or(0))).sum();
        ensure!(
            (told - *frames as f64).abs() < 0.5,
            "{stage} of {stream}: {told} frames told, {frames} carried"
        );
    }
    Ok(())
}

fn check_report(report: &StreamReport, frames: u64, is_bad: bool) -> Result<()> {
    if is_bad {
        ensure!(report.status == Status::Aborted && report.error_type.is_some(), "{report:?}");
        return Ok(());
    }
    ensure!(report.status == Status::Finished && report.error_type.is_none(), "{report:?}");
    let rate = report.rate_out_hz.context("a rate")?;
    ensure!((report.duration_seconds * f64::from(rate) - frames as f64).abs() < 0.5, "{report:?}");
    ensure!(report.codec_out.as_deref() == Some("flac") && report.codec_in.is_some(), "{report:?}");
    ensure!(report.bytes_in > 0 && report.bytes_out > 0 && report.rate_in_hz.is_some(), "{report:?}");
    let silence = report.silence_seconds.context("encode was not killed: it heard all of it")?;
    if report.stream_id.starts_with("silence") {
        ensure!(report.loudness_lufs.is_none() && report.true_peak_dbtp.is_none(), "{report:?}");
        ensure!(silence == report.duration_seconds, "{report:?}");
    }
    // The standard's gate looks at 400 ms at a time.
    if report.duration_seconds - silence < 0.5 {
        return Ok(());
    }
    let heard = || format!("no loudness: {report:?}");
    let loudness = report.loudness_lufs.with_context(heard)?;
    ensure!((-70.0..0.0).contains(&loudness), "{report:?}");
    ensure!(report.true_peak_dbtp.is_some_and(|peak| peak > loudness), "{report:?}");
    Ok(())
}

#[test]
fn each_commit_is_told_once_and_sums_equal_what_was_delivered_whoever_is_killed() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "told");
    kafka::create_topics(stack, prefix)?;
    let mut workers = STAGES.map(|stage| Worker::new(stack, prefix, stage, "only", &[]));
    for worker in &mut workers {
        worker.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?.start()?;
    }
    let [decode, upscale, encode] = workers;
    let (mut decode, mut upscale, mut encode) = (decode?, upscale?, encode?);
    let publisher = Publisher::new(stack, prefix)?;
    let mut all = clips::every_format()?;
    all.push(clips::chirp("long", 16_000, 60));
    all.push(Clip { name: "bad".to_owned(), media_type: "audio/flac", bytes: b"no audio ".repeat(400) });
    let (first, second) = all.split_at(all.len() / 2);
    let publish = |clips: &[Clip]| -> Result<()> {
        for (index, clip) in clips.iter().enumerate() {
            if index % 3 == 0 { publisher.clip(clip)? } else { publisher.chunks(clip, 5_000)? }
        }
        publisher.flush()
    };
    publish(first)?;
    carried(&Topics::new(prefix)?.audio_out(), 2)?;
    decode.kill()?;
    decode.start()?;
    publish(second)?;
    carried(&Topics::new(prefix)?.audio_out(), 6)?;
    upscale.kill()?;
    upscale.start()?;
    let streams = verdict::delivered(stack, prefix, all.len())?;
    ensure!(streams.len() == all.len());

    let Told { events, reports } = told(prefix, all.len())?;
    let topics = Topics::new(prefix)?;
    let outputs = [topics.audio_pcm(), topics.audio_hires(), topics.audio_out()];
    for (stage, topic) in STAGES.iter().zip(&outputs) {
        check_stage(stage, &events, &carried(topic, all.len())?)?;
    }
    let named: BTreeSet<&str> = reports.iter().map(|report| report.stream_id.as_str()).collect();
    ensure!(named.len() == reports.len() && reports.len() == all.len(), "one report a stream");
    for report in &reports {
        let frames = streams.get(&report.stream_id).context("a stream")?.frames;
        check_report(report, frames, report.stream_id == "bad")?;
    }
    decode.terminate()?;
    upscale.terminate()?;
    encode.terminate()
}
