//! Options that every verb takes.

use super::output::{Format, Output};
use super::progress::ProgressMode;
use crate::cli::failure::Failure;
use crate::config::{self, Loaded, Request, Surroundings};
use clap::Args;
use std::path::PathBuf;

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Options {
    /// Configuration file, over ./treble.toml and the user's own
    #[arg(long, global = true, value_name = "FILE", env = "TREBLE_CONFIG")]
    pub config: Option<PathBuf>,
    /// Sets a configuration key, such as commit.interval_ms=50; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
    /// Sets a librdkafka property, such as socket.keepalive.enable=true; repeatable
    #[arg(short = 'X', global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub property: Vec<(String, String)>,
    /// Kafka brokers, host:port separated by commas
    #[arg(short, long, global = true, value_name = "LIST")]
    pub bootstrap_servers: Option<String>,
    /// Address of the schema registry
    #[arg(long, global = true, value_name = "URL")]
    pub registry_url: Option<String>,
    /// First part of all topic names
    #[arg(long, global = true, value_name = "NAME")]
    pub prefix: Option<String>,
    /// How data is printed
    #[arg(long, global = true, value_enum, default_value_t, env = "TREBLE_OUTPUT", value_name = "FORMAT")]
    pub output: Format,
    /// How long work shows its progress, on standard error
    #[arg(long, global = true, value_enum, env = "TREBLE_PROGRESS", value_name = "FORM")]
    pub progress: Option<ProgressMode>,
}

impl Options {
    /// What these options set, to which a verb adds its own flags.
    #[must_use]
    pub fn request(&self) -> Request {
        let mut request = Request { file: self.config.clone(), ..Request::default() };
        let short = [
            ("kafka.bootstrap_servers", &self.bootstrap_servers, "--bootstrap-servers"),
            ("registry.url", &self.registry_url, "--registry-url"),
            ("prefix", &self.prefix, "--prefix"),
        ];
        for (key, value, flag) in short {
            if let Some(value) = value {
                request.set(key, value, flag);
            }
        }
        for (name, value) in &self.property {
            request.set(&format!("kafka.properties.{name}"), value, &format!("-X {name}"));
        }
        for (key, value) in &self.set {
            request.set(key, value, &format!("--set {key}"));
        }
        request
    }
}

/// What a verb runs with.
#[derive(Debug, Clone)]
pub struct Context {
    /// The common options.
    pub options: Options,
    /// Where it prints.
    pub output: Output,
    /// The environment, observed once.
    pub surroundings: Surroundings,
}

impl Context {
    /// The configuration that the common options and `request` lead to; warnings are printed.
    pub fn load(&self, request: &Request) -> Result<Loaded, Failure> {
        let loaded = config::load(request, &self.surroundings)?;
        loaded.warnings.iter().for_each(|warning| self.output.warning(warning));
        Ok(loaded)
    }
}

/// `key=value`.
fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    if key.trim().is_empty() {
        return Err("the key is empty: write KEY=VALUE".to_owned());
    }
    Ok((key.trim().to_owned(), value.to_owned()))
}
