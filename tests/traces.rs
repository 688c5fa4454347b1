//! One trace id leads from a producer's clip through every stage to the consumer: spans, log lines, rows and the dead letter.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_pipeline::telemetry::trace::spans::ATTRIBUTES;
use treble_test_support::broker::LocalStack;
use treble_test_support::certificates::Authority;
use treble_test_support::clips::{self, Clip};
use treble_test_support::collector::{self, Access, Collector, Received};
use treble_test_support::configuration;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE};
use treble_test_support::process::{Worker, binary, environment};

/// Planted, and looked for in spans.
const REGISTRY_PASSWORD: &str = "Registry-hunter6-pw";

/// A pipeline of three processes, each a stage, that tell a collector of what they do.
struct Traced {
    stack: &'static LocalStack,
    prefix: &'static str,
    settings: Vec<(&'static str, String)>,
    workers: Vec<Worker>,
    folder: PathBuf,
}

impl Traced {
    fn start(prefix: &'static str, folder: &Path, settings: Vec<(&'static str, String)>) -> Result<Self> {
        let stack = LocalStack::shared()?;
        kafka::create_topics(stack, prefix)?;
        let mut workers = Vec::new();
        for stage in ["decode", "upscale", "encode"] {
            let mut own = settings.clone();
            own.extend(configuration::with_model()?);
            own.push(("log.format", "json".to_owned()));
            let mut worker = Worker::new(stack, prefix, stage, stage, &own)?;
            worker.start()?;
            workers.push(worker);
        }
        workers.iter_mut().try_for_each(|worker| worker.await_ready(PATIENCE))?;
        Ok(Self { stack, prefix, settings, workers, folder: folder.to_owned() })
    }

    /// What `treble` with these arguments says, as JSON documents.
    fn treble(&self, arguments: &[&str], more: &[(&str, &str)]) -> Result<Vec<Value>> {
        let output = self.run(arguments, more)?;
        let text = std::str::from_utf8(&output.stdout)?;
        text.lines().map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
    }

    /// What is said to people.
    fn said(&self, arguments: &[&str], more: &[(&str, &str)]) -> Result<String> {
        Ok(String::from_utf8(self.run(arguments, more)?.stderr)?)
    }

    fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Result<Output> {
        let named = |key: &str| format!("TREBLE_{}", key.replace('.', "_").to_uppercase());
        let output = Command::new(binary()?)
            .args(arguments)
            .current_dir(&self.folder)
            .envs(environment(self.stack, self.prefix))
            .envs(self.settings.iter().map(|(key, value)| (named(key), value.as_str())))
            .envs(more.iter().map(|(key, value)| (named(key), *value)))
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    }

    /// Publishes a clip; its trace id.
    fn publish(&self, clip: &Clip, more: &[(&str, &str)]) -> Result<String> {
        let file = self.folder.join(format!("{}.wav", clip.name));
        fs::write(&file, &clip.bytes)?;
        let told = self.treble(&["publish", "--output", "json", &file.to_string_lossy()], more)?;
        let trace_id = told.first().and_then(|document| document["trace_id"].as_str());
        trace_id.map(str::to_owned).with_context(|| format!("{told:?}"))
    }

    /// The stages whose logs have a line with `message` about the trace.
    fn logged(&self, trace_id: &str, message: &str) -> Vec<&str> {
        let says = |worker: &&Worker| {
            worker.log_tail().lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(
                |line| {
                    line["trace_id"].as_str() == Some(trace_id) && line["message"].as_str() == Some(message)
                },
            )
        };
        self.workers.iter().filter(says).map(|worker| worker.stages).collect()
    }

    fn end(mut self) -> Result<()> {
        self.workers.iter_mut().try_for_each(Worker::terminate)
    }
}

fn named<'a>(spans: &'a [Received], name: &str) -> Result<&'a Received> {
    let mut found = spans.iter().filter(|span| span.span.name == name);
    let one = found.next().with_context(|| format!("there is no span {name}"))?;
    ensure!(found.next().is_none(), "there are two spans {name}");
    Ok(one)
}

fn names(spans: &[Received]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.span.name.as_str()).collect()
}

