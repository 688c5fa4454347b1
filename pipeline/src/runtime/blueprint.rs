//! How the stages of a segment are built.

use crate::stages::{ErasedStage, StageConfigs, StageEntry};
use std::sync::Arc;
use treble_core::{Assets, ConfigError};

/// Wraps a stage as it is built, to observe it.
pub trait Decorate: std::fmt::Debug + Send + Sync {
    /// `inner`, wrapped.
    fn decorate(&self, name: &'static str, inner: Box<dyn ErasedStage>) -> Box<dyn ErasedStage>;
}

/// What all streams of a segment share.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The stages, in data-flow order.
    pub stages: Vec<&'static StageEntry>,
    /// Their configuration.
    pub configs: Arc<StageConfigs>,
    /// What they share.
    pub assets: Assets,
    /// What observes them, if anything does.
    pub decorate: Option<Arc<dyn Decorate>>,
}

impl Blueprint {
    /// One instance of `entry`.
    pub fn build(&self, entry: &StageEntry) -> Result<Box<dyn ErasedStage>, ConfigError> {
        let stage = (entry.build)(&self.configs, &self.assets)?;
        Ok(match &self.decorate {
            Some(observer) => observer.decorate(entry.name, stage),
            None => stage,
        })
    }
}
