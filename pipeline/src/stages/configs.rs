//! What each stage is configured with, its type forgotten and remembered.

use super::STAGES;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use treble_core::Stage;

trait AnyConfig: Any + fmt::Debug + Send + Sync {}

impl<C: Any + fmt::Debug + Send + Sync> AnyConfig for C {}

/// The configuration of one stage.
#[derive(Debug, Clone)]
pub struct StageConfig(Arc<dyn AnyConfig>);

impl StageConfig {
    /// `config`, its type forgotten.
    pub fn new<C: Any + fmt::Debug + Send + Sync>(config: C) -> Self {
        Self(Arc::new(config))
    }

    fn recall<C: Any>(&self) -> Option<&C> {
        let config: &dyn Any = &*self.0;
        config.downcast_ref()
    }
}

/// The configuration of every stage, by its name.
#[derive(Debug, Clone)]
pub struct StageConfigs(BTreeMap<&'static str, StageConfig>);

impl StageConfigs {
    /// That of `S`; its default where none is there.
    #[must_use]
    pub fn of<S: Stage>(&self) -> S::Config {
        self.0.get(S::NAME).and_then(StageConfig::recall::<S::Config>).cloned().unwrap_or_default()
    }
}

impl FromIterator<(&'static str, StageConfig)> for StageConfigs {
    fn from_iter<T: IntoIterator<Item = (&'static str, StageConfig)>>(configs: T) -> Self {
        Self(configs.into_iter().collect())
    }
}

impl Default for StageConfigs {
    /// The defaults of all stages of the list.
    fn default() -> Self {
        let default = |stage: &super::StageEntry| {
            let config = (stage.configure)(toml::Table::new());
            (stage.name, config.expect("an empty section is the default"))
        };
        STAGES.iter().map(default).collect()
    }
}