#[test]
fn one_trace_leads_from_publish_through_every_stage_to_fetch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = Authority::new(folder.path())?;
    let token_file = folder.path().join("token");
    fs::write(&token_file, "of-the-first-day\n")?;
    let access =
        Access { identity: Some(authority.issue("collector")?), token_file: Some(token_file.clone()) };
    let collector = Collector::start(access)?;
    let settings = vec![
        ("traces.endpoint", collector.endpoint()),
        ("traces.ca_file", authority.certificate().display().to_string()),
        ("traces.token_file", token_file.display().to_string()),
    ];
    let settings = [settings, with_login(folder.path())?].concat();
    let traced = Traced::start("traced", folder.path(), settings)?;
    let trace_id = traced.publish(&clips::chirp("clip", 16_000, 3), &[])?;
    let fetched =
        traced.treble(&["fetch", "clip", "--follow", "-o", "clip.flac", "--output", "json"], &[])?;
    ensure!(fetched[0]["trace_id"].as_str() == Some(trace_id.as_str()), "{fetched:?}");

    let expected = chain();
    let spans = collector
        .await_trace(&trace_id, PATIENCE, |spans| expected.iter().all(|name| names(spans).contains(name)))?;
    ensure!(names(&spans) == expected.into_iter().collect(), "{:?}", names(&spans));
    let mut parent: &[u8] = &[];
    let (mut before, mut instances) = (0, Vec::new());
    for (kafka, stage) in steps() {
        let own = named(&spans, kafka)?;
        ensure!(own.span.parent_span_id == parent, "{kafka} hangs elsewhere");
        ensure!(own.span.start_time_unix_nano >= before, "{kafka} begins before what it follows");
        (parent, before) = (&own.span.span_id, own.span.start_time_unix_nano);
        if let Some(stage) = stage {
            let inner = named(&spans, stage)?;
            ensure!(inner.span.parent_span_id == own.span.span_id, "{stage} is not inside {kafka}");
            ensure!(inner.instance == own.instance);
            instances.push(own.instance.as_str());
        }
    }
    ensure!(instances == ["decode", "upscale", "encode"], "{instances:?}");
    linked(&collector.spans(), &spans)?;
    described(&collector.spans())?;
    for secret in ["of-the-first-day", REGISTRY_PASSWORD] {
        ensure!(!format!("{:?}", collector.spans()).contains(secret), "a span tells {secret}");
        ensure!(traced.workers.iter().all(|worker| !worker.log_tail().contains(secret)));
    }

    ensure!(traced.logged(&trace_id, "stream finished") == ["decode", "upscale", "encode"]);
    let question =
        format!("SELECT DISTINCT stage FROM stage_events WHERE trace_id = '{trace_id}' ORDER BY stage");
    let rows = traced.treble(&["sql", "-c", &question, "--format", "ndjson"], &[])?;
    let stages: Vec<&str> = rows.iter().filter_map(|row| row["stage"].as_str()).collect();
    ensure!(stages == ["decode", "encode", "upscale"], "{rows:?}");

    // The token changes, and nobody is started anew.
    fs::write(&token_file, "of-the-second-day\n")?;
    let second = traced.publish(&clips::chirp("second", 16_000, 1), &[])?;
    collector.await_trace(&second, PATIENCE, |spans| names(spans).contains("encode"))?;
    traced.end()
}

/// A login at the registry, which lets in everyone.
fn with_login(folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let file = folder.join("registry-password");
    fs::write(&file, REGISTRY_PASSWORD)?;
    let file = file.display().to_string();
    Ok(vec![("registry.username", "ada".to_owned()), ("registry.password_file", file)])
}

/// Spans of one clip in their order: what a process did with a topic, and the stage inside.
fn steps() -> [(&'static str, Option<&'static str>); 5] {
    [
        ("send traced.audio.in", None),
        ("process traced.audio.in", Some("decode")),
        ("process traced.audio.pcm", Some("upscale")),
        ("process traced.audio.hires", Some("encode")),
        ("process traced.audio.out", None),
    ]
}

fn chain() -> Vec<&'static str> {
    steps().into_iter().flat_map(|(kafka, stage)| [Some(kafka), stage]).flatten().collect()
}

