//! The configuration as the program reads it: complete and checked. `Option` here means "not used", never
//! "default".

use crate::secret::Secret;
use crate::stages::StageConfigs;
use crate::topology::{ANALYSE, Topology};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use treble_upscale::EngineConfig;

/// Everything that may be configured. Keys, units and defaults are documented in `default.toml`.
#[derive(Debug, Clone)]
pub struct Config {
    /// First part of the name of topics, groups and transactional ids; a valid part of a topic's name.
    pub prefix: String,
    /// Name of this process, stable over restarts; never empty.
    pub instance_id: String,
    /// The stages this process runs: known, not repeated, at least one; `analyse` among them where it stores events.
    pub stages: Vec<String>,
    /// How they are joined.
    pub topology: Topology,
    /// The Kafka cluster.
    pub kafka: KafkaConfig,
    /// The schema registry.
    pub registry: RegistryConfig,
    /// What topics are created with.
    pub topics: TopicsConfig,
    /// When a transaction is committed.
    pub commit: CommitConfig,
    /// Back-pressure, patience and faults.
    pub flow: FlowConfig,
    /// What is told of the work.
    pub events: EventsConfig,
    /// Where it is stored.
    pub lake: LakeConfig,
    /// The doors of analysts.
    pub sql: SqlConfig,
    /// The port of operators.
    pub admin: AdminConfig,
    /// The log.
    pub log: LogConfig,
    /// Of the model's engine.
    pub engine: EngineConfig,
    /// Who tells how the GPUs are.
    pub gpu: GpuConfig,
    /// Where spans go.
    pub traces: TracesConfig,
    /// Of each stage.
    pub stage_configs: StageConfigs,
}

impl Config {
    /// Whether this process stores events in the lake.
    #[must_use]
    pub fn analyses(&self) -> bool {
        self.stages.iter().any(|stage| stage == ANALYSE)
    }
}

/// The Kafka cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaConfig {
    /// `host:port`, comma-separated.
    pub bootstrap_servers: String,
    /// How to reach the brokers.
    pub security_protocol: SecurityProtocol,
    /// How to log in, where the protocol is a SASL one.
    pub sasl_mechanism: SaslMechanism,
    /// Who logs in; present with SASL.
    pub sasl_username: Option<String>,
    /// Where the password is; present with SASL.
    pub sasl_password_file: Option<PathBuf>,
    /// Certificates to trust; the system's where absent.
    pub ssl_ca_file: Option<PathBuf>,
    /// The client's certificate, with its key.
    pub ssl_certificate_file: Option<PathBuf>,
    /// The key of the client's certificate.
    pub ssl_key_file: Option<PathBuf>,
    /// `message.timeout.ms`.
    pub message_timeout_ms: u64,
    /// `session.timeout.ms`.
    pub session_timeout_ms: u64,
    /// `max.poll.interval.ms`.
    pub max_poll_interval_ms: u64,
    /// Further librdkafka properties, none of which touches what exactly-once rests on.
    pub properties: BTreeMap<String, String>,
}

/// How to reach the brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SecurityProtocol {
    /// Neither encrypted nor authenticated.
    Plaintext,
    /// TLS.
    Ssl,
    /// SASL in clear text.
    SaslPlaintext,
    /// SASL within TLS.
    SaslSsl,
}

impl SecurityProtocol {
    /// As librdkafka spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// Whether a user logs in.
    #[must_use]
    pub const fn is_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }
}

/// How a user logs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// The password itself.
    #[serde(rename = "PLAIN")]
    Plain,
    /// RFC 7677.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// RFC 7677, with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl SaslMechanism {
    /// As librdkafka spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// The schema registry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// Its address: `http` or `https`, with a host.
    pub url: String,
    /// Who logs in; with a password.
    pub username: Option<String>,
    /// The password, from the environment.
    pub password: Option<Secret>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
    /// A bearer token, from the environment; not with a user.
    pub token: Option<Secret>,
    /// Where the token is.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust; the system's where absent.
    pub ca_file: Option<PathBuf>,
    /// Whether missing schemas are registered at start.
    pub auto_register: bool,
}

/// What topics are created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TopicsConfig {
    /// Partitions of every aligned topic, 1..=10,000.
    pub partitions: u32,
    /// Copies of each partition, 1..=9.
    pub replication: u16,
    /// How long PCM is kept, in milliseconds.
    pub pcm_retention_ms: u64,
}

/// When a transaction is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitConfig {
    /// Age at which an epoch is cut, in milliseconds.
    pub interval_ms: u64,
    /// Size at which an epoch is cut, in bytes.
    pub max_bytes: u64,
    /// The most a commit may take, in milliseconds.
    pub deadline_ms: u64,
    /// `transaction.timeout.ms`.
    pub transaction_timeout_ms: u64,
}

/// Back-pressure, patience and faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowConfig {
    /// Bytes in flight at which a partition is paused.
    pub high_water_bytes: u64,
    /// Bytes in flight at which it is resumed; less than `high_water_bytes`.
    pub low_water_bytes: u64,
    /// Threads that run stages; 0: one a core.
    pub threads: usize,
    /// How long a stream waits for a missing chunk, in milliseconds.
    pub gap_timeout_ms: u64,
    /// How long a stream may be silent, in milliseconds.
    pub idle_timeout_ms: u64,
    /// More dead letters a minute than this halt the stage.
    pub dead_letters_per_minute: u32,
    /// What to do where the log no longer holds a restart point.
    pub on_lost_restart: OnLostRestart,
    /// What to do where another topology has processed the input before.
    pub on_new_topology: OnNewTopology,
}

