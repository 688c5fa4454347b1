//! `docs/checklist.md`: every row of what a monitoring stack promises is there once, and names tests and checks that exist.

use crate::architecture::quoted;
use crate::tree::{File, files, none};

/// Rows that there must be, numbered from 1.
const ROWS: usize = 31;
/// Where the evidence of a row stands.
const EVIDENCE: usize = 3;

/// The numbered rows of a table, with their cells.
fn rows(text: &str) -> Vec<(usize, Vec<&str>)> {
    let row = |line: &'_ str| -> Option<usize> { line.strip_prefix("| ")?.split(' ').next()?.parse().ok() };
    let cells = |line| str::trim_matches(line, '|').split(" | ").map(str::trim).collect();
    text.lines().filter_map(|line| Some((row(line)?, cells(line)))).collect()
}

/// Whether `text` is Rust with a test called `name`.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = format!("fn {name}(");
    let at = lines.iter().position(|line| line.trim_start_matches("async ").starts_with(&begins));
    let above = lines[..at.unwrap_or(0)].iter().rev().take_while(|line| !line.is_empty() && **line != "}");
    at.is_some()
        && above.into_iter().any(|line| line.starts_with("#[test") || line.starts_with("#[tokio::test"))
}

/// Whether `text` is Python or shell with a function called `name`.
fn has_function(text: &str, name: &str) -> bool {
    let (python, shell) = (format!("def {name}("), format!("{name}() {{"));
    text.lines().any(|line| line.starts_with(&python) || line.starts_with(&shell))
}

/// What is wrong with `name`, the path of a check or of a test, perhaps with a function of it.
fn wrong(name: &str, files: &[File]) -> Option<String> {
    let (path, function) = name.split_once("::").unwrap_or((name, ""));
    let Some(file) = files.iter().find(|file| file.path == path) else {
        return Some(format!("{path} does not exist"));
    };
    let there = match (file.is_rust(), function) {
        (true, "") => file.text.contains("#[test]") || file.text.contains("proptest!"),
        (true, _) => has_test(&file.text, function),
        (false, "") => true,
        (false, _) => has_function(&file.text, function),
    };
    (!there).then(|| format!("{name} is nothing that runs"))
}

/// What is wrong with the page.
fn faults(text: &str, files: &[File]) -> Vec<String> {
    let rows = rows(text);
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    let mut faults = Vec::new();
    if !numbers.iter().copied().eq(1..=ROWS) {
        faults.push(format!("the rows are {numbers:?}, not each of 1 to {ROWS} once, in order"));
    }
    for (number, cells) in &rows {
        let Some(evidence) = cells.get(EVIDENCE) else {
            faults.push(format!("row {number} has {} cells", cells.len()));
            continue;
        };
        let unclaimed = cells[EVIDENCE - 1].starts_with("not claimed: ");
        if quoted(evidence).next().is_none() && !unclaimed {
            faults.push(format!("row {number} names nothing that shows it"));
        }
        faults.extend(
            quoted(evidence)
                .filter_map(|name| wrong(name, files))
                .map(|fault| format!("row {number}: {fault}")),
        );
        // Files that the text speaks of.
        let named = quoted(cells[EVIDENCE - 1]).filter(|name| name.contains('/') && !name.starts_with('/'));
        let gone = named.filter(|name| !files.iter().any(|file| file.path.starts_with(name)));
        faults.extend(gone.map(|name| format!("row {number}: {name} does not exist")));
    }
    faults
}

#[test]
fn every_row_of_the_checklist_names_what_shows_it() {
    let files = files();
    let page =
        files.iter().find(|file| file.path == "docs/checklist.md").expect("docs/checklist.md is missing");
    none("docs/checklist.md:", &faults(&page.text, files));
}

#[test]
fn a_row_that_shows_nothing_is_found() {
    let file = |path: &str, text: &str| File { path: path.into(), text: text.into() };
    let files = [
        file("tests/a.rs", "fn helper() {}\n\n/// Holds.\n#[test]\nfn holds() {\n}\n\nfn other() {}\n"),
        file("infra/check", "routes() {\n}\ndef asked(x):\n"),
    ];
    let page = |second: &str| {
        let row = |number: usize| match number {
            2 => second.to_owned(),
            _ => {
                format!("| {number} | a | works, see `infra/check` | `tests/a.rs::holds`, `infra/check` |\n")
            }
        };
        (1..=ROWS).map(row).collect::<String>()
    };
    let check = |second: &str, expect: usize| {
        let found = faults(&page(second), &files);
        assert_eq!(found.len(), expect, "{second}: {found:?}");
    };
    check("| 2 | a | works | `tests/a.rs`, `infra/check::routes`, `infra/check::asked` |\n", 0);
    check("| 2 | a | not claimed: nobody needs it | none |\n", 0);
    check("| 2 | a | works | none |\n", 1);
    check("| 2 | a | works |\n", 1);
    check("", 1);
    check("| 3 | a | works | `tests/a.rs` |\n", 1);
    check("| 2 | a | works | `tests/b.rs`, `infra/gone` |\n", 2);
    check("| 2 | a | works | `tests/a.rs::fails` |\n", 1);
    check("| 2 | a | works | `tests/a.rs::helper`, `tests/a.rs::other` |\n", 2);
    check("| 2 | a | works | `infra/check::gone` |\n", 1);
    check("| 2 | a | works by `infra/gone/` | `infra/check` |\n", 1);
}
