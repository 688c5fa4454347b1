//! Help, configuration, graphs: what is printed without doing anything.

use crate::treble::Place;
use serde_json::Value;
use std::path::Path;

#[test]
fn help_has_examples_verbs_and_exit_codes() {
    let place = Place::new();
    let help = place.treble(["--help"]).code(0).out;
    for word in
        ["Examples:", "publish", "dlq", "Exit codes:", "  69  Kafka", "  78  wrong configuration", "130"]
    {
        assert!(help.contains(word), "{word:?} is not in {help}");
    }
    assert!(place.treble(["-h"]).code(0).out.lines().count() < help.lines().count());
}

#[test]
fn manual_pages_and_completions_are_made_from_the_same_definition() {
    let place = Place::new();
    let page = place.treble(["man"]).code(0).out;
    assert!(page.starts_with(".ie") || page.starts_with(".TH"), "{page}");
    assert!(page.contains("Exit codes"));
    assert!(place.treble(["man", "publish"]).code(0).out.contains("stream\\-id"));
    place.treble(["man", "absent"]).code(2).says(&["no command"]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(place.treble(["completions", shell]).code(0).out.contains("upscale"), "{shell}");
    }
}

#[test]
fn the_reference_in_docs_is_the_one_that_is_printed() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let printed = Place::new().treble(["config", "reference"]).code(0).out;
    let same = std::fs::read_to_string(kept).unwrap() == printed;
    assert!(same, "write it anew: treble config reference > docs/configuration.md");
}

#[test]
fn every_value_names_its_source_and_secrets_are_masked() {
    let place = Place::new()
        .with("TREBLE_COMMIT_INTERVAL_MS", "70")
        .with("TREBLE_REGISTRY_USERNAME", "me")
        .with("TREBLE_REGISTRY_PASSWORD", "hunter2")
        .with("NO_COLOR", "1");
    place.write("treble.toml", "[registry]\nurl = \"https://me:hunter2@registry.example/api\"\n");
    let secret = ["-X", "ssl.key.password=hunter2"];
    let shown = place.treble(["config", "show", "--origin"].iter().chain(&secret)).code(0).out;
    for (line, source) in [
        ("interval_ms = 70", "# environment TREBLE_COMMIT_INTERVAL_MS"),
        ("url = \"https://***@registry.example/api\"", "# file treble.toml"),
        ("\"ssl.key.password\" = \"***\"", "# flag -X ssl.key.password"),
        ("username = \"me\"", "# environment TREBLE_REGISTRY_USERNAME"),
        ("password = \"***\"", "# environment TREBLE_REGISTRY_PASSWORD"),
        ("token = \"\"", "# default"),
        ("partitions = 4", "# default"),
    ] {
        let found = shown.lines().find(|shown| shown.starts_with(line));
        assert!(found.is_some_and(|found| found.ends_with(source)), "{line} … {source} is not in {shown}");
    }
    let json = place.treble(["config", "show", "--output", "json"].iter().chain(&secret)).code(0);
    let settings = json.documents()[0]["settings"].as_array().unwrap().clone();
    let of = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap().clone();
    assert_eq!(
        (&of("commit.interval_ms")["value"], &of("commit.interval_ms")["origin"]),
        (&70.into(), &"environment".into())
    );
    for said in [shown, json.out, json.err] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn what_config_show_prints_is_a_configuration() {
    let place = Place::new();
    let shown = place.treble(["config", "show", "--set", "topics.partitions=16"]).code(0).out;
    place.write("again.toml", &shown);
    place.treble(["validate", "--config", "again.toml"]).code(0);
    assert_eq!(place.treble(["config", "show", "--config", "again.toml"]).code(0).out, shown);
}

#[test]
fn validation_looks_at_files_unless_told_not_to_and_can_deny_warnings() {
    let place = Place::new();
    place.write(
        "treble.toml",
        "[kafka]\nsecurity_protocol = \"SASL_PLAINTEXT\"\nsasl_username = \"me\"\nsasl_password_file = \"absent\"\n",
    );
    place.treble(["validate"]).code(78).says(&["kafka.sasl_password_file", "absent", "cannot be opened"]);
    place.treble(["validate", "--no-environment"]).code(0).says(&["warning:", "unencrypted"]);
    place.treble(["validate", "--no-environment", "--deny-warnings"]).code(78).says(&["unencrypted"]);
}

#[test]
fn the_graph_is_drawn_in_three_languages() {
    let place = Place::new();
    let dot = place.treble(["graph", "--prefix", "p"]).code(0).out;
    assert!(dot.starts_with("digraph") && dot.contains("\"p.audio.in\" -> \"decode\";"), "{dot}");
    let mermaid = place.treble(["graph", "--format", "mermaid"]).code(0).out;
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.contains("--> upscale"), "{mermaid}");
    let fused = place.treble(["graph", "--format", "json", "--topology", "fused"]).code(0).documents();
    let segments = fused[0]["segments"].as_array().unwrap().clone();
    assert_eq!(segments.len(), 1);
    assert_eq!(segments[0]["name"], Value::from("decode-upscale-encode"));
    let partial = place.treble(["graph", "--stages", "decode,encode", "--topology", "fused"]).code(0);
    partial.says(&["warning:", "not contiguous"]);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let place = Place::new();
    let mut child =
        place.command(["config", "reference"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
