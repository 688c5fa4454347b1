//! The errors that a newcomer meets in the first hour: what, why, how to mend it, and an exit code each.

use crate::treble::{Place, nobody};
use std::net::TcpListener;
use treble_test_support::clips;

#[test]
fn no_kafka() {
    let place = Place::new();
    place.write("song.wav", clips::chirp("song", 8_000, 1).bytes);
    let kafka = nobody();
    let at = ["--bootstrap-servers", &kafka];
    for verb in [
        vec!["publish", "song.wav"],
        vec!["fetch", "song"],
        vec!["topics", "create"],
        vec!["topics", "check"],
        vec!["dlq", "list"],
        vec!["run", "--listen", "127.0.0.1:0"],
    ] {
        place.treble(verb.iter().chain(&at)).code(69).says(&[
            &format!("cannot reach Kafka at {kafka}"),
            "make kafka-up",
            "--bootstrap-servers",
        ]);
    }
}

#[test]
fn doctor_names_everything_that_is_missing_at_once() {
    let (kafka, registry) = (nobody(), format!("http://{}", nobody()));
    let place = Place::new().with("TREBLE_BOOTSTRAP_SERVERS", &kafka);
    let arguments =
        ["doctor", "--output", "json", "--registry-url", &registry, "--set", "admin.listen=127.0.0.1:0"];
    let ended = place.treble(arguments).code(69);
    let faults: Vec<_> = ended.documents().into_iter().filter(|check| check["verdict"] == "fault").collect();
    let subjects: Vec<_> = faults.iter().map(|check| check["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["kafka", "schemas"]);
    for fault in faults {
        assert!(fault["fix"].as_str().unwrap().contains("make kafka-up"), "{fault}");
    }
}

#[test]
fn no_onnx_library() {
    let place = Place::new();
    place.write("song.wav", clips::chirp("song", 8_000, 1).bytes);
    place.write("model.onnx", "a model");
    let arguments = ["upscale", "song.wav", "-o", "song.flac", "--mode", "ai"];
    let model = ["--set", "upscale.model=model.onnx", "--set", "engine.library=absent.so"];
    place.treble(arguments.iter().chain(&model)).code(69).says(&[
        "absent.so",
        "make setup",
        "upscale.mode=baseline",
    ]);
    assert!(!place.path("song.flac").exists());
}

#[test]
fn no_model() {
    let place = Place::new();
    place.write("song.wav", clips::chirp("song", 8_000, 1).bytes);
    place.write("library.so", "a library");
    let arguments = ["upscale", "song.wav", "-o", "song.flac", "--mode", "ai"];
    let model = ["--set", "upscale.model=absent.onnx", "--set", "engine.library=library.so"];
    place.treble(arguments.iter().chain(&model)).code(66).says(&["absent.onnx", "upscale.model"]);
}

#[test]
fn wrong_file() {
    let place = Place::new();
    place.write("letter.txt", "Dear reader, this is no audio. ".repeat(400));
    place.treble(["upscale", "absent.mp3", "-o", "x.flac"]).code(66).says(&["absent.mp3", "check the path"]);
    place.treble(["publish", "absent.mp3"]).code(66).says(&["absent.mp3"]);
    place.treble(["publish", "*.mp3"]).code(66).says(&["nothing matches *.mp3"]);
    place.treble(["upscale", ".", "-o", "x.flac"]).code(66).says(&["is a folder"]);
    place.treble(["upscale", "letter.txt", "-o", "x.flac"]).code(65).says(&["not audio", "WAV, FLAC, MP3"]);
    place.treble(["upscale", "letter.txt", "-o", "absent/x.flac"]).code(73).says(&["cannot create", "-o"]);
    place.treble(["upscale", "letter.txt", "-o", "letter.txt"]).code(2).says(&["replace the input"]);
    let left: Vec<_> =
        std::fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["letter.txt"], "nothing half-done stays behind");
}

#[test]
fn wrong_configuration_key() {
    let place = Place::new();
    place.write("treble.toml", "[commit]\nintervall_ms = 50\n[topics]\npartitions = 0\n");
    for verb in [vec!["run"], vec!["validate"], vec!["publish", "song.mp3"]] {
        place.treble(verb).code(78).says(&[
            "2 faults",
            "nothing was started",
            "commit.intervall_ms",
            "treble.toml",
            "did you mean commit.interval_ms?",
            "topics.partitions",
            "choose 1 to 10000",
        ]);
    }
}

#[test]
fn port_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    place.treble(["run", "--listen", &address]).code(69).says(&[&address, "--listen"]);
}

#[test]
fn a_slip_in_the_command_line_is_a_usage_error_with_a_hint() {
    let place = Place::new();
    place.treble(["pubish", "a.mp3"]).code(2).says(&["publish"]);
    place.treble(["fetch"]).code(2).says(&["<STREAM>"]);
    place.treble(["publish", "-"]).code(2).says(&["--stream-id"]);
    place.treble(["validate", "--set", "nonsense"]).code(2).says(&["KEY=VALUE"]);
}

#[test]
fn failures_are_documents_for_programs() {
    let place = Place::new();
    let ended = place.treble(["upscale", "absent.mp3", "-o", "x.flac", "--output", "json"]).code(66);
    let failure: serde_json::Value = serde_json::from_str(ended.err.trim()).unwrap();
    assert_eq!(
        (&failure["kind"], &failure["version"], &failure["code"]),
        (&"error".into(), &1.into(), &66.into())
    );
    assert!(failure["what"].as_str().unwrap().contains("absent.mp3"));
    assert!(ended.out.is_empty());
}
