//! Measured targets of size, and what a source file may not hold.

use crate::source::Source;
use crate::tree::{File, files, none};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_MAIN_LINES: usize = 60;
/// Medians and 90th percentiles, over all product files and functions.
const FILE_LINES: (usize, usize) = (130, 350);
const FUNCTION_LINES: (usize, usize) = (8, 30);

fn too_long(file: &File) -> Vec<String> {
    let source = Source::read(&file.text);
    let mut violations = Vec::new();
    if source.lines > MAX_FILE_LINES {
        violations
            .push(format!("{}: {} lines without tests, at most {MAX_FILE_LINES}", file.path, source.lines));
    }
    for function in source.functions {
        let limit = if function.name == "main" { MAX_MAIN_LINES } else { MAX_FUNCTION_LINES };
        if function.lines > limit {
            let (path, line, name) = (&file.path, function.line, function.name);
            violations
                .push(format!("{path}:{line}: fn {name} has {} lines, at most {limit}", function.lines));
        }
    }
    violations
}

#[test]
fn no_file_and_no_function_is_too_long() {
    let files = files();
    let violations: Vec<String> = files.iter().filter(|file| file.is_rust()).flat_map(too_long).collect();
    none("too long: split by decision, adapter, configuration:", &violations);
}

#[test]
fn what_is_too_long_is_found() {
    let long = |name: &str, lines: usize| format!("fn {name}() {{\n{}}}\n", "    f();\n".repeat(lines - 2));
    let check = |text: &str| too_long(&File { path: "a.rs".into(), text: text.into() }).len();
    assert_eq!(check(&long("f", 70)), 0);
    assert_eq!(check(&long("f", 71)), 1);
    assert_eq!(check(&long("main", 61)), 1);
    assert_eq!(check(&"\n".repeat(501)), 1);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(600));
    assert_eq!(check(&tests), 0, "tests are not counted");
}

/// Median and 90th percentile.
fn quantiles(mut sizes: Vec<usize>) -> (usize, usize) {
    sizes.sort_unstable();
    let at = |percent: usize| sizes.get(sizes.len() * percent / 100).copied().unwrap_or_default();
    (at(50), at(90))
}

#[test]
fn files_and_functions_are_short_on_the_whole() {
    assert_eq!(quantiles((0..100).collect()), (50, 90));
    let files = files();
    let sources: Vec<Source> =
        files.iter().filter(|file| file.is_product()).map(|file| Source::read(&file.text)).collect();
    let by_file = quantiles(sources.iter().map(|source| source.lines).collect());
    let by_function =
        quantiles(sources.iter().flat_map(|source| &source.functions).map(|f| f.lines).collect());
    assert!(
        by_file.0 <= FILE_LINES.0 && by_file.1 <= FILE_LINES.1,
        "median and 90th percentile of files: {by_file:?}"
    );
    let within = by_function.0 <= FUNCTION_LINES.0 && by_function.1 <= FUNCTION_LINES.1;
    assert!(within, "median and 90th percentile of functions: {by_function:?}");
}

/// Code that has a better form, and the form.
const FORBIDDEN: &[(&str, &str)] = &[
    (".unwrap()", "say why it cannot fail: expect(\"…\"), or return the error"),
    ("#[allow(", "#[expect(…, reason = \"…\")] goes away with its cause"),
    ("#![allow(", "#![expect(…, reason = \"…\")] goes away with its cause"),
    ("todo!(", "write it"),
    ("unimplemented!(", "write it"),
    ("dbg!(", "remove it"),
];

fn forbidden(file: &File) -> Vec<String> {
    let source = Source::read(&file.text);
    let mut violations = Vec::new();
    for (line, code) in source.code.lines().enumerate() {
        let hits = FORBIDDEN.iter().filter(|(code_part, _)| code.contains(code_part));
        violations.extend(hits.map(|(part, cure)| format!("{}:{}: {part} — {cure}", file.path, line + 1)));
    }
    let expects = source.code.matches("[expect(").count();
    let reasons = source
        .code
        .split("[expect(")
        .skip(1)
        .filter(|rest| rest.split(']').next().unwrap_or("").contains("reason"));
    if reasons.count() < expects {
        violations.push(format!("{}: an expect without a reason", file.path));
    }
    violations
}

#[test]
fn product_code_has_no_unwrap_no_allow_and_nothing_unfinished() {
    let files = files();
    let violations: Vec<String> = files.iter().filter(|file| file.is_product()).flat_map(forbidden).collect();
    none("product code:", &violations);
    let text = "fn f() {\n    x.unwrap();\n}\n#[expect(dead_code)]\nfn g() {}\n#[cfg(test)]\nmod t { fn h() { y.unwrap() } }\n";
    let found = forbidden(&File { path: "a.rs".into(), text: text.into() });
    assert!(found.len() == 2 && found[0].starts_with("a.rs:2"), "the rule finds what it is for: {found:?}");
}

/// File names that say nothing of the content.
fn is_junk_drawer(path: &str) -> bool {
    let stem = path.rsplit('/').next().unwrap_or(path).split('.').next().unwrap_or_default();
    ["common", "helper", "helpers", "misc", "util", "utils"].contains(&stem)
}

#[test]
fn files_are_named_by_their_content() {
    assert!(is_junk_drawer("a/utils.rs") && is_junk_drawer("common.sh") && !is_junk_drawer("a/units.rs"));
    let drawers: Vec<String> =
        files().iter().map(|file| file.path.clone()).filter(|path| is_junk_drawer(path)).collect();
    none("name these by content, or keep them private to their one user:", &drawers);
}
