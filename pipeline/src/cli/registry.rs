//! The schema registry, as commands use it: asked once, without waiting for it to come up.

use super::Failure;
use crate::config::Config;
use crate::schema_registry::{ContractIds, Registration, RegistryAccess, SchemaRegistry};
use crate::stages::STAGES;
use std::time::Duration;
use treble_schemas::Topics;

/// The most that one question to the registry takes: one that has just started is slow with its first answers.
const PATIENCE: Duration = Duration::from_secs(15);

/// The ids of the contracts; registers missing ones where the configuration allows it.
pub(super) fn contract_ids(config: &Config) -> Result<ContractIds, Failure> {
    let registration =
        if config.registry.auto_register { Registration::Register } else { Registration::Require };
    ids(config, registration)
}

/// The ids of the contracts, under `registration`.
pub(super) fn ids(config: &Config, registration: Registration) -> Result<ContractIds, Failure> {
    let registry = SchemaRegistry::new(&RegistryAccess::read(&config.registry)?, PATIENCE)?;
    let stages: Vec<&str> = STAGES.iter().map(|entry| entry.name).collect();
    Ok(registry.contract_ids(&topics(config), &stages, registration)?)
}

/// The names of the pipeline's topics.
pub(super) fn topics(config: &Config) -> Topics {
    Topics::new(&config.prefix).expect("the prefix was checked with the configuration")
}
