//! The log of real processes: each line as the schema says, and no secret in it; lines in the lake, each once.

#[path = "logs/archive.rs"]
mod archive;

use anyhow::{Context, Result, ensure};
use archive::{Archive, Questions};
use serde_json::{Map, Value};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use treble_pipeline::clock::{SystemClock, rfc3339};
use treble_pipeline::ports::Clock;
use treble_test_support::broker::LocalStack;
use treble_test_support::clips::{self, Clip};
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::{self, Worker, environment};
use treble_test_support::verdict;

/// `monitoring/logs/schema.json`, as far as it goes: names, types, sets, what must be there. A keyword that is not understood here is refused.
struct Schema {
    properties: Map<String, Value>,
    required: Vec<String>,
}

impl Schema {
    fn read() -> Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/logs/schema.json");
        let schema: Value = serde_json::from_str(&fs::read_to_string(path)?)?;
        ensure!(schema["additionalProperties"] == false, "the schema is open");
        let required = schema["required"].as_array().context("required")?.iter();
        Ok(Self {
            properties: schema["properties"].as_object().context("properties")?.clone(),
            required: required.filter_map(|name| name.as_str().map(str::to_owned)).collect(),
        })
    }

    fn check(&self, line: &str) -> Result<Value> {
        let parsed: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        let fields = parsed.as_object().context("no object")?;
        for name in &self.required {
            ensure!(fields.contains_key(name), "{name} is missing: {line}");
        }
        for (name, value) in fields {
            let rule = self.properties.get(name).with_context(|| format!("unknown field {name}: {line}"))?;
            ensure!(fits(rule, value), "{name} is {value}, not {rule}: {line}");
        }
        Ok(parsed)
    }
}

fn fits(rule: &Value, value: &Value) -> bool {
    let known = ["type", "enum", "format", "pattern", "description", "additionalProperties"];
    assert!(
        rule.as_object().is_some_and(|rule| rule.keys().all(|key| known.contains(&key.as_str()))),
        "{rule}"
    );
    if let Some(values) = rule["enum"].as_array() {
        return values.contains(value);
    }
    match (rule["type"].as_str(), value) {
        (Some("string"), Value::String(text)) => rule["format"] != "date-time" || is_time(text),
        (Some("integer"), Value::Number(number)) => number.is_i64(),
        (Some("number"), Value::Number(_)) => true,
        (Some("object"), Value::Object(inner)) => inner.values().all(Value::is_string),
        _ => false,
    }
}

fn is_time(text: &str) -> bool {
    let form = "dddd-dd-ddTdd:dd:dd.ddddddZ";
    text.len() == form.len()
        && form
            .chars()
            .zip(text.chars())
            .all(|(form, char)| if form == 'd' { char.is_ascii_digit() } else { form == char })
}

fn lines(path: &Path, schema: &Schema) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    text.lines().map(|line| schema.check(line)).collect()
}

