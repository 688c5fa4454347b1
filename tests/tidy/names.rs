//! Names that several places share: metrics and topics.

use crate::source::Source;
use crate::tree::{File, files, none};
use std::collections::BTreeSet;
use treble_pipeline::stages::STAGES;
use treble_schemas::topic::Topics;

/// The one file that names metrics (invariant 12).
const METRICS: &str = "pipeline/src/telemetry/metrics.rs";
/// Labels whose values are as many as the streams.
const UNBOUNDED: &[&str] = &["key", "offset", "seq", "stream", "stream_id", "trace_id"];

/// Words of `text` that look like the name of a metric: `treble_`, and no crate of ours.
fn metrics_in(text: &str) -> BTreeSet<&str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    words.filter(|word| word.starts_with("treble_") && word.len() > 7 && !is_crate(word)).collect()
}

fn is_crate(word: &str) -> bool {
    const CRATES: &[&str] = &[
        "analyse",
        "bench_support",
        "core",
        "decode",
        "encode",
        "pipeline",
        "schemas",
        "test_support",
        "upscale",
    ];
    CRATES.contains(&&word["treble_".len()..])
}

/// Literals of `file` that are the name of a known metric, or have the ending of one.
fn names_a_metric(file: &File, known: &BTreeSet<&str>) -> Vec<String> {
    let endings = ["_total", "_seconds", "_bytes", "_ratio", "_info"];
    let is_metric = |name: &&str| known.contains(name) || endings.iter().any(|end| name.ends_with(end));
    let literals = Source::read(&file.text).literals;
    let named = literals.iter().flat_map(|(line, text)| {
        metrics_in(text).into_iter().filter(is_metric).map(move |name| (line, name))
    });
    named.map(|(line, name)| format!("{}:{line}: {name}", file.path)).collect()
}

fn metrics_file(files: &[File]) -> &File {
    files.iter().find(|file| file.path == METRICS).unwrap_or_else(|| panic!("{METRICS} is missing"))
}

#[test]
fn only_one_file_names_metrics() {
    let files = files();
    let literals = Source::read(&metrics_file(files).text).literals;
    let known: BTreeSet<&str> = literals.iter().flat_map(|(_, text)| metrics_in(text)).collect();
    assert!(!known.is_empty(), "{METRICS} names no metric");
    let others = files.iter().filter(|file| file.is_product() && file.path != METRICS);
    let violations: Vec<String> = others.flat_map(|file| names_a_metric(file, &known)).collect();
    none(&format!("metrics are named in {METRICS} only (invariant 12):"), &violations);
    let text = "// treble_a_total\nf(\"treble_b_total\", \"treble_lag\");\nf(\"treble_core=info\", \"treble_version\");\n";
    let bad = File { path: "a.rs".into(), text: text.into() };
    let found = names_a_metric(&bad, &BTreeSet::from(["treble_lag"]));
    assert_eq!(found, ["a.rs:2: treble_b_total", "a.rs:2: treble_lag"], "the rule finds what it is for");
}

#[test]
fn no_metric_has_a_label_without_bound() {
    let files = files();
    let source = Source::read(&metrics_file(files).text);
    let labels = source.literals.iter().filter(|(_, text)| UNBOUNDED.contains(&text.as_str()));
    let violations: Vec<String> = labels.map(|(line, text)| format!("{METRICS}:{line}: {text}")).collect();
    none("labels must be bounded (invariant 12):", &violations);
}

/// Metrics that `text` uses and `known` lacks. Prometheus appends the suffixes itself.
fn unknown_metrics<'a>(text: &'a str, known: &BTreeSet<&str>) -> Vec<&'a str> {
    let suffixes = ["_bucket", "_sum", "_count"];
    let exists = |name: &str| {
        known.contains(name)
            || suffixes.iter().any(|end| name.strip_suffix(end).is_some_and(|base| known.contains(base)))
    };
    metrics_in(text).into_iter().filter(|name| !exists(name)).collect()
}

#[test]
fn dashboards_alerts_and_documents_use_metrics_that_exist() {
    let files = files();
    let literals = Source::read(&metrics_file(files).text).literals;
    let known: BTreeSet<&str> = literals.iter().flat_map(|(_, text)| metrics_in(text)).collect();
    // Its columns are held to the tables themselves.
    let is_of_tables = |file: &&File| file.path == "docs/tables.md";
    let users =
        files.iter().filter(|file| file.path.starts_with("monitoring/") || file.path.ends_with(".md"));
    let users = users.filter(|file| !is_of_tables(file));
    let unknown = users.flat_map(|file| {
        unknown_metrics(&file.text, &known).into_iter().map(|name| format!("{}: {name}", file.path))
    });
    none("no such metric (invariant 12):", &unknown.collect::<Vec<_>>());
    let known = BTreeSet::from(["treble_a_seconds"]);
    assert_eq!(
        unknown_metrics("rate(treble_a_seconds_bucket[5m]) / treble_gone_total", &known),
        ["treble_gone_total"]
    );
}

