//! Bad input on a real Kafka: each row of the table in `docs/bad-input.md`. The stated error, one dead letter that keeps the
//! original with its headers, and streams beside it that never notice.

#[path = "bad_input/audio.rs"]
mod audio;
#[path = "bad_input/cases.rs"]
mod cases;

use anyhow::{Context, Result, ensure};
use cases::{Case, Fate};
use std::collections::BTreeMap;
use treble_schemas::{StreamId, Topics, dead_letter};
use treble_test_support::broker::LocalStack;
use treble_test_support::kafka::{self, Committed, Publisher};
use treble_test_support::process::{self, Worker};
use treble_test_support::running::Running;
use treble_test_support::{clips, configuration, verdict};

/// Patience and ceilings low enough to be met.
fn settings(stack: &LocalStack, prefix: &str) -> Vec<(&'static str, String)> {
    let mut settings = configuration::settings(stack, prefix);
    let low = [
        ("flow.gap_timeout_ms", "3000"),
        ("flow.idle_timeout_ms", "20000"),
        ("decode.limits.channels", "8"),
        ("decode.limits.sample_rate_hz", "192000"),
        ("decode.limits.expansion_ratio", "20"),
    ];
    settings.extend(low.map(|(key, value)| (key, value.to_owned())));
    settings
}

#[test]
fn every_bad_input_costs_its_own_stream_only_and_is_told_truly() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "badinput");
    kafka::create_topics(stack, prefix)?;
    let config = configuration::config(&settings(stack, prefix))?;
    let publisher = Publisher::new(stack, prefix)?;
    let mut good = clips::every_format()?;
    // Silence that unpacks to 63 times its size: here it is the bomb.
    good.retain(|clip| clip.name != cases::BOMB);
    let cases = cases::all()?;
    // In turn, so that good and bad share partitions and epochs.
    for (index, clip) in good.iter().enumerate() {
        publisher.chunks(clip, 3_000)?;
        cases.iter().skip(index).step_by(good.len()).try_for_each(|case| case.publish(&publisher))?;
    }
    publisher.flush()?;
    let running = Running::start(config.clone());
    let streams = verdict::delivered(stack, prefix, good.len() + cases.iter().filter(has_output).count())?;
    let letters = dead_letters(stack, prefix, cases.iter().map(Case::letters).sum())?;
    running.stop()?;
    let identical = verdict::identical(&config, &good, &streams)?;
    let fault = |case: &Case| {
        let fault = judge(case, &config, &streams, &letters).err()?;
        Some(format!("{}: {fault}", case.name))
    };
    let faults: Vec<String> = cases.iter().filter_map(fault).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    println!("good={identical} identical={identical} bad={} dead_letters={}", cases.len(), letters.len());
    Ok(())
}

fn has_output(case: &&Case) -> bool {
    !matches!(case.fate, Fate::Refused(_))
}

fn dead_letters(stack: &LocalStack, prefix: &str, count: usize) -> Result<Vec<Committed>> {
    let letters =
        kafka::read_committed(stack, &Topics::new(prefix)?.dlq(), |records| records.len() >= count)?;
    ensure!(letters.len() == count, "{} dead letters, {count} expected", letters.len());
    Ok(letters)
}

fn judge(
    case: &Case,
    config: &treble_pipeline::config::Config,
    streams: &BTreeMap<String, verdict::Delivered>,
    letters: &[Committed],
) -> Result<()> {
    let named = |letter: &&Committed| header(letter, cases::CASE) == Some(&case.name);
    let own: Vec<&Committed> = letters.iter().filter(named).collect();
    ensure!(own.len() == case.letters(), "{} dead letters: {own:?}", own.len());
    let out = streams.get(&case.name);
    match &case.fate {
        Fate::Plays => {
            let clip = case.clip().context("only clips play")?;
            let expected = verdict::offline(config, clip)?.map_err(anyhow::Error::msg)?;
            let out = out.context("nothing came out")?;
            ensure!(out.ended && out.bytes == expected, "given up: {:?}", out.aborted);
        }
        Fate::Expired(code) => given_up(out, code)?,
        Fate::Aborted(code) => {
            given_up(out, code)?;
            told(own[0], code)?;
            ensure!(case.is_original(own[0]), "the dead letter is not the original: {:?}", own[0]);
        }
        Fate::Refused(code) => {
            ensure!(out.is_none(), "a record without a stream has output");
            told(own[0], code)?;
            ensure!(case.is_original(own[0]), "the dead letter is not the original: {:?}", own[0]);
        }
    }
    Ok(())
}

fn given_up(out: Option<&verdict::Delivered>, code: &str) -> Result<()> {
    let reason = out.and_then(|out| out.aborted.as_ref()).context("it was not given up")?;
    ensure!(reason.code == code, "{reason:?} instead of {code}");
    Ok(())
}

