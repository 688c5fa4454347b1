//! `treble config`.

use super::{Context, Exit, Failure};
use crate::config::{Catalogue, Setting, Settings, reference, show, shown};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

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
            Self::Reference => context.output.raw(reference::markdown(Catalogue::standard()).as_bytes())?,
        }
        Ok(Exit::Success)
    }
}

impl Show {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let loaded = context.load(&context.options.request())?;
        let document = json!({ "settings": json_of(&loaded.settings) });
        context.output.document("config", &document, || show::toml(&loaded.settings, self.origin))
    }
}

/// Every key with its value and who set it; secrets are masked.
pub(super) fn json_of(settings: &Settings) -> Value {
    let entry = |(key, Setting { value, origin }): (&str, &Setting)| {
        let plain = serde_json::to_value(value).unwrap_or(Value::Null);
        let text = shown(key, value);
        // A masked value differs from its plain form; then only the masked one may leave.
        let value = if text == value.to_string() { plain } else { Value::String(text) };
        json!({ "key": key, "value": value, "origin": origin.kind(), "source": origin.to_string() })
    };
    settings.iter().map(entry).collect()
}
