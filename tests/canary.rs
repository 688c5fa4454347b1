//! A clip sent through the real stages says whether they work: it comes back, and where one stage is stopped it does not.

use anyhow::{Context, Result, ensure};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;
use treble_pipeline::clock::SystemClock;
use treble_pipeline::ports::Clock;
use treble_test_support::broker::LocalStack;
use treble_test_support::configuration;
use treble_test_support::exposition::Exposition;
use treble_test_support::kafka::{self, PATIENCE};
use treble_test_support::process::{Background, Worker, binary, environment};

fn canary(stack: &LocalStack, prefix: &str, arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.arg("canary").args(arguments).envs(environment(stack, prefix)).stdin(Stdio::null());
    Ok(command)
}

/// The rounds that a command told of, one document each.
fn rounds(output: &Output) -> Result<Vec<serde_json::Value>> {
    let lines = std::str::from_utf8(&output.stdout)?.lines();
    lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned())).collect()
}

/// The stages that told of a clip, by name.
fn passed(round: &serde_json::Value) -> Vec<&str> {
    let told = round["passed"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut stages: Vec<&str> = told.iter().filter_map(serde_json::Value::as_str).collect();
    stages.sort_unstable();
    stages
}

fn ready(stack: &LocalStack, prefix: &str, stages: &'static str, name: &str) -> Result<Worker> {
    let mut worker = Worker::new(stack, prefix, stages, name, &configuration::with_model()?)?;
    worker.start()?;
    worker.await_ready(PATIENCE)?;
    Ok(worker)
}

#[test]
fn a_canary_comes_back_through_all_stages_and_is_lost_where_one_is_stopped() -> Result<()> {
    let (stack, prefix) = (LocalStack::shared()?, "canaries");
    kafka::create_topics(stack, prefix)?;
    let mut first = ready(stack, prefix, "decode", "first")?;
    let mut rest = ready(stack, prefix, "upscale,encode", "rest")?;
    let json = ["--output", "json", "--interval", "1"];
    let with = |more: &[&'static str]| canary(stack, prefix, &[&json[..], more].concat());

    let well = with(&["--count", "2", "--within", "60"])?.output()?;
    ensure!(well.status.success(), "{}", String::from_utf8_lossy(&well.stderr));
    let flown = rounds(&well)?;
    ensure!(flown.len() == 2, "{flown:?}");
    for round in &flown {
        ensure!(round["fate"] == "ok" && passed(round) == ["decode", "encode", "upscale"], "{round}");
        println!("latency_seconds={} snr_db={}", round["latency_seconds"], round["snr_db"]);
        ensure!(round["snr_db"].as_f64() > Some(20.0), "{round}");
    }

    rest.terminate()?;
    let broken = with(&["--count", "1", "--within", "4"])?.output()?;
    ensure!(broken.status.code() == Some(75), "{broken:?}");
    let lost = rounds(&broken)?.remove(0);
    ensure!(lost["fate"] == "lost" && passed(&lost) == ["decode"], "{lost}");

    let mut back = ready(stack, prefix, "upscale,encode", "rest")?;
    counted(stack, prefix)?;
    back.terminate()?;
    first.terminate()
}

/// The same, served for Prometheus.
fn counted(stack: &LocalStack, prefix: &str) -> Result<()> {
    let port = configuration::free_port()?;
    let listen = format!("127.0.0.1:{port}");
    let mut command = canary(stack, prefix, &["--listen", &listen, "--interval", "1", "--within", "60"])?;
    let served = Background::start(&mut command)?;
    let clock = SystemClock::new();
    loop {
        let answer = treble_test_support::http::get(port, "/metrics").unwrap_or_default();
        let metrics = Exposition::read(&answer).ok();
        let ok = metrics.as_ref().map_or(0.0, |metrics| metrics.sum("treble_canary_ok_total", &[]));
        if let (true, Some(metrics)) = (ok >= 2.0, &metrics) {
            let of = |name: &str| metrics.sum(name, &[]);
            let underway = of("treble_canary_sent_total") - ok;
            ensure!((0.0..=1.0).contains(&underway), "{answer}");
            ensure!(of("treble_canary_lost_total") + of("treble_canary_corrupt_total") == 0.0, "{answer}");
            ensure!(of("treble_canary_latency_seconds_count") == ok, "{answer}");
            let now = clock.unix_us() as f64 / 1e6;
            for stage in ["decode", "upscale", "encode"] {
                let seen = metrics.value("treble_heartbeat_seen_timestamp_seconds", &[("stage", stage)]);
                ensure!(seen.is_some_and(|seen| now - seen < 60.0), "{stage}: {answer}");
            }
            return served.end();
        }
        ensure!(clock.now() < PATIENCE, "no canary came back:\n{answer}");
        thread::park_timeout(Duration::from_millis(100));
    }
}
