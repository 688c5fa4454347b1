//! `treble config`.

use super::{Context, Exit, Failure};
use crate::config::{Setting, Settings, keys, reference, shown};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fmt::Write;

/// Shows and explains the configuration
#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Prints the configuration in force as TOML; secrets are masked
    Show(Show),
    /// Prints the reference of all keys as Markdown
    Reference,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Says beside each value who set it
    #[arg(long)]
    origin: bool,
}

impl ConfigVerb {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Show(show) => show.run(context)?,
            Self::Reference => context.output.raw(reference::markdown().as_bytes())?,
        }
        Ok(Exit::Success)
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let loaded = context.load(&context.options.request())?;
        let document = json!({ "settings": json_of(&loaded.settings) });
        context.output.document("config", &document, || toml_of(&loaded.settings, self.origin))
    }
}

fn json_of(settings: &Settings) -> Value {
    let entry = |(key, Setting { value, origin }): (&str, &Setting)| {
        let plain = serde_json::to_value(value).unwrap_or(Value::Null);
        let text = shown(key, value);
        // A masked value differs from its plain form; then only the masked one may leave.
        let value = if text == value.to_string() { plain } else { Value::String(text) };
        json!({ "key": key, "value": value, "origin": origin.kind(), "source": origin.to_string() })
    };
    settings.iter().map(entry).collect()
}

fn toml_of(settings: &Settings, with_origin: bool) -> String {
    let mut text = String::new();
    for section in keys::sections() {
        if !section.path.is_empty() {
            write!(text, "\n[{}]\n", section.path).expect("a String takes all");
        }
        let known = section.keys.iter().map(|key| key.path.as_str());
        let dotted = format!("{}.", section.path);
        let is_free = section.path == "kafka.properties";
        let free = settings.iter().filter(|(key, _)| is_free && key.starts_with(&dotted));
        for key in known.chain(free.map(|(key, _)| key)) {
            let name = key.strip_prefix(&dotted).unwrap_or(key);
            let quoted = if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
            text += &line(&quoted, key, settings, with_origin);
        }
    }
    text
}

fn line(name: &str, key: &str, settings: &Settings, with_origin: bool) -> String {
    let Some(Setting { value, origin }) = settings.get(key) else { return String::new() };
    let assignment = format!("{name} = {}", shown(key, value));
    if with_origin { format!("{assignment:<48} # {origin}\n") } else { format!("{assignment}\n") }
}