/// Metrics of other programs that rules may rest on: node_exporter, Prometheus, Alertmanager, the OpenTelemetry Collector.
const FOREIGN: &[&str] = &["node_", "prometheus_", "alertmanager_", "otelcol_"];

/// Metrics in the expressions of a file of rules that nobody exports and no rule records.
fn unknown_in_rules(text: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let records = text.lines().filter_map(|line| line.trim().strip_prefix("- record: "));
    let known: BTreeSet<&str> = records.chain(known.iter().copied()).collect();
    let expressions = text.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let endings =
        ["_total", "_seconds", "_bytes", "_ratio", "_offset", "_bucket", "_count", "_status", "_lag", "_fds"];
    let words = expressions.flat_map(|expr| {
        expr.split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '_' | ':')))
    });
    let metrics = words.filter(|word| endings.iter().any(|end| word.ends_with(end)) && word.contains('_'));
    let own = metrics.filter(|word| !FOREIGN.iter().any(|foreign| word.starts_with(foreign)));
    let base = |word: &str| word.trim_end_matches("_bucket").trim_end_matches("_count").to_owned();
    let unknown = own.filter(|word| !known.contains(word) && !known.contains(base(word).as_str()));
    unknown.map(str::to_owned).collect()
}

#[test]
fn every_rule_rests_on_metrics_that_somebody_exports() {
    let files = files();
    let literals = Source::read(&metrics_file(files).text).literals;
    let known: BTreeSet<&str> = literals.iter().map(|(_, text)| text.as_str()).collect();
    let rules: Vec<&File> =
        files.iter().filter(|file| file.path.starts_with("monitoring/prometheus/rules/")).collect();
    assert!(rules.len() > 5, "the rules lie elsewhere");
    // A rule may rest on what another file records.
    let recorded: Vec<&str> = rules.iter().flat_map(|file| file.text.lines()).collect();
    let recorded = recorded.iter().filter_map(|line| line.trim().strip_prefix("- record: "));
    let known: BTreeSet<&str> = known.into_iter().chain(recorded).collect();
    let unknown = rules.iter().flat_map(|file| {
        unknown_in_rules(&file.text, &known).into_iter().map(|name| format!("{}: {name}", file.path))
    });
    none("nobody exports or records it (invariant 12):", &unknown.collect::<Vec<_>>());
    let text =
        "- record: a:b_total\n  expr: \"sum(c_seconds_bucket) / d_total + a:b_total + node_x_bytes\"\n";
    assert_eq!(unknown_in_rules(text, &BTreeSet::from(["c_seconds"])), ["d_total"]);
}

/// Words of `text` that look like a topic of the default prefix and are none.
fn unknown_topics<'a>(text: &'a str, topics: &BTreeSet<String>) -> Vec<&'a str> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '.' | '_')));
    let families = ["treble.audio.", "treble.state.", "treble.events", "treble.dlq"];
    let topical = words
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| families.iter().any(|f| word.starts_with(f)));
    topical.filter(|word| !topics.contains(*word)).collect()
}

#[test]
fn topic_names_agree_everywhere() {
    let mut stages: Vec<&str> = STAGES.iter().map(|entry| entry.name).collect();
    stages.push("analyse");
    let topics: BTreeSet<String> =
        Topics::default().specs(&stages).into_iter().map(|spec| spec.name).collect();
    let files = files();
    // This file holds examples of wrong names.
    let users = files.iter().filter(|file| file.path != "tests/tidy/names.rs");
    let unknown = users.flat_map(|file| {
        unknown_topics(&file.text, &topics).into_iter().map(|name| format!("{}: {name}", file.path))
    });
    none("no such topic (invariant 16):", &unknown.collect::<Vec<_>>());
    let text = "treble.audio.in. treble.audio.inn `treble.state.decode` treble.dlq-value treble.state.<stage> treble.dlq2 treble.v1.X";
    assert_eq!(unknown_topics(text, &topics), ["treble.audio.inn", "treble.dlq2"]);
    let missing = STAGES.iter().filter(|entry| !topics.contains(&format!("treble.{}", entry.output_topic)));
    assert_eq!(missing.count(), 0, "every stage writes a topic that schemas know");
}
