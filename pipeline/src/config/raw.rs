//! What the sources may say, before it is checked: the shape of `default.toml`.

use super::types::{
    AdminConfig, CommitConfig, EventsConfig, FlowConfig, GpuConfig, LakeConfig, LogConfig, RegistryConfig,
    SaslMechanism, SecurityProtocol, SqlConfig, TopicsConfig, TracesConfig,
};
use crate::topology::Topology;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use treble_upscale::EngineConfig;

/// All keys but those of the stages. Every one is present, since the defaults are a source like any other; those
/// that are empty by default are absent where they are empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) prefix: String,
    #[serde(default)]
    pub(super) instance_id: String,
    pub(super) stages: Vec<String>,
    pub(super) topology: Topology,
    pub(super) kafka: RawKafka,
    pub(super) registry: RegistryConfig,
    pub(super) topics: TopicsConfig,
    pub(super) commit: CommitConfig,
    pub(super) flow: FlowConfig,
    pub(super) events: EventsConfig,
    pub(super) lake: LakeConfig,
    pub(super) sql: SqlConfig,
    pub(super) admin: AdminConfig,
    pub(super) log: LogConfig,
    pub(super) engine: EngineConfig,
    /// All its keys may be empty.
    #[serde(default)]
    pub(super) gpu: GpuConfig,
    pub(super) traces: TracesConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKafka {
    pub(super) bootstrap_servers: String,
    pub(super) security_protocol: SecurityProtocol,
    pub(super) sasl_mechanism: SaslMechanism,
    pub(super) sasl_username: Option<String>,
    pub(super) sasl_password_file: Option<PathBuf>,
    pub(super) ssl_ca_file: Option<PathBuf>,
    pub(super) ssl_certificate_file: Option<PathBuf>,
    pub(super) ssl_key_file: Option<PathBuf>,
    pub(super) message_timeout_ms: u64,
    pub(super) session_timeout_ms: u64,
    pub(super) max_poll_interval_ms: u64,
    pub(super) properties: BTreeMap<String, Property>,
}

/// A librdkafka property may be written as what it is; librdkafka takes text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum Property {
    Text(String),
    Number(i64),
    Switch(bool),
}

impl Property {
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
        }
    }
}
