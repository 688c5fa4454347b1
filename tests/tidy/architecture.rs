//! `ARCHITECTURE.md`: every invariant is numbered and names a test that exists.

use crate::tree::{File, files, none};

/// The number of an invariant and the whole line. Written as a row of a table (`| 1 | … |`) or of a list (`1. …`).
fn invariants(text: &str) -> Vec<(usize, &str)> {
    let section = text.split("\n## ").find(|section| section.to_lowercase().starts_with("invariants"));
    let lines = section.unwrap_or_default().lines();
    lines
        .filter_map(|line| {
            let head = line.trim_start_matches(['|', ' ']);
            let digits = head.len() - head.trim_start_matches(|char: char| char.is_ascii_digit()).len();
            let marked = head[digits..].trim_start().starts_with(['|', '.']);
            Some((head[..digits].parse().ok().filter(|_| marked)?, line))
        })
        .collect()
}

/// The texts between backticks.
pub(crate) fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// What is wrong with the invariants of `text`, given the files of the repository. A test is named as
/// `path/to/file.rs`, or as `path/to/file.rs::name_of_the_test`.
fn faults(text: &str, files: &[File]) -> Vec<String> {
    let invariants = invariants(text);
    let mut faults = Vec::new();
    for (at, (number, line)) in invariants.iter().enumerate() {
        if *number != at + 1 {
            faults.push(format!("invariant {number} stands where {} should", at + 1));
        }
        let mut held = false;
        for name in quoted(line).filter(|name| name.contains(".rs")) {
            let (path, test) = name.split_once("::").unwrap_or((name, ""));
            match files.iter().find(|file| file.path == path) {
                None => faults.push(format!("invariant {number}: {path} does not exist")),
                Some(file)
                    if !file.text.contains(&format!("fn {test}"))
                        || !["#[test]", "#[tokio::test]", "proptest!"]
                            .iter()
                            .any(|mark| file.text.contains(mark)) =>
                {
                    faults.push(format!("invariant {number}: {name} is no test"));
                }
                Some(_) => held = true,
            }
        }
        if !held {
            faults.push(format!("invariant {number} names no test that exists"));
        }
    }
    faults
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let files = files();
    let document =
        files.iter().find(|file| file.path == "ARCHITECTURE.md").expect("ARCHITECTURE.md is missing");
    let count = invariants(&document.text).len();
    assert!(count >= 10, "ARCHITECTURE.md has {count} numbered invariants under `## Invariants`");
    none("ARCHITECTURE.md:", &faults(&document.text, files));
}

#[test]
fn an_invariant_without_a_test_is_found() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let files = [file("tests/a.rs", "#[test]\nfn holds() {}\n"), file("src/b.rs", "fn plain() {}\n")];
    let check = |rows: &str, expect: usize| {
        let found = faults(&format!("# Map\n## Invariants\n| # | x |\n|---|---|\n{rows}"), &files);
        assert_eq!(found.len(), expect, "{rows}: {found:?}");
    };
    check("| 1 | ok | `tests/a.rs` |\n| 2 | ok | `tests/a.rs::holds` |\n", 0);
    check("1. ok: `tests/a.rs`\n2. ok: `tests/a.rs::holds`\n", 0);
    check("| 1 | none | clippy |\n", 1);
    check("| 1 | gone | `tests/c.rs` |\n", 2);
    check("| 1 | no test | `src/b.rs` |\n", 2);
    check("| 1 | no such test | `tests/a.rs::fails` |\n", 2);
    check("| 2 | misnumbered | `tests/a.rs` |\n", 1);
}
