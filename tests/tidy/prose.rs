//! What no text of the repository may hold, and what documents must.

use crate::tree::{File, files, none, root};
use std::path::Path;

/// Forbidden text and why. Written in halves, so that this file obeys its own rule.
const FORBIDDEN: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("TO", "DO"), "finish it, or open an issue"),
    (concat!("FIX", "ME"), "finish it, or open an issue"),
    (concat!("XX", "X:"), "finish it, or open an issue"),
    (concat!("crates", ".io"), "which registry is used is the machine's setting"),
    (concat!("pypi", ".org"), "which registry is used is the machine's setting"),
    (concat!("python", "hosted.org"), "which registry is used is the machine's setting"),
    (concat!("repo1.", "maven.org"), "which registry is used is the machine's setting"),
    (concat!("repo.", "maven.apache.org"), "which registry is used is the machine's setting"),
    (concat!("registry.", "npmjs.org"), "which registry is used is the machine's setting"),
    (concat!("proxy.", "golang.org"), "which registry is used is the machine's setting"),
];

fn unwanted(file: &File) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    let hits = lines.flat_map(|(at, line)| {
        FORBIDDEN
            .iter()
            .filter(move |(text, _)| line.contains(text))
            .map(move |(text, why)| (at + 1, text, why))
    });
    hits.map(|(line, text, why)| format!("{}:{line}: {text} — {why}", file.path)).collect()
}

#[test]
fn no_text_holds_machine_paths_registry_hosts_or_unfinished_work() {
    let violations: Vec<String> = files().iter().flat_map(unwanted).collect();
    none("unwanted text:", &violations);
}

#[test]
fn unwanted_text_is_found() {
    let text = FORBIDDEN.iter().map(|(text, _)| format!("see {text} here\n")).collect::<String>();
    let found = unwanted(&File { path: "a.md".into(), text });
    assert_eq!(found.len(), FORBIDDEN.len(), "{found:?}");
    assert!(found[2].starts_with("a.md:3: "));
}

/// What the head of a crate lacks: its purpose, and what is deliberately absent.
fn headless(file: &File) -> Option<String> {
    let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
    let tells = head.iter().any(|line| line.to_lowercase().contains("deliberately absent"));
    (head.len() < 6 || !tells).then(|| file.path.clone())
}

#[test]
fn every_crate_says_what_it_is_for_and_what_is_deliberately_absent() {
    let is_head = |file: &&File| file.is_product() && file.path.ends_with("src/lib.rs");
    let violations: Vec<String> = files().iter().filter(is_head).filter_map(headless).collect();
    none(
        "the crate's documentation needs purpose, data flow, what is deliberately absent, a map:",
        &violations,
    );
    let bare = File { path: "src/lib.rs".into(), text: "//! A crate.\n".into() };
    assert!(headless(&bare).is_some(), "the rule finds what it is for");
}

fn is_undocumented(file: &File) -> bool {
    !file.text.starts_with("//!")
}

#[test]
fn every_source_file_begins_with_what_it_is() {
    let files = files();
    let silent = files.iter().filter(|file| file.is_product() && is_undocumented(file));
    none("begin these with `//!`:", &silent.map(|file| file.path.clone()).collect::<Vec<_>>());
    assert!(is_undocumented(&File { path: "a.rs".into(), text: "fn f() {}\n".into() }));
}

/// Relative links of a Markdown file that lead nowhere.
fn dead_links(file: &File, exists: impl Fn(&Path) -> bool) -> Vec<String> {
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let targets = file.text.split("](").skip(1).filter_map(|rest| rest.split([')', '#', ' ']).next());
    let local = targets
        .filter(|target| !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:"));
    local
        .filter(|target| !exists(&folder.join(target)))
        .map(|target| format!("{}: {target}", file.path))
        .collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    let files = files();
    let documents = files.iter().filter(|file| file.path.ends_with(".md"));
    let violations: Vec<String> =
        documents.flat_map(|file| dead_links(file, |path| root().join(path).exists())).collect();
    none("dead links:", &violations);
    let text = "[a](gone.md) [b](here.md#part) [c](https://example.org/x) [d](#part)".into();
    let found =
        dead_links(&File { path: "docs/a.md".into(), text }, |path| path == Path::new("docs/here.md"));
    assert_eq!(found, ["docs/a.md: gone.md"]);
}

#[test]
fn the_documents_that_every_reader_looks_for_exist() {
    let files = files();
    for path in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "Makefile", "docker-compose.yml"] {
        assert!(files.iter().any(|file| file.path == path), "{path} is missing");
    }
    let records = files.iter().filter(|file| file.path.starts_with("docs/adr/")).count();
    assert!(records > 0, "docs/adr/ holds no decision record");
}
