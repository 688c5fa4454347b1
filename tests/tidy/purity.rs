//! Invariant 1 and its kin: what pure code may not reach.

use crate::source::Source;
use crate::tree::{File, files, none, root};
use std::process::Command;

/// Packages that reach no I/O, clock, async runtime or telemetry (invariant 1), and their folders.
const PURE: &[(&str, &str)] = &[
    ("treble-schemas", "schemas/src/"),
    ("treble-core", "stages/core/src/"),
    ("treble-decode", "stages/decode/src/"),
    ("treble-upscale", "stages/upscale/src/"),
    ("treble-encode", "stages/encode/src/"),
];

/// Crates that do I/O, keep time, run futures or report telemetry. `tracing` and `log` may come with a codec or
/// with ort; naming them is forbidden below.
const IMPURE_CRATES: &[&str] = &[
    "async-std",
    "axum",
    "futures-executor",
    "hyper",
    "mio",
    "opentelemetry",
    "prometheus",
    "rdkafka",
    "reqwest",
    "rustls",
    "schema_registry_converter",
    "smol",
    "socket2",
    "tokio",
    "tonic",
    "tracing-subscriber",
];

/// Paths that pure code does not name.
const IMPURE_PATHS: &[&str] = &[
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "log",
    "metrics",
    "tokio",
    "tracing",
];

/// The rooms in pure crates where the world comes in, each with what it needs.
const DOORS: &[(&str, &[&str], &str)] = &[
    (
        "stages/upscale/src/engine",
        &["std::fs", "std::thread", "std::time"],
        "one thread owns the model's session",
    ),
    ("stages/upscale/src/model", &["std::fs"], "the model's file is read once, before any stream"),
];

/// Paths that decisions do not name: they take facts and `now`.
const DECISIONS: &[&str] = &["pipeline/src/flow/", "pipeline/src/topology", "pipeline/src/config/validate"];
const UNDECIDED: &[&str] = &[
    "async",
    "axum",
    "prometheus",
    "rdkafka",
    "rustls",
    "schema_registry_converter",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "tokio",
    "tracing",
    "crate::admin",
    "crate::cli",
    "crate::kafka",
    "crate::query",
    "crate::runtime",
    "crate::schema_registry",
    "crate::telemetry",
];

/// Addresses are values: naming them reaches nothing.
const VALUES: &[&str] = &["std::net::Ip", "std::net::SocketAddr"];

fn named(file: &File, paths: &[&str]) -> Vec<String> {
    let mut source = Source::read(&file.text);
    for value in VALUES {
        source.code = source.code.replace(value, "address");
    }
    let lines = |path: &str| if path == "async" { source.mentions(path) } else { source.names(path) };
    let hit =
        |path: &&str| lines(path).into_iter().map(|line| format!("{}:{line}: {path}", file.path)).collect();
    paths.iter().flat_map(|path| -> Vec<String> { hit(path) }).collect()
}

fn impure(file: &File) -> Vec<String> {
    let door = DOORS.iter().find(|(start, ..)| file.path.starts_with(start));
    let opened = door.map_or(&[][..], |(_, paths, _)| paths);
    let closed: Vec<&str> = IMPURE_PATHS.iter().copied().filter(|path| !opened.contains(path)).collect();
    named(file, &closed)
}

#[test]
fn pure_sources_name_no_io_clock_runtime_or_telemetry() {
    let pure =
        |file: &File| file.is_product() && PURE.iter().any(|(_, folder)| file.path.starts_with(folder));
    let violations: Vec<String> = files().iter().filter(|file| pure(file)).flat_map(impure).collect();
    none("pure code reaches the world (invariant 1):", &violations);
}

#[test]
fn an_impure_line_is_found() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let bad =
        file("stages/decode/src/a.rs", "// std::fs\nuse std::time::Instant;\nfn f() { tokio::spawn(x) }\n");
    assert_eq!(impure(&bad), ["stages/decode/src/a.rs:2: std::time", "stages/decode/src/a.rs:3: tokio"]);
    let text = "use std::fs;\nuse std::net;\n";
    assert_eq!(
        impure(&file("stages/upscale/src/model.rs", text)),
        ["stages/upscale/src/model.rs:2: std::net"]
    );
    let text = "async fn f() {}\nuse std::net::Ipv6Addr;\nuse std::net::{Ipv4Addr, TcpStream};\n";
    let found = named(&file("pipeline/src/flow/a.rs", text), UNDECIDED);
    assert_eq!(found, ["pipeline/src/flow/a.rs:1: async", "pipeline/src/flow/a.rs:3: std::net"]);
}

/// Names in the output of `cargo tree --prefix none`.
fn impure_in(tree: &str) -> Vec<&str> {
    tree.lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|name| IMPURE_CRATES.contains(name))
        .collect()
}

#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    assert_eq!(impure_in("a v1\ntokio v1.54.1 (*)\n"), ["tokio"], "the rule finds what it is for");
    for (package, _) in PURE {
        let arguments = ["tree", "--offline", "--locked", "-e", "normal", "--prefix", "none", "-p", package];
        let tree =
            Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().expect("cargo runs");
        assert!(tree.status.success(), "{package}: {}", String::from_utf8_lossy(&tree.stderr));
        let tree = String::from_utf8_lossy(&tree.stdout);
        assert!(tree.starts_with(package), "{package}: {tree}");
        let found: Vec<String> = impure_in(&tree).iter().map(|name| format!("{package} → {name}")).collect();
        none("pure crates reach the world through a dependency (invariant 1):", &found);
    }
}

#[test]
fn decisions_import_no_async_and_no_io() {
    let files = files();
    for start in DECISIONS {
        assert!(files.iter().any(|file| file.path.starts_with(start)), "{start} is gone: mend this list");
    }
    let decides =
        |file: &&File| file.is_product() && DECISIONS.iter().any(|start| file.path.starts_with(start));
    let violations: Vec<String> =
        files.iter().filter(decides).flat_map(|file| named(file, UNDECIDED)).collect();
    none("decisions are pure functions of facts and now:", &violations);
}
