//! Configuration: sources → settings with origins → one checked [`Config`].
//!
//! Data flow: `sources` reads defaults, files, environment and flags · `settings` lays them over each other and
//! knows who set what · `raw` is the shape they must have · `validate` is the one pure function that turns it
//! into a [`Config`] or into *all* its faults · `keys` describes every key, from the comments of
//! `default.toml` and of each stage's own section · `reference` prints that description, `show` the values.
//!
//! Precedence, highest first: flag, `TREBLE_*`, `--config FILE`, `./treble.toml`, the user's configuration
//! folder, the default. Nothing outside this module reads the environment. Deliberately absent: globals.

mod fault;
pub mod keys;
mod origin;
mod raw;
pub mod reference;
mod settings;
pub mod show;
mod sources;
mod types;
mod validate;

#[cfg(test)]
mod tests;

pub use fault::{ConfigFaults, Fault};
pub use keys::Catalogue;
pub use origin::Origin;
pub use settings::{Setting, Settings, shown};
pub use sources::{Assignment, FILE_NAME, Request, Surroundings};
pub use types::{
    AdminConfig, CommitConfig, Config, EventsConfig, FlowConfig, GpuConfig, KafkaConfig, LakeConfig,
    LogConfig, LogFormat, Loudness, OnLostRestart, OnNewTopology, RegistryConfig, SaslMechanism,
    SecurityProtocol, SqlConfig, TopicsConfig, TracesConfig,
};

/// A configuration, and how it came about.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What each key was set to, and by whom.
    pub settings: Settings,
    /// What is allowed, but probably not meant.
    pub warnings: Vec<Fault>,
}

/// Reads all sources and checks the result.
///
/// # Errors
/// Every fault that was found, in all sources at once.
pub fn load(request: &Request, surroundings: &Surroundings) -> Result<Loaded, ConfigFaults> {
    load_from(Catalogue::standard(), request, surroundings)
}

fn load_from(
    catalogue: &'static Catalogue,
    request: &Request,
    surroundings: &Surroundings,
) -> Result<Loaded, ConfigFaults> {
    let sources::Gathered { settings, faults, mut warnings } =
        sources::gather(catalogue, request, surroundings);
    let checked = validate::check(settings, faults)?;
    warnings.extend(checked.warnings);
    Ok(Loaded { config: checked.config, settings: checked.settings, warnings })
}
