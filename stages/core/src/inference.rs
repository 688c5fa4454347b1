//! What a stage asks of a model. The stage owns the windows, an engine elsewhere owns the model; the runner
//! carries windows of many streams to it in one batch.

use crate::error::StageError;
use std::collections::BTreeMap;

/// One item of a batch: the model's input for one window of one channel, flattened in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Window(pub Vec<f32>);

/// Who a model is, for state records, events and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelInfo {
    /// Name from the model's metadata.
    pub name: String,
    /// Version from the model's metadata.
    pub version: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// The device that runs it: `cpu`, `cuda` or `tensorrt`.
    pub device: String,
    /// What the model says of itself: the stage that asks it knows the keys.
    pub metadata: BTreeMap<String, String>,
}

/// A model that maps windows to windows, shared by all streams of a worker.
///
/// The result for a window never depends on which others share its batch (invariant 6).
pub trait Inference: std::fmt::Debug + Send + Sync {
    /// Runs `windows`; as many results, in the same order. Blocks.
    fn infer(&self, windows: Vec<Window>) -> Result<Vec<Window>, StageError>;
    /// Who the model is.
    fn model(&self) -> &ModelInfo;
}
