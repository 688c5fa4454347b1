//! The whole circle on a real Kafka: topics, publish, run, fetch, dead letters.

use crate::treble::{Place, nobody};
use std::process::{Child, Stdio};
use treble_test_support::broker::LocalStack;
use treble_test_support::clips;

/// A place whose environment names `stack` and topics of its own.
fn place(stack: &LocalStack, prefix: &str) -> Place {
    let place = Place::new()
        .with("TREBLE_BOOTSTRAP_SERVERS", stack.bootstrap_servers())
        .with("TREBLE_SCHEMA_REGISTRY_URL", stack.schema_registry_url())
        .with("TREBLE_PREFIX", prefix);
    place.write("song.wav", clips::chirp("song", 22_050, 2).bytes);
    place.write("letter.wav", "Dear reader, this is no audio. ".repeat(400));
    place
}

/// A running `treble run`, killed where a test fails before it is stopped.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(place: &Place, address: &str) -> Self {
        let run = ["run", "--listen", address, "--instance-id", "circle", "--topology", "fused"];
        Self(place.command(run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Asks it to drain; its exit code.
    pub(crate) fn drain(mut self) -> Option<i32> {
        let kill =
            std::process::Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(kill.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn topics_are_planned_created_once_and_checked() {
    let stack = LocalStack::shared().unwrap();
    let place = place(stack, "cli-topics");
    let json = ["--output", "json"];
    let outcomes = |ended: crate::treble::Ended| -> Vec<String> {
        ended.documents().iter().map(|topic| topic["outcome"].as_str().unwrap().to_owned()).collect()
    };
    place.treble(["topics", "check"]).code(1).says(&["10 of 10 topics", "treble topics create"]);
    place
        .treble(["publish", "song.wav"])
        .code(69)
        .says(&["cli-topics.audio.in does not exist", "treble topics create"]);
    place
        .treble(["run", "--listen", "127.0.0.1:0"])
        .code(69)
        .says(&["topics are missing", "treble topics create"]);
    let planned = place.treble(["topics", "create", "--dry-run"].iter().chain(&json)).code(0);
    assert_eq!(outcomes(planned), vec!["planned"; 10]);
    assert_eq!(outcomes(place.treble(["topics", "create"].iter().chain(&json)).code(0)), vec!["created"; 10]);
    assert_eq!(outcomes(place.treble(["topics", "create"].iter().chain(&json)).code(0)), vec!["existed"; 10]);
    assert_eq!(outcomes(place.treble(["topics", "check"].iter().chain(&json)).code(0)), vec!["ok"; 10]);
    let narrower = ["topics", "check", "--set", "topics.partitions=2"];
    let wrong = place.treble(narrower).code(1);
    assert!(wrong.out.contains("4 partitions instead of 2"), "{wrong:?}");
}

#[test]
fn no_registry() {
    let stack = LocalStack::shared().unwrap();
    let place = place(stack, "cli-registry");
    place.treble(["topics", "create"]).code(0);
    let registry = format!("http://{}", nobody());
    place.treble(["publish", "song.wav", "--registry-url", &registry]).code(69).says(&[
        &format!("cannot reach the schema registry at {registry}"),
        "make kafka-up",
        "--registry-url",
    ]);
}

#[test]
fn what_is_published_is_fetched_as_the_offline_verb_writes_it_and_the_rest_is_a_dead_letter() {
    let stack = LocalStack::shared().unwrap();
    let place = place(stack, "cli-circle");
    place.treble(["topics", "create"]).code(0);
    place.treble(["fetch", "song"]).code(66).says(&["no stream song", "--follow"]);
    let address = nobody();
    place
        .treble(["top", &address, "--once", "--interval", "1"])
        .code(69)
        .says(&["nobody answers", "treble lag --listen"]);
    let running = Running::start(&place, &address);
    let published = place.treble(["publish", "song.wav", "letter.wav", "--output", "json"]).code(0);
    let names: Vec<_> = published.documents().iter().map(|sent| sent["stream_id"].clone()).collect();
    assert_eq!(names, ["song", "letter"]);

    let follow = ["--follow", "--timeout", "120"];
    let fetched =
        place.treble(["fetch", "song", "-o", "song.flac", "--output", "json"].iter().chain(&follow)).code(0);
    let report = &fetched.documents()[0];
    assert_eq!(
        (&report["media_type"], &report["audio_seconds"]),
        (&"audio/flac".into(), &2.0.into()),
        "{report}"
    );
    place.treble(["upscale", "song.wav", "-o", "offline.flac"]).code(0);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("song.flac") == read("offline.flac"), "the pipeline and the offline verb differ");

    place.treble(["fetch", "letter"].iter().chain(&follow)).code(65).says(&[
        "was aborted",
        "not_audio",
        "decode",
    ]);
    dead_letters(&place);
    tapped(&place);
    topped(&place, &address);
    assert_eq!(running.drain(), Some(0));
}

/// What stands on the topics is told for what it is, from where it was asked for.
fn tapped(place: &Place) {
    let tap = |arguments: &[&str]| -> Vec<serde_json::Value> {
        let records = place.treble(["tap", "--output", "json"].iter().chain(arguments)).code(0).documents();
        assert!(records.iter().all(|record| record["kind"] == "record"), "{records:?}");
        records
    };
    let said = |records: &[serde_json::Value], name: &str| -> Vec<String> {
        records.iter().map(|record| record["said"][name].as_str().unwrap_or_default().to_owned()).collect()
    };
    // Published in chunks: START, then data, then END, and the letter alike.
    let sent = tap(&["audio.in", "--key", "song"]);
    let kinds = said(&sent, "kind");
    assert!(kinds.first().is_some_and(|kind| kind.ends_with("START")), "{kinds:?}");
    assert!(kinds.last().is_some_and(|kind| kind.ends_with("END")), "{kinds:?}");
    assert_eq!(tap(&["cli-circle.audio.in", "--key", "song", "--limit", "1"]).len(), 1);
    let later = sent[1]["offset"].to_string();
    assert_eq!(tap(&["audio.in", "--key", "song", "--from", &later]).len(), sent.len() - 1);
    assert!(tap(&["audio.in", "--from", "end"]).is_empty(), "nothing comes after the end");
    assert_eq!(tap(&["audio.in", "--key", "song", "--from", "1h"]).len(), sent.len());

    let letters = tap(&["dlq", "--limit", "1"]);
    assert_eq!(
        (said(&letters, "code"), &letters[0]["content"]),
        (vec!["not_audio".to_owned()], &"dead_letter".into())
    );
    let events = tap(&["events"]);
    let contents: std::collections::BTreeSet<&str> =
        events.iter().filter_map(|record| record["content"].as_str()).collect();
    assert_eq!(contents, ["event", "report"].into(), "an event and a report are told apart");
    let line = place.treble(["tap", "audio.out", "--key", "song", "--limit", "1"]).code(0).out;
    assert!(line.contains("song  #0 START audio/flac 48000 Hz"), "{line}");
    place.treble(["tap", "audio.in", "--partition", "99"]).code(66).says(&["no partition 99"]);
    place.treble(["tap", "audio.in", "--from", "tuesday"]).code(2).says(&["none of: beginning, end"]);
    place.treble(["tap", "nothing"]).code(69).says(&["nothing does not exist"]);
}

/// Two looks at the process that just did all this.
fn topped(place: &Place, address: &str) {
    let seen =
        place.treble(["top", address, "--once", "--interval", "1", "--output", "json"]).code(0).documents();
    let stage = &seen[0]["stages"][0];
    assert_eq!(stage["stage"], "decode-upscale-encode");
    assert!(stage["errors_in_all"].as_f64().is_some_and(|errors| errors >= 1.0), "{stage}");
    let process = &seen[0]["processes"][0];
    assert_eq!((&process["answers"], &process["address"]), (&true.into(), &address.into()));
    assert!(process["memory_bytes"].as_f64().is_some_and(|bytes| bytes > 1e6), "{process}");
    let text = place.treble(["top", address, "--once", "--interval", "1"]).code(0).out;
    assert!(text.starts_with("STAGE ") && text.contains(address), "{text}");
}

fn dead_letters(place: &Place) {
    let listed = place.treble(["dlq", "list", "--output", "json"]).code(0).documents();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let letter = &listed[0];
    assert_eq!(
        (&letter["key"], &letter["code"], &letter["stage"]),
        (&"letter".into(), &"not_audio".into(), &"decode".into())
    );
    let offset = letter["offset"].to_string();
    let shown = place.treble(["dlq", "show", &offset]).code(0).out;
    assert!(shown.contains("cli-circle.audio.in") && shown.contains("traceparent"), "{shown}");
    place.treble(["dlq", "show", "999"]).code(66).says(&["no dead letter at offset 999"]);
    let planned = place.treble(["dlq", "replay", &offset]).code(0);
    assert!(planned.out.contains("would publish"), "{planned:?}");
    let replayed = place.treble(["dlq", "replay", &offset, "--yes", "--output", "json"]).code(0).documents();
    assert_eq!(replayed[0]["published"], true);
    assert!(place.treble(["dlq", "list", "--stage", "encode"]).code(0).out.is_empty());
}
