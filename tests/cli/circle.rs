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
struct Running(Child);

impl Running {
    fn start(place: &Place) -> Self {
        let run = ["run", "--listen", "127.0.0.1:0", "--instance-id", "circle", "--topology", "fused"];
        Self(place.command(run).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Asks it to drain; its exit code.
    fn drain(mut self) -> Option<i32> {
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
    place.treble(["topics", "check"]).code(1).says(&["9 of 9 topics", "treble topics create"]);
    place
        .treble(["publish", "song.wav"])
        .code(69)
        .says(&["cli-topics.audio.in does not exist", "treble topics create"]);
    place
        .treble(["run", "--listen", "127.0.0.1:0"])
        .code(69)
        .says(&["topics are missing", "treble topics create"]);
    let planned = place.treble(["topics", "create", "--dry-run"].iter().chain(&json)).code(0);
    assert_eq!(outcomes(planned), vec!["planned"; 9]);
    assert_eq!(outcomes(place.treble(["topics", "create"].iter().chain(&json)).code(0)), vec!["created"; 9]);
    assert_eq!(outcomes(place.treble(["topics", "create"].iter().chain(&json)).code(0)), vec!["existed"; 9]);
    assert_eq!(outcomes(place.treble(["topics", "check"].iter().chain(&json)).code(0)), vec!["ok"; 9]);
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
    let running = Running::start(&place);
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
    assert_eq!(running.drain(), Some(0));
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
