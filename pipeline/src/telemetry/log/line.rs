//! One line of the log: what was captured, and how it is written for collectors and for people.

use super::event::{Category, Event};
use super::schema::{FIELDS, Field, Kind, called, values};
use crate::clock::rfc3339;
use crate::redact::{HIDDEN, is_secret_name, redact};
use crate::telemetry::labels::ErrorType;
use serde_json::{Map, Value as Json, json};
use std::borrow::Cow;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use tracing::Level;

/// Bytes of one text, at most: a column of Log Analytics takes 64 KiB, and a call of its API a megabyte.
const TEXT_BYTES: usize = 16 << 10;

/// A value as it was given.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
    Bool(bool),
}

impl Value {
    fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Bool(truth) => Cow::Owned(truth.to_string()),
        }
    }

    /// As a field of that kind holds it; `None` where it cannot.
    fn fitting(&self, field: &Field) -> Option<Json> {
        let text = self.text();
        match field.kind {
            Kind::Integer => text.parse::<i64>().ok().map(Json::from),
            Kind::Number => text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Json::from),
            Kind::Closed => values(field).contains(&&*text).then(|| json!(text)),
            Kind::Text if field.name == "client_ip" => address(&text).map(|ip| json!(ip.to_string())),
            Kind::Text if field.name == "trace_id" => is_hex(&text, 32).then(|| json!(text)),
            Kind::Text if field.name == "span_id" => is_hex(&text, 16).then(|| json!(text)),
            Kind::Text => Some(json!(text)),
            Kind::Time | Kind::Attributes => None,
        }
    }
}

fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Who writes the log: the same in all its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) component: String,
    pub(super) instance: String,
    pub(super) pipeline: String,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    pub(super) unix_us: i64,
    pub(super) level: Level,
    pub(super) target: String,
    pub(super) message: String,
    /// Those of the spans around it, the outermost first, and then its own.
    pub(super) fields: Vec<(&'static str, Value)>,
    /// Whether its place has written too much for all but the audit log.
    pub(super) audit_only: bool,
}

impl Line {
    /// Whether the audit log has it.
    pub(super) fn is_audited(&self) -> bool {
        let named = self.fields.iter().rev().find(|(name, _)| *name == "event");
        named.and_then(|(_, value)| Event::of(&value.text())).is_some_and(Event::is_audited)
    }

    /// Without secrets, and with texts of bounded length. What is written has gone through here.
    pub(super) fn redacted(mut self) -> Self {
        bound(&mut self.message);
        self.target = redact(&self.target).into_owned();
        for (name, value) in &mut self.fields {
            if is_secret_name(name) {
                *value = Value::Text(HIDDEN.to_owned());
            } else if let Value::Text(text) = value {
                bound(text);
            }
        }
        self
    }

    /// One JSON object, as `monitoring/logs/schema.json` has it; no line break inside.
    pub(super) fn json(&self, identity: &Identity) -> String {
        let mut columns: Vec<Option<Json>> = vec![None; FIELDS.len()];
        let mut attributes = Map::new();
        for (name, value) in &self.fields {
            let own = called(name).and_then(|(place, field)| Some((place, value.fitting(field)?)));
            match own {
                Some((place, fitting)) => columns[place] = Some(fitting),
                None => drop(attributes.insert((*name).to_owned(), json!(value.text()))),
            }
        }
        let mut set = |name: &str, value: Json| {
            if let Some((place, _)) = called(name) {
                columns[place] = Some(value);
            }
        };
        set("time", json!(rfc3339(self.unix_us)));
        set("level", json!(self.level.as_str()));
        set("target", json!(self.target));
        set("message", json!(self.message));
        set("component", json!(identity.component));
        set("instance", json!(identity.instance));
        set("pipeline", json!(identity.pipeline));
        let error = self.error_type();
        if let Some(error) = error {
            set("error_type", json!(error.text()));
        }
        if let Some(category) = self.category(error) {
            set("error_category", json!(category.text()));
        }
        if !attributes.is_empty()
            && let Some(place) = FIELDS.iter().position(|field| field.kind == Kind::Attributes)
        {
            columns[place] = Some(Json::Object(attributes));
        }
        joined(&columns)
    }