/// The model's runs and the clip, and commits and the clip, lead to each other.
fn linked(all: &[Received], clip: &[Received]) -> Result<()> {
    let upscale = named(clip, "upscale")?;
    let runs: Vec<&Received> = all.iter().filter(|span| span.span.name == "infer").collect();
    let (there, back) = (
        runs.iter().filter(|run| run.is_linked_to(upscale)).count(),
        runs.iter().filter(|run| upscale.is_linked_to(run)).count(),
    );
    ensure!(there > 0 && there == back, "{there} runs lead to the clip, it leads to {back}");
    for topic in ["audio.in", "audio.pcm", "audio.hires"] {
        let own = named(clip, &format!("process traced.{topic}"))?;
        let mut commits = all.iter().filter(|span| span.span.name == format!("commit traced.{topic}"));
        let linked = commits.any(|commit| commit.is_linked_to(own) && own.is_linked_to(commit));
        ensure!(linked, "no commit of {topic} and the clip lead to each other");
    }
    Ok(())
}

/// Attributes are those that are listed, and none says which key a record had.
fn described(spans: &[Received]) -> Result<()> {
    let attributes = collector::attributes(spans);
    for (name, values) in &attributes {
        ensure!(ATTRIBUTES.contains(&name.as_str()), "{name} is not listed");
        ensure!(!values.iter().any(|value| value == "clip"), "{name} tells a record's key");
    }
    ensure!(attributes["messaging.system"].iter().all(|system| system == "kafka"));
    Ok(())
}

#[test]
fn a_refused_clip_is_found_by_its_trace_although_it_is_not_sampled() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let collector = Collector::start(Access::default())?;
    let traced = Traced::start("refused", folder.path(), vec![("traces.endpoint", collector.endpoint())])?;
    let noise = Clip { name: "noise".to_owned(), media_type: "audio/wav", bytes: vec![0x55; 4_000] };
    let never = [("traces.sample_ratio", "0.0")];
    let trace_id = traced.publish(&noise, &never)?;
    let spans = collector
        .await_trace(&trace_id, PATIENCE, |spans| names(spans).contains("process refused.audio.in"))?;
    let refused = named(&spans, "process refused.audio.in")?;
    let code = refused.attribute("error.type").context("a refused clip has an error")?;

    let letters = traced.treble(&["dlq", "list", "--trace", &trace_id, "--output", "json"], &[])?;
    ensure!(letters.len() == 1 && letters[0]["code"].as_str() == Some(code.as_str()), "{letters:?}");
    ensure!(traced.logged(&trace_id, "dead letter") == ["decode"]);
    ensure!(traced.logged(&trace_id, "stream given up").contains(&"decode"));
    let question =
        format!("SELECT error_type FROM stage_events WHERE trace_id = '{trace_id}' AND stage = 'decode'");
    let rows = traced.treble(&["sql", "-c", &question, "--format", "ndjson"], &[])?;
    ensure!(rows.iter().any(|row| row["error_type"].as_str() == Some(code.as_str())), "{rows:?}");
    traced.end()
}

#[test]
fn losing_the_collector_costs_no_audio_and_is_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut collector = Collector::start(Access::default())?;
    let traced = Traced::start("untold", folder.path(), vec![("traces.endpoint", collector.endpoint())])?;
    collector.stop();
    traced.publish(&clips::chirp("lost", 16_000, 1), &[])?;
    let fetched = traced.said(&["fetch", "lost", "--follow", "-o", "lost.flac"], &[])?;
    ensure!(fetched.contains("1 spans of traces were not taken by the collector"), "{fetched}");
    let silent = [("traces.endpoint", "")];
    let again = traced.said(&["fetch", "lost", "--follow", "-o", "again.flac"], &silent)?;
    ensure!(!again.contains("spans"), "nothing is sent, and nothing lost: {again}");
    let counted = |outcome: &str| -> Result<f64> {
        let metrics = traced.workers[0].metrics().context("the worker does not answer")?;
        let labels = [("outcome", outcome)];
        Ok(Exposition::read(&metrics)?.value("treble_trace_export_spans_total", &labels).unwrap_or(0.0))
    };
    until("lost spans are not counted", || Ok(counted("error")? > 0.0))?;
    collector.again()?;
    let told = traced.publish(&clips::chirp("told", 16_000, 1), &[])?;
    collector.await_trace(&told, PATIENCE, |spans| names(spans).contains("encode"))?;
    until("spans are not taken again", || Ok(counted("ok")? > 0.0))?;
    traced.end()
}

fn until(otherwise: &str, holds: impl Fn() -> Result<bool>) -> Result<()> {
    let clock = SystemClock::new();
    while !holds()? {
        ensure!(clock.now() < PATIENCE, "{otherwise}");
        thread::park_timeout(Duration::from_millis(50));
    }
    Ok(())
}