/// Streams that end, one that is given up, and many that say the same: the log tells all of it, and the metrics count it.
#[test]
fn each_line_of_a_real_run_is_as_the_schema_says_and_counted() -> Result<()> {
    let (stack, prefix, schema) = (LocalStack::shared()?, "logged", Schema::read()?);
    kafka::create_topics(stack, prefix)?;
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("logs/treble.log");
    let settings = [
        ("log.format", "json".to_owned()),
        ("log.file", log.display().to_string()),
        ("log.level", "debug".to_owned()),
        ("log.repeats", "5".to_owned()),
        ("flow.dead_letters_per_minute", "1000000".to_owned()),
    ];
    let mut worker = Worker::new(stack, prefix, "decode,upscale,encode", "only", &settings)?;
    worker.start()?;
    worker.await_ready(PATIENCE)?;
    let publisher = Publisher::new(stack, prefix)?;
    publisher.clip(&clips::chirp("whole", 16_000, 2))?;
    for number in 0..100 {
        let bytes = format!("no audio {number} ").repeat(40).into_bytes();
        publisher.clip(&Clip { name: format!("bad-{number}"), media_type: "audio/flac", bytes })?;
    }
    publisher.flush()?;
    verdict::delivered(stack, prefix, 101)?;
    let metrics = Exposition::read(&worker.metrics().context("the worker does not answer")?)?;
    worker.terminate()?;

    let lines = lines(&log, &schema)?;
    let of = |event: &str| lines.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    ensure!(of("started").len() == 1, "the log begins once");
    let ended = of("stream_ended");
    ensure!(
        ended.iter().any(|line| line["stage"] == "encode" && line["duration_seconds"].is_number()),
        "{ended:?}"
    );
    let letters = of("dead_letter");
    ensure!(!letters.is_empty() && letters.len() < 100, "{} lines of dead letters", letters.len());
    ensure!(
        letters.iter().all(|line| line["error_category"] == "input" && line["record_partition"].is_i64())
    );
    let silenced = of("lines_suppressed").iter().filter_map(|line| line["suppressed"].as_u64()).sum::<u64>();
    let suppressed = metrics.sum("treble_log_lines_suppressed_total", &[]);
    ensure!(
        suppressed > 0.0 && silenced as f64 >= suppressed,
        "{silenced} are told, {suppressed} were counted"
    );
    let counted = metrics.sum("treble_log_lines_total", &[]);
    ensure!(counted > 0.0 && counted <= lines.len() as f64, "{counted} counted, {} written", lines.len());
    ensure!(metrics.sum("treble_log_lines_dropped_total", &[]) == 0.0, "lines were dropped");
    ensure!(lines.iter().all(|line| line["component"] == "pipeline"
        && line["pipeline"] == prefix
        && line["instance"] == "only"));
    Ok(())
}

/// Secrets as they come to a process, each of which a log, an error or `config show` could tell.
const SECRETS: [&str; 4] = ["Kafka-hunter2-pw", "Registry-hunter3-pw", "Url-hunter4-pw", "Jaas-hunter5-pw"];

#[test]
fn no_planted_secret_is_logged_told_or_shown() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let password = folder.path().join("password");
    fs::write(&password, SECRETS[0])?;
    let settings = [
        ("TREBLE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1".to_owned()),
        ("TREBLE_KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT".to_owned()),
        ("TREBLE_KAFKA_SASL_MECHANISM", "PLAIN".to_owned()),
        ("TREBLE_KAFKA_SASL_USERNAME", "ada".to_owned()),
        ("TREBLE_KAFKA_SASL_PASSWORD_FILE", password.display().to_string()),
        ("TREBLE_REGISTRY_USERNAME", "ada".to_owned()),
        ("TREBLE_REGISTRY_PASSWORD", SECRETS[1].to_owned()),
        ("TREBLE_LOG_LEVEL", "trace".to_owned()),
        ("TREBLE_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
    ];
    let url = format!("http://ada:{}@127.0.0.1:1", SECRETS[2]);
    let verbs: [&[&str]; 6] = [
        &["config", "show", "--origin"],
        &["--output", "json", "config", "show"],
        &["run"],
        &["lag"],
        &["validate", "--set", &format!("registry.url={url}")],
        &["run", "-X", &format!("sasl.jaas.config=password=\"{}\";", SECRETS[3])],
    ];
    for verb in verbs {
        for format in ["json", "text"] {
            let mut command = Command::new(process::binary()?);
            command.current_dir(folder.path()).env("TREBLE_LOG_FORMAT", format);
            command.envs(settings.iter().map(|(key, value)| (key, value))).args(verb);
            let said = command.output()?;
            let text = String::from_utf8_lossy(&said.stdout) + String::from_utf8_lossy(&said.stderr);
            ensure!(!text.is_empty(), "{verb:?} says nothing");
            for secret in SECRETS {
                ensure!(!text.contains(secret), "{verb:?} tells a secret:\n{text}");
            }
        }
    }
    Ok(())
}

/// A file that cannot be written is told of before anything begins.
#[test]
fn a_log_that_cannot_be_written_is_told_of_at_once() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "unwritable");
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("logs"), "a file")?;
    let mut command = Command::new(process::binary()?);
    command.current_dir(folder.path()).envs(environment(stack, prefix)).args([
        "run",
        "--set",
        "log.file=logs/treble.log",
    ]);
    let said = command.output()?;
    let text = String::from_utf8_lossy(&said.stderr);
    ensure!(
        said.status.code() == Some(73) && text.contains("log.file: cannot open"),
        "{:?}: {text}",
        said.status
    );
    Ok(())
}

