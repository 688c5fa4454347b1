//! The fields of a log line, stated once. The JSON Schema, Azure's table and rule, the lake's columns and the page of the
//! documentation are written from this list; [`super::line`] fills it.

use super::event::{Category, Event};
use crate::telemetry::labels::{Closed, ErrorType};
use serde_json::{Map, Value, json};

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A point in time: RFC 3339 in UTC with microseconds.
    Time,
    /// Text.
    Text,
    /// One of a closed set, which [`Field::values`] lists.
    Closed,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Names and texts that are no field of their own.
    Attributes,
}

/// A field of a line, and so a column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its name in a line and in the lake.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether every line has it.
    pub required: bool,
    /// Names that calls of `tracing` use for it besides its own.
    pub aliases: &'static [&'static str],
    /// What it says.
    pub meaning: &'static str,
}

/// Declares the fields, and the place of each in a line.
macro_rules! fields {
    ($($name:ident: $kind:ident $required:literal [$($alias:literal),*] $meaning:literal;)+) => {
        /// All fields, in the order in which a line has them.
        pub const FIELDS: &[Field] = &[$(Field {
            name: stringify!($name),
            kind: Kind::$kind,
            required: $required,
            aliases: &[$($alias),*],
            meaning: $meaning,
        },)+];
    };
}

fields! {
    time: Time true [] "When it happened, in UTC.";
    level: Closed true [] "How grave it is.";
    target: Text true [] "The module that tells of it.";
    message: Text true [] "What happened, for people; the same words for the same thing.";
    component: Text true [] "What the process is: a stage, pipeline (several stages), sql, lag or canary.";
    instance: Text true [] "Which process: instance_id.";
    pipeline: Text true [] "Which pipeline: the prefix of its topics.";
    stage: Text false ["segment"] "The stage, or the stages of a fused segment joined by -.";
    event: Closed false [] "What it tells of, for programs.";
    error: Text false ["fault", "reason", "why"] "What went wrong, with its causes.";
    error_code: Text false ["code"] "The exact code, as in the dead letter.";
    error_type: Closed false [] "The kind of error, as in metrics.";
    error_category: Closed false [] "What is at fault; every warning and error has it.";
    duration_seconds: Number false [] "How long it took.";
    topic: Text false [] "The topic.";
    record_partition: Integer false ["partition"] "The partition.";
    record_offset: Integer false ["offset"] "The offset of the record.";
    stream_id: Text false ["stream"] "The stream: the record's key.";
    trace_id: Text false [] "The trace (W3C Trace Context), 32 hexadecimal digits.";
    span_id: Text false [] "The span, 16 hexadecimal digits.";
    client_ip: Text false ["client"] "Who came to a door.";
    suppressed: Integer false [] "Lines of the same place that this line stands for.";
    attributes: Attributes false [] "All else that is known, as text.";
}

/// The levels, as they are written.
pub const LEVELS: &[&str] = &["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

impl Field {
    /// The field that a value called `name` belongs to, with its place; `None` where it is an attribute.
    #[must_use]
    pub fn called(name: &str) -> Option<(usize, &'static Self)> {
        let own = |field: &Self| {
            field.kind != Kind::Attributes && (field.name == name || field.aliases.contains(&name))
        };
        FIELDS.iter().enumerate().find(|(_, field)| own(field))
    }

    /// The values that it can have; empty where they are not a closed set.
    #[must_use]
    pub fn values(&self) -> Vec<&'static str> {
        match self.name {
            "level" => LEVELS.to_vec(),
            "event" => Event::ALL.iter().map(|event| event.text()).collect(),
            "error_type" => ErrorType::ALL.iter().map(|kind| kind.text()).collect(),
            "error_category" => Category::ALL.iter().map(|category| category.text()).collect(),
            _ => Vec::new(),
        }
    }

    /// Its column in Azure: `record_offset` is `RecordOffset`, and the time is what every table has.
    #[must_use]
    pub fn column(&self) -> String {
        if self.kind == Kind::Time {
            return "TimeGenerated".to_owned();
        }
        let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
        self.name.split('_').map(capital).collect()
    }

    fn json_schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Time => json!({ "type": "string", "format": "date-time", "pattern": TIME }),
            Kind::Text if self.name == "trace_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
            Kind::Text if self.name == "span_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }),
            Kind::Text => json!({ "type": "string" }),
            Kind::Closed => json!({ "enum": self.values() }),
            Kind::Integer => json!({ "type": "integer" }),
            Kind::Number => json!({ "type": "number" }),
            Kind::Attributes => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        };
        schema["description"] = json!(self.meaning);
        schema
    }
}

/// How a time is written.
const TIME: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$";

/// The JSON Schema (2020-12) of a line: what `monitoring/logs/schema.json` holds.
#[must_use]
pub fn json_schema() -> Value {
    let properties: Map<String, Value> =
        FIELDS.iter().map(|field| (field.name.to_owned(), field.json_schema())).collect();
    let required: Vec<&str> = FIELDS.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of Treble's log",
        "description": "Written by `treble logs schema`; change pipeline/src/telemetry/log/schema.rs instead.",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A document as it is kept in the repository.
#[must_use]
pub fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_repository_is_this_one() {
        let kept = include_str!("../../../../monitoring/logs/schema.json");
        assert!(
            kept == pretty(&json_schema()),
            "write it anew: treble logs schema > monitoring/logs/schema.json"
        );
    }

    #[test]
    fn every_name_belongs_to_one_field() {
        let names: Vec<&str> = FIELDS
            .iter()
            .flat_map(|field| [field.name].into_iter().chain(field.aliases.iter().copied()))
            .collect();
        let single: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(single.len(), names.len());
        assert_eq!(Field::called("segment").map(|(_, field)| field.name), Some("stage"));
        assert_eq!(Field::called("attributes"), None, "what is called so is one of them");
        assert!(FIELDS.iter().all(|field| (field.kind == Kind::Closed) != field.values().is_empty()));
    }

    #[test]
    fn columns_are_in_pascal_case() {
        let columns: Vec<String> = FIELDS.iter().map(Field::column).collect();
        assert_eq!(columns[..2], ["TimeGenerated", "Level"]);
        assert!(columns.contains(&"RecordOffset".to_owned()) && columns.contains(&"ClientIp".to_owned()));
    }
}
