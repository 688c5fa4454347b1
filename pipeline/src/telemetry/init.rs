//! The log: one line an event on standard error, for people or for collectors.

use crate::config::{LogConfig, LogFormat};
use std::io::{self, IsTerminal};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

/// Libraries that tell of every step at `info`, with all that they know of a table in each line. They are heard where
/// `log.level` names them.
const TALKATIVE: &str = "buoyant_kernel=error,deltalake_core=error";

/// Starts the log as configured. Levels were validated with the configuration; what does not parse here
/// falls back to `info`. A second call changes nothing.
pub fn init(config: &LogConfig) {
    let targets = format!("{TALKATIVE},{}", config.level).parse();
    let targets = targets.unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO));
    let layer = match config.format {
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed(),
        LogFormat::Text => fmt::layer().with_ansi(coloured()).with_writer(io::stderr).boxed(),
    };
    // Only a process that already has a log, such as a test, refuses a second one.
    drop(tracing_subscriber::registry().with(layer.with_filter(targets)).try_init());
}

/// Colours are for terminals, and for people who did not ask to be spared them (no-color.org).
fn coloured() -> bool {
    io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