/// Lines become rows once each, whatever they hold and however often the process that stores them is killed.
#[test]
fn lines_are_stored_once_each_and_what_is_no_line_is_kept() -> Result<()> {
    let archive = Archive::new("archived")?;
    let mut analyse = archive.analyse()?;
    let now_us = SystemClock::new().unix_us();
    for round in 0..6 {
        analyse.start()?;
        for number in 0..500 {
            let time = rfc3339(now_us);
            let line = format!(
                r#"{{"time":"{time}","level":"INFO","message":"line {round}.{number}","event":"started"}}"#
            );
            archive.publish(line.as_bytes(), now_us)?;
        }
        archive.publish(format!("no line {round}").as_bytes(), now_us)?;
        archive.flush()?;
        if round < 5 {
            // From the middle of its start to the middle of any commit.
            std::thread::park_timeout(Duration::from_millis(700 + 350 * round));
            analyse.kill()?;
        }
    }
    analyse.await_ready(PATIENCE)?;
    ensure!(archive.await_stored()? == 6 * 501);
    let rows =
        archive.ask(&["-c", "SELECT count(DISTINCT message) AS lines, count(raw) AS raw FROM logs"])?;
    ensure!(rows[0]["lines"] == 3_000 && rows[0]["raw"] == 6, "{rows:?}");
    ensure!(archive.ask(&["-c", "SELECT 1 FROM unreadable"])?.is_empty(), "the topic of events is another");

    let canary_us = now_us - 7_000_000;
    let canary = format!(r#"{{"time":"{}","event":"log_canary"}}"#, rfc3339(canary_us));
    let newest = |analyse: &Worker| -> Result<f64> {
        let metrics = Exposition::read(&analyse.metrics().context("the worker does not answer")?)?;
        metrics.value("treble_log_canary_stored_timestamp_seconds", &[]).context("nobody waits for canaries")
    };
    ensure!(newest(&analyse)? >= now_us as f64 / 1e6, "nothing is missed before somebody looks");
    let later = format!(r#"{{"time":"{}","event":"log_canary"}}"#, rfc3339(now_us + 3_600_000_000));
    archive.publish(canary.as_bytes(), now_us)?;
    archive.publish(later.as_bytes(), now_us)?;
    archive.flush()?;
    archive.await_stored()?;
    let clock = SystemClock::new();
    while (newest(&analyse)? - (now_us as f64 / 1e6 + 3_600.0)).abs() > 1e-3 {
        ensure!(clock.now() < PATIENCE, "the newest canary is at {}", newest(&analyse)?);
    }
    analyse.terminate()
}

/// The questions of `monitoring/logs/sql` are asked of the table that they are for; only those who have the role read it.
#[test]
fn every_question_about_lines_is_answered_from_the_lake_for_those_who_may_ask() -> Result<()> {
    let archive = Archive::new("asked")?;
    let questions = Questions::read(SystemClock::new().unix_us())?;
    let mut analyse = archive.analyse()?;
    analyse.start()?;
    let samples = questions.samples()?;
    for (line, published_us) in &samples {
        archive.publish(line.as_bytes(), *published_us)?;
    }
    archive.flush()?;
    analyse.await_ready(PATIENCE)?;
    ensure!(archive.await_stored()? == samples.len() as u64);
    for (name, file, expected) in questions.all()? {
        let asked = ["--file", &file.display().to_string()];
        let (found, columns) = (archive.ask(&asked)?, archive.columns(&asked)?);
        questions.compare(&found, &columns, expected).with_context(|| name)?;
    }
    let doors = archive.doors("ada 1815 logs\ngrace 1906\n")?;
    doors.await_ready()?;
    let count = "SELECT count(*) AS n FROM logs";
    let (status, body) = doors.ask("1815", count)?;
    ensure!(status == 200 && body.contains(&samples.len().to_string()), "{status} {body}");
    let (status, body) = doors.ask("1906", count)?;
    ensure!(
        status == 403 && body.contains("\"forbidden\"") && body.contains("the role logs"),
        "{status} {body}"
    );
    ensure!(doors.ask("1906", "SELECT count(*) FROM stage_events")?.0 == 200, "all else is as it was");
    doors.end()?;
    analyse.terminate()
}