    /// For people: time, level, module, message, and what is known besides. Control characters are written out, so that no value
    /// begins a line of its own or moves a terminal's cursor.
    pub(super) fn text(&self, coloured: bool) -> String {
        let (dim, off) = if coloured { ("\u{1b}[2m", "\u{1b}[0m") } else { ("", "") };
        let colour = if coloured { colour(self.level) } else { "" };
        let mut line = format!(
            "{dim}{}{off} {colour}{:>5}{off} {dim}{}:{off} {}",
            rfc3339(self.unix_us),
            self.level,
            self.target,
            plain(&self.message)
        );
        for (name, value) in &self.fields {
            let text = value.text();
            let bare = !text.is_empty() && !text.contains(|char: char| char.is_whitespace() || char == '"');
            let shown = plain(&text);
            let quote = if bare { "" } else { "\"" };
            write!(line, " {dim}{name}={off}{quote}{shown}{quote}").expect("a String takes all");
        }
        line
    }

    fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.fields.iter().rev().find(|(other, _)| *other == name).map(|(_, value)| value.text())
    }

    fn error_type(&self) -> Option<ErrorType> {
        let code = self.value("code").or_else(|| self.value("error_code"))?;
        Some(ErrorType::of(&code).unwrap_or(ErrorType::Other))
    }

    /// What is at fault: nothing, where nothing went wrong.
    fn category(&self, error: Option<ErrorType>) -> Option<Category> {
        let of_error = error.map(Category::of);
        if of_error.is_none() && self.level > Level::WARN {
            return None;
        }
        let of_event = || self.value("event").and_then(|name| Event::of(&name)).map(Event::category);
        Some(of_error.or_else(of_event).unwrap_or_else(|| of_module(&self.target)))
    }
}

/// What is at fault where only the module that tells of it is known.
fn of_module(target: &str) -> Category {
    let module = target.strip_prefix("treble_pipeline::").unwrap_or(target);
    let rooms = [
        ("kafka", Category::Kafka),
        ("lag", Category::Kafka),
        ("telemetry::lag", Category::Kafka),
        ("schema_registry", Category::Registry),
        ("lake", Category::Lake),
        ("telemetry::lake", Category::Lake),
        ("deltalake", Category::Lake),
        ("buoyant_kernel", Category::Lake),
        ("gpu", Category::Device),
        ("telemetry::gpu", Category::Device),
        ("ort", Category::Device),
    ];
    rooms.iter().find(|(room, _)| module.starts_with(room)).map_or(Category::Other, |(_, category)| *category)
}

fn joined(columns: &[Option<Json>]) -> String {
    let mut line = String::from("{");
    for (field, value) in FIELDS.iter().zip(columns) {
        if let Some(value) = value {
            let comma = if line.len() > 1 { "," } else { "" };
            write!(line, "{comma}\"{}\":{value}", field.name).expect("a String takes all");
        }
    }
    line.push('}');
    line
}

/// Hides what is secret first: what was cut off first might not be recognised any more.
fn bound(text: &mut String) {
    if let Cow::Owned(clean) = redact(text) {
        *text = clean;
    }
    if text.len() > TEXT_BYTES {
        let keep = text.floor_char_boundary(TEXT_BYTES);
        let rest = text.len() - keep;
        text.truncate(keep);
        write!(text, "… ({rest} bytes more)").expect("a String takes all");
    }
}

fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = |char: char| {
        if char.is_control() { char.escape_default().to_string() } else { char.to_string() }
    };
    Cow::Owned(text.chars().map(shown).collect())
}

const fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        Level::DEBUG => "\u{1b}[34m",
        Level::TRACE => "\u{1b}[35m",
    }
}

#[cfg(test)]
mod tests;
