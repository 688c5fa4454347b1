//! What fields of a log line ([`FIELDS`]) hold here: the values of closed sets, names that calls of `tracing` use for them, and
//! their JSON Schema. [`super::line`] fills them.

use super::event::{Category, Event};
use crate::telemetry::labels::{Closed, ErrorType};
use serde_json::{Map, Value, json};
pub use treble_schemas::line::{FIELDS, Field, Kind};

/// Names that calls of `tracing` use for a field besides its own.
const ALIASES: &[(&str, &[&str])] = &[
    ("stage", &["segment"]),
    ("error", &["fault", "reason", "why"]),
    ("error_code", &["code"]),
    ("record_partition", &["partition"]),
    ("record_offset", &["offset"]),
    ("stream_id", &["stream"]),
    ("client_ip", &["client"]),
];

/// The levels, as they are written.
pub const LEVELS: &[&str] = &["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

fn aliases(field: &Field) -> &'static [&'static str] {
    ALIASES.iter().find(|(name, _)| *name == field.name).map_or(&[], |(_, aliases)| aliases)
}

/// The field that a value called `name` belongs to, with its place; `None` where it is an attribute.
#[must_use]
pub fn called(name: &str) -> Option<(usize, &'static Field)> {
    let own = |field: &Field| {
        field.kind != Kind::Attributes && (field.name == name || aliases(field).contains(&name))
    };
    FIELDS.iter().enumerate().find(|(_, field)| own(field))
}

/// The values that `field` can have; empty where they are not a closed set.
#[must_use]
pub fn values(field: &Field) -> Vec<&'static str> {
    match field.name {
        "level" => LEVELS.to_vec(),
        "event" => Event::ALL.iter().map(|event| event.text()).collect(),
        "error_type" => ErrorType::ALL.iter().map(|kind| kind.text()).collect(),
        "error_category" => Category::ALL.iter().map(|category| category.text()).collect(),
        _ => Vec::new(),
    }
}

fn json_schema_of(field: &Field) -> Value {
    let mut schema = match field.kind {
        Kind::Time => json!({ "type": "string", "format": "date-time", "pattern": TIME }),
        Kind::Text if field.name == "trace_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{32}$" }),
        Kind::Text if field.name == "span_id" => json!({ "type": "string", "pattern": "^[0-9a-f]{16}$" }),
        Kind::Text => json!({ "type": "string" }),
        Kind::Closed => json!({ "enum": values(field) }),
        Kind::Integer => json!({ "type": "integer" }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Attributes => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    };
    schema["description"] = json!(field.meaning);
    schema
}

/// How a time is written.
const TIME: &str = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$";

/// The JSON Schema (2020-12) of a line: what `monitoring/logs/schema.json` holds.
#[must_use]
pub fn json_schema() -> Value {
    let properties: Map<String, Value> =
        FIELDS.iter().map(|field| (field.name.to_owned(), json_schema_of(field))).collect();
    let required: Vec<&str> = FIELDS.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of Treble's log",
        "description": "Written by `treble logs schema`; change schemas/src/line.rs instead.",
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
            .flat_map(|field| [field.name].into_iter().chain(aliases(field).iter().copied()))
            .collect();
        let single: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(single.len(), names.len());
        assert_eq!(called("segment").map(|(_, field)| field.name), Some("stage"));
        assert_eq!(called("attributes"), None, "what is called so is one of them");
        assert!(ALIASES.iter().all(|(name, _)| called(name).is_some_and(|(_, field)| field.name == *name)));
        assert!(FIELDS.iter().all(|field| (field.kind == Kind::Closed) != values(field).is_empty()));
    }
}