/// What a dead letter says of itself.
fn told(letter: &Committed, code: &str) -> Result<()> {
    let found = header(letter, dead_letter::ERROR_CODE).map(String::as_str);
    ensure!(found == Some(code), "{found:?} instead of {code}: {letter:?}");
    let message = header(letter, dead_letter::ERROR_MESSAGE).context("no message")?;
    ensure!(message.len() > 10 && message.len() <= dead_letter::MAX_MESSAGE_BYTES, "message: {message:?}");
    for name in [dead_letter::SOURCE_TOPIC, dead_letter::SOURCE_PARTITION, dead_letter::SOURCE_OFFSET] {
        ensure!(header(letter, name).is_some(), "no header {name}");
    }
    Ok(())
}

fn header<'a>(letter: &'a Committed, name: &str) -> Option<&'a String> {
    letter.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value)
}

/// A ceiling that was set too low, mended: `treble dlq replay` brings back the whole of a stream in chunks, and of a clip.
#[test]
fn what_was_refused_comes_whole_once_the_cause_is_mended_and_it_is_replayed() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "replayed");
    kafka::create_topics(stack, prefix)?;
    let publisher = Publisher::new(stack, prefix)?;
    let wide = [clips::chirp("in-chunks", 44_100, 3), clips::chirp("in-one", 44_100, 3)];
    publisher.chunks(&wide[0], 20_000)?;
    publisher.clip(&wide[1])?;
    publisher.flush()?;

    let low = vec![("decode.limits.sample_rate_hz", "32000".to_owned())];
    let stages = "decode,upscale,encode";
    let mut strict = Worker::new(stack, prefix, stages, "w1", &low)?;
    strict.start()?;
    let refused = verdict::delivered(stack, prefix, wide.len())?;
    ensure!(refused.values().all(|stream| stream.aborted.is_some()), "{refused:?}");
    strict.terminate()?;

    let mut mended = Worker::new(stack, prefix, stages, "w1", &[])?;
    mended.start()?;
    let mut replay = std::process::Command::new(process::binary()?);
    replay.args(["dlq", "replay", "--all", "--yes"]).envs(process::environment(stack, prefix));
    let replayed = replay.output()?;
    ensure!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stderr));

    let records = verdict::output(stack, prefix, 2 * wide.len())?;
    mended.terminate()?;
    let config = configuration::config(&configuration::settings(stack, prefix))?;
    let second = verdict::assemble_latest(&records)?;
    ensure!(verdict::identical(&config, &wide, &second)? == wide.len(), "not all came back");
    Ok(())
}

/// Streams that begin and never go on cost a bounded amount of memory, and are given up after the idle time-out.
#[test]
fn ten_thousand_streams_that_never_end_are_bounded_and_given_up() -> Result<()> {
    const STREAMS: usize = 10_000;
    let (stack, prefix) = (LocalStack::shared()?, "endless");
    kafka::create_topics(stack, prefix)?;
    let publisher = Publisher::new(stack, prefix)?;
    let low = [("flow.idle_timeout_ms", "5000"), ("flow.dead_letters_per_minute", "1000000")];
    let low = low.map(|(key, value)| (key, value.to_owned()));
    let mut worker = Worker::new(stack, prefix, "decode,upscale,encode", "w1", &low)?;
    worker.start()?;
    worker.await_ready(kafka::PATIENCE)?;
    let before = worker.resident_bytes()?;
    for number in 0..STREAMS {
        let clip = clips::Clip { name: format!("endless-{number}"), ..audio::wav_header_and(200) };
        kafka::chunks(&clip, 10_000)?.iter().take(2).try_for_each(|chunk| publisher.chunk(chunk))?;
    }
    let good = clips::chirp("good", 16_000, 1);
    publisher.clip(&good)?;
    publisher.flush()?;
    let streams = verdict::delivered(stack, prefix, STREAMS + 1)?;
    let grown = worker.peak_resident_bytes()?.saturating_sub(before);
    worker.terminate()?;
    let idle = |stream: &verdict::Delivered| stream.aborted.as_ref().is_some_and(|why| why.code == "idle");
    ensure!(streams.values().filter(|stream| idle(stream)).count() == STREAMS, "not all were given up");
    ensure!(streams["good"].ended, "a good stream noticed");
    println!("streams={STREAMS} bytes_per_stream={}", grown / STREAMS as u64);
    ensure!(grown / STREAMS as u64 <= 256 * 1024, "{grown} bytes for {STREAMS} streams");
    let open = StreamId::new("endless-1")?;
    ensure!(verdict::has_no_state(stack, prefix, &open)?, "state outlives its stream");
    Ok(())
}