/// What to do where the log no longer holds what a stream must be replayed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnLostRestart {
    /// Stop, with a clear message.
    Fail,
    /// Go on behind the hole, marked as a discontinuity, or give the stream up where its codec cannot.
    ColdRestart,
}

/// What to do where another topology has processed the input before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNewTopology {
    /// Refuse to start.
    Fail,
    /// Process again what the topic still holds.
    Reprocess,
}

/// What is told of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsConfig {
    /// Whether events and reports are written.
    pub enabled: bool,
    /// Of which streams reports say how the sound is.
    pub loudness: Loudness,
}

/// Whose sound is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Loudness {
    /// Nobody's.
    Off,
    /// That of streams in bulk. A meter holds 400 ms of every channel, more than the stages of a live stream together.
    Bulk,
    /// Everybody's.
    All,
}

/// Where what is told of the work is stored.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LakeConfig {
    /// A folder or a URL; absent without a lake.
    pub url: Option<String>,
    /// How long an event waits at most before it is stored, in milliseconds.
    pub flush_interval_ms: u64,
    /// Size of the events that wait at which they are stored, in MiB.
    pub flush_mb: u64,
    /// Days that rows are kept; 0: for ever.
    pub retention_days: u32,
    /// How often the lake is tidied up, in milliseconds; 0: never.
    pub upkeep_interval_ms: u64,
    /// Whether analyse stores lines of the log, which collectors publish.
    pub logs: bool,
    /// Days that lines of the log are kept; 0: for ever.
    pub logs_retention_days: u32,
}

/// The doors of analysts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlConfig {
    /// Where HTTP is spoken.
    pub http_listen: Option<SocketAddr>,
    /// Where Arrow Flight SQL is spoken.
    pub flight_listen: Option<SocketAddr>,
    /// Where PostgreSQL's protocol is spoken.
    pub postgres_listen: Option<SocketAddr>,
    /// Who may ask.
    pub tokens_file: Option<PathBuf>,
    /// Whether everyone may ask; all doors are on loopback addresses then.
    pub anonymous: bool,
    /// The doors' certificate, with its key.
    pub tls_certificate_file: Option<PathBuf>,
    /// The key of the doors' certificate.
    pub tls_key_file: Option<PathBuf>,
    /// The longest a query may take, in milliseconds.
    pub timeout_ms: u64,
    /// The most rows of an answer.
    pub max_rows: u64,
    /// The longest statement, in KiB.
    pub max_statement_kb: usize,
    /// Queries at the same time.
    pub max_queries: usize,
    /// Sessions of PostgreSQL's protocol at the same time.
    pub max_sessions: usize,
    /// Memory of all queries together, in MiB.
    pub memory_mb: usize,
    /// Temporary files of all queries together, in MiB; 0: none.
    pub spill_mb: u64,
    /// Threads; 0: one a core.
    pub threads: usize,
    /// Memory for rows that the lake does not hold yet, in MiB.
    pub recent_mb: usize,
    /// How often the lake is asked for new commits, in milliseconds.
    pub refresh_ms: u64,
}

/// The port of operators.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminConfig {
    /// Address and port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The port's certificate, with its key.
    pub tls_certificate_file: Option<PathBuf>,
    /// The key of the port's certificate.
    pub tls_key_file: Option<PathBuf>,
    /// Holds the token without which nobody reads metrics.
    pub token_file: Option<PathBuf>,
}

/// Who tells how the GPUs are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GpuConfig {
    /// A file in place of the driver.
    pub readings_file: Option<PathBuf>,
}

/// Where spans go, and which.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TracesConfig {
    /// The collector; absent where spans go nowhere.
    pub endpoint: Option<String>,
    /// Of traces that begin here, the share that is kept: 0 to 1.
    pub sample_ratio: f64,
    /// From which latency a stream is told of in any case, in milliseconds.
    pub slow_ms: u64,
    /// Certificates to trust.
    pub ca_file: Option<PathBuf>,
    /// A bearer token.
    pub token_file: Option<PathBuf>,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// For whom it is written.
    pub format: LogFormat,
    /// A level, or levels by module; parses as `tracing_subscriber::filter::Targets`.
    pub level: String,
    /// A file in place of standard error.
    pub file: Option<PathBuf>,
    /// Megabytes of it, at most.
    pub file_mb: u64,
    /// Hours that it holds, at most.
    pub file_hours: u64,
    /// Files that are kept, the one that is written included.
    pub files: u32,
    /// Lines that one place of the program may write in ten seconds; 0: all.
    pub repeats: u64,
    /// A file for what security needs to know, besides.
    pub audit_file: Option<PathBuf>,
    /// Megabytes of it, at most.
    pub audit_mb: u64,
    /// Files of it that are kept, one a day.
    pub audit_files: u32,
}

/// For whom the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Collectors: one JSON object a line.
    Json,
    /// People.
    Text,
}
