//! The one place that prints: data to standard output, talk to standard error.

use super::failure::Failure;
use crate::config::Fault;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, IsTerminal, Write};

/// The version of every JSON document. A field may be added within a version, not removed or changed.
pub const JSON_VERSION: u32 = 1;

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line, each with `version` and `kind`.
    Json,
}

/// Prints in one format.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    format: Format,
    colour: bool,
}

impl Output {
    /// An output in `format`; `no_colour` is the wish of `NO_COLOR`.
    #[must_use]
    pub fn new(format: Format, no_colour: bool) -> Self {
        Self { format, colour: !no_colour && io::stderr().is_terminal() }
    }

    /// Whether programs read it.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints one document: `value` as JSON with its `kind`, or the `text` made for people.
    pub fn document(
        &self,
        kind: &str,
        value: &impl Serialize,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        let line = match self.format {
            Format::Json => versioned(kind, value),
            Format::Text => text(),
        };
        self.raw(format!("{}\n", line.trim_end_matches('\n')).as_bytes())
    }

    /// Writes bytes to standard output as they are.
    pub fn raw(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| Failure::stdout(&error))
    }

    /// Says something to the person at the terminal; programs are not bothered with it.
    pub fn say(&self, text: &str) {
        if self.format == Format::Text {
            talk(text);
        }
    }

    /// Tells of something odd.
    pub fn warning(&self, fault: &Fault) {
        match self.format {
            Format::Json => talk(&versioned("warning", &fault_json(fault))),
            Format::Text => talk(&format!("{} {fault}", self.paint("warning:", "33"))),
        }
    }

    /// Tells of a failure.
    pub fn failure(&self, failure: &Failure) {
        match self.format {
            Format::Json => talk(&versioned("error", &failure_json(failure))),
            Format::Text => talk(&format!("{} {failure}", self.paint("error:", "31"))),
        }
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.colour { format!("\u{1b}[1;{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Writes a line to standard error. Where even that is gone there is nobody left to tell.
pub(super) fn talk(line: &str) {
    drop(writeln!(io::stderr().lock(), "{line}"));
}

/// `value` as a line of JSON that says its kind and version.
pub(super) fn versioned(kind: &str, value: &impl Serialize) -> String {
    let mut document = json!({ "version": JSON_VERSION, "kind": kind });
    match serde_json::to_value(value).expect("documents have text keys and finite numbers") {
        Value::Object(fields) => document.as_object_mut().expect("made above").extend(fields),
        other => document["data"] = other,
    }
    document.to_string()
}

fn failure_json(failure: &Failure) -> Value {
    json!({
        "code": failure.exit.code(),
        "what": failure.what,
        "why": failure.why,
        "fix": failure.fix,
        "faults": failure.faults.iter().map(fault_json).collect::<Vec<_>>(),
    })
}

/// A fault for programs.
pub(super) fn fault_json(fault: &Fault) -> Value {
    json!({
        "key": fault.key,
        "value": fault.value,
        "origin": fault.origin.as_ref().map(ToString::to_string),
        "problem": fault.problem,
        "fix": fault.fix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_says_its_version_and_kind() {
        let line = versioned("topic", &json!({ "name": "a" }));
        let document: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(document, json!({ "version": 1, "kind": "topic", "name": "a" }));
    }
}
