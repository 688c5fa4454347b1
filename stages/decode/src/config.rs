//! What may be configured.

use crate::limits::Limits;
use serde::{Deserialize, Serialize};

/// Configuration of the decode stage, key `decode`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeConfig {
    /// Ceilings on what one stream may cost.
    pub limits: Limits,
}
