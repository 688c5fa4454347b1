//! One record, taken apart.

use crate::rows::Record;
use crate::times;
use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use serde_json::{Map, Value as Json};
use treble_schemas::line::{CANARY, FIELDS, Field, Kind};

/// What a field holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
}

impl Value {
    pub(super) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) const fn integer(&self) -> Option<i64> {
        if let Self::Integer(number) = self { Some(*number) } else { None }
    }

    pub(super) const fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self { Some(*number) } else { None }
    }

    /// `json` as a field of `kind` holds it.
    ///
    /// # Errors
    /// What it is, where it is of another kind.
    fn of(kind: Kind, json: Json) -> Result<Self, Json> {
        match (kind, json) {
            (Kind::Text | Kind::Closed, Json::String(text)) => Ok(Self::Text(text)),
            (Kind::Integer, json) => json.as_i64().map(Self::Integer).ok_or(json),
            (Kind::Number, json) => json.as_f64().map(Self::Number).ok_or(json),
            (_, json) => Err(json),
        }
    }
}

/// A record as a row.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    /// When it happened, in microseconds of Unix time; of a record that is no line, when it was published.
    pub(super) time_us: i64,
    /// By the place in [`FIELDS`]; time and attributes are apart.
    pub(super) fields: Vec<Option<Value>>,
    /// A JSON object.
    pub(super) attributes: Option<String>,
    /// The record, where it is no line.
    pub(super) raw: Option<String>,
}

impl Line {
    pub(super) fn read(record: &Record) -> Self {
        let value = record.value.as_deref().unwrap_or_default();
        let parsed = match serde_json::from_slice(value) {
            Ok(Json::Object(object)) => Self::of(object),
            _ => None,
        };
        parsed.unwrap_or_else(|| Self {
            time_us: times::of_record_us(record.timestamp_ms),
            fields: vec![None; FIELDS.len()],
            attributes: None,
            raw: Some(String::from_utf8_lossy(value).into_owned()),
        })
    }

    /// `None` where it has no time that can be read.
    fn of(mut object: Map<String, Json>) -> Option<Self> {
        let time_us = time_us(&object)?;
        let mut attributes = match object.remove(name_of(Kind::Attributes)) {
            Some(Json::Object(attributes)) => attributes,
            Some(other) => [(name_of(Kind::Attributes).to_owned(), other)].into_iter().collect(),
            None => Map::new(),
        };
        object.remove(name_of(Kind::Time));
        let mut take = |field: &Field| {
            let json = object.remove(field.name)?;
            match Value::of(field.kind, json) {
                Ok(value) => Some(value),
                Err(json) => {
                    attributes.insert(field.name.to_owned(), json);
                    None
                }
            }
        };
        let fields = FIELDS.iter().map(&mut take).collect();
        attributes.extend(object);
        let attributes = (!attributes.is_empty()).then(|| Json::Object(attributes).to_string());
        Some(Self { time_us, fields, attributes, raw: None })
    }

    /// Whether it proves that lines arrive.
    pub(super) fn is_canary(&self) -> bool {
        let place = FIELDS.iter().position(|field| field.name == "event");
        place.and_then(|place| self.fields[place].as_ref()).and_then(Value::text) == Some(CANARY)
    }
}

/// The field of a kind that only one has.
fn name_of(kind: Kind) -> &'static str {
    FIELDS.iter().find(|field| field.kind == kind).map_or("", |field| field.name)
}

fn time_us(object: &Map<String, Json>) -> Option<i64> {
    let text = object.get(name_of(Kind::Time))?.as_str()?;
    let time_us = string_to_timestamp_nanos(text).ok()?.div_euclid(1_000);
    times::is_sane(time_us).then_some(time_us)
}
