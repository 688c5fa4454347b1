//! README.md says what is there: its examples are the files that are tested, its commands are ones that parse.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The blocks of code of a Markdown text, as language and content.
fn blocks(markdown: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in markdown.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => open = Some((language, String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some((_, content)), None) => *content += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    blocks
}

/// The commands of a text's shell blocks, split into words, without comments and what follows a pipe.
fn commands(markdown: &str) -> Vec<Vec<String>> {
    let shell = blocks(markdown).into_iter().filter(|(language, _)| *language == "sh");
    let lines: String = shell.map(|(_, content)| content.replace("\\\n", " ")).collect();
    let command = |line: &str| -> Vec<String> {
        words(line).into_iter().take_while(|word| !word.starts_with(['#', '|', '>', '&'])).collect()
    };
    lines.lines().map(command).filter(|words| !words.is_empty()).collect()
}

/// The words of a line; what stands between quotes is one.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), _) if c == open => quote = None,
            (None, _) if c.is_whitespace() => words.push(String::new()),
            _ => words.last_mut().expect("one from the start").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Commands of `markdown` that do not exist: `treble` lines that do not parse, targets that make does not know.
fn wrong(markdown: &str, makefile: &str) -> Vec<String> {
    let is_wrong = |words: &Vec<String>| match words[0].as_str() {
        "treble" => treble_pipeline::cli::command().try_get_matches_from(words).is_err(),
        "make" => {
            words[1..].iter().any(|word| !word.contains('=') && !makefile.contains(&format!("\n{word}:")))
        }
        _ => false,
    };
    commands(markdown).iter().filter(|words| is_wrong(words)).map(|words| words.join(" ")).collect()
}

#[test]
fn every_example_is_quoted_as_it_is() {
    let readme = text("README.md");
    let blocks = blocks(&readme);
    let folder = fs::read_dir(root().join("examples/python")).expect("the examples are there");
    let paths: Vec<PathBuf> = folder.map(|entry| entry.expect("the folder is readable").path()).collect();
    let scripts = paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "py"));
    let mut count = 0;
    for path in scripts {
        let script = fs::read_to_string(path).expect("the example is text");
        assert!(
            blocks.iter().any(|(_, block)| *block == script),
            "README.md does not quote {}",
            path.display()
        );
        let lines = script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).count();
        assert!(lines <= 15, "{} has {lines} lines: too many for an example", path.display());
        count += 1;
    }
    assert!(count >= 2, "a producer and a consumer");
}

#[test]
fn every_command_in_the_documents_exists() {
    let makefile = text("Makefile");
    let mut tried = 0;
    for path in ["README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docs/report.md", "docs/sql.md"] {
        let document = text(path);
        tried += commands(&document).len();
        assert_eq!(wrong(&document, &makefile), Vec::<String>::new(), "{path}");
    }
    assert!(tried > 10, "only {tried} commands were found");
}

#[test]
fn a_command_that_does_not_exist_is_found() {
    let document = "x\n```sh\ntreble fetch song -o song.flac   # fine\nmake demo FILE=a.mp3\ntreble fly\nmake tea\n\
                    treble graph | less\n```\n```text\ntreble fly\n```\n";
    assert_eq!(wrong(document, "all:\ndemo: build\n"), ["treble fly", "make tea"]);
}
