//! Who may name what inside the pipeline, where the manifest cannot tell.

use crate::source::Source;
use crate::tree::{File, files, none};

/// The crate, and the folders or files of `pipeline/src/` in which it may be named.
const ROOMS: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka/", "kafka.rs"]),
    ("ebur128", &["runtime/meter.rs"]),
    ("regex", &["redact.rs"]),
    ("reqwest", &["schema_registry/"]),
    ("schema_registry_converter", &["schema_registry/", "schema_registry.rs"]),
    ("nvml_wrapper", &["gpu/nvml.rs"]),
    ("prometheus", &["telemetry/"]),
    ("opentelemetry", &["telemetry/"]),
    ("opentelemetry_sdk", &["telemetry/"]),
    ("opentelemetry_otlp", &["telemetry/"]),
    ("arrow_flight", &["query/"]),
    ("datafusion_postgres", &["query/"]),
    ("prost", &["query/flight/"]),
    ("tonic", &["admin/", "query/", "telemetry/trace/"]),
    ("clap", &["cli/", "cli.rs"]),
    ("clap_complete", &["cli/", "cli.rs"]),
    ("clap_mangen", &["cli/", "cli.rs"]),
    ("indicatif", &["cli/", "cli.rs"]),
    ("ratatui", &["cli/", "cli.rs"]),
    ("flate2", &["cli/debug/"]),
    ("tar", &["cli/debug/"]),
    ("rustix", &["cli/doctor/"]),
    ("x509_certificate", &["cli/doctor/"]),
    ("anyhow", &["main.rs"]),
];

fn trespasses(file: &File) -> Vec<String> {
    let Some(inside) = file.path.strip_prefix("pipeline/src/") else { return Vec::new() };
    let source = Source::read(&file.text);
    let foreign = ROOMS.iter().filter(|(_, rooms)| !rooms.iter().any(|room| inside.starts_with(room)));
    let hits = foreign.flat_map(|(name, _)| source.names(name).into_iter().map(move |line| (line, name)));
    hits.map(|(line, name)| format!("{}:{line}: {name}", file.path)).collect()
}

#[test]
fn a_dependency_of_the_pipeline_is_named_in_its_room_only() {
    let files = files();
    let violations: Vec<String> =
        files.iter().filter(|file| file.is_product()).flat_map(trespasses).collect();
    none("named outside its room (see ROOMS):", &violations);
}

#[test]
fn a_trespass_is_found() {
    let file = |path: &str| File { path: path.into(), text: "//! rdkafka\nuse rdkafka::Message;\n".into() };
    assert_eq!(
        trespasses(&file("pipeline/src/runtime/worker.rs")),
        ["pipeline/src/runtime/worker.rs:2: rdkafka"]
    );
    assert!(trespasses(&file("pipeline/src/kafka/consumer.rs")).is_empty());
}
