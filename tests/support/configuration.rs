//! A configuration for a private topic prefix on a private stack.

use crate::broker::LocalStack;
use anyhow::{Result, anyhow};
use std::net::TcpListener;
use std::path::Path;
use treble_pipeline::config::{self, Config, Request, Surroundings};
use treble_pipeline::runtime::model::find_library;

/// Partitions of every audio topic in tests.
pub const PARTITIONS: u32 = 4;

/// The settings that tie a process to `stack` under `prefix`, as key and value.
#[must_use]
pub fn settings(stack: &LocalStack, prefix: &str) -> Vec<(&'static str, String)> {
    vec![
        ("prefix", prefix.to_owned()),
        ("kafka.bootstrap_servers", stack.bootstrap_servers().to_owned()),
        ("registry.url", stack.schema_registry_url().to_owned()),
        ("topics.partitions", PARTITIONS.to_string()),
        ("admin.listen", "127.0.0.1:0".to_owned()),
    ]
}

/// A checked configuration from `settings`, blind to this machine's files and environment.
pub fn config(settings: &[(&'static str, String)]) -> Result<Config> {
    let mut request = Request::default();
    for (key, value) in settings {
        request.set(key, value, "--test");
    }
    let surroundings = Surroundings { host_name: "test".to_owned(), ..Surroundings::default() };
    let loaded = config::load(&request, &surroundings).map_err(|faults| anyhow!("{faults}"))?;
    Ok(loaded.config)
}

/// A port that was free a moment ago.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The settings that make the stage upscale use the model that the repository ships. `make setup` installs the library.
pub fn with_model() -> Result<Vec<(&'static str, String)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let library = find_library(std::slice::from_ref(&root))
        .ok_or_else(|| anyhow!("no ONNX Runtime under {}: run `make setup`", root.display()))?;
    let model = root.join("stages/upscale/model/treble.onnx");
    Ok(vec![
        ("upscale.mode", "ai".to_owned()),
        ("upscale.model", model.display().to_string()),
        ("engine.library", library.display().to_string()),
        ("engine.device", "cpu".to_owned()),
    ])
}
