//! Faults of the library as failures of a command: one exit code and one remedy each.

use super::exit::Exit;
use super::failure::Failure;
use crate::error::ChainBuildError;
use crate::kafka::fault::KafkaFault;
use crate::lake::compare::CompareError;
use crate::lake::{IngestError, LakeStartError};
use crate::offline::OfflineError;
use crate::runtime::RunError;
use crate::runtime::model::ModelSetupError;
use crate::schema_registry::RegistryError;
use crate::secret::SecretError;
use crate::telemetry::trace::TraceError;
use treble_analyse::lake::LakeError;
use treble_core::StageError;

const START_KAFKA: &str = "start the local one with `make kafka-up`, or name yours with --bootstrap-servers or TREBLE_BOOTSTRAP_SERVERS";
const MAYBE_TLS: &str = "look whether the broker goes down; a port that closes each connection at once speaks TLS: set kafka.security_protocol";
const TRUST_KAFKA: &str = "kafka.security_protocol must be what the port speaks, kafka.ssl_ca_file the authority of the brokers' certificates, kafka.ssl_certificate_file one that they trust";
const START_REGISTRY: &str = "start the local one with `make kafka-up`, or name yours with --registry-url or TREBLE_SCHEMA_REGISTRY_URL";
const BASELINE: &str = "or go without a model: --set upscale.mode=baseline";

impl From<KafkaFault> for Failure {
    fn from(fault: KafkaFault) -> Self {
        let what = fault.to_string();
        match fault {
            KafkaFault::Unreachable { servers, detail } => {
                // So it looks from outside where a port speaks TLS, and where a broker goes down.
                let fix = if detail.starts_with("Disconnected") { MAYBE_TLS } else { START_KAFKA };
                Self::new(Exit::Unavailable, format!("cannot reach Kafka at {servers}"))
                    .because(detail)
                    .mend(fix)
            }
            KafkaFault::Login { servers, detail } => Self::new(
                Exit::Permission,
                format!("Kafka at {servers} does not let this client in"),
            )
            .because(detail)
            .mend("check kafka.sasl_mechanism, kafka.sasl_username and what kafka.sasl_password_file holds"),
            KafkaFault::Handshake { servers, detail } => {
                Self::new(Exit::Config, format!("no secure connection with Kafka at {servers}"))
                    .because(detail)
                    .mend(TRUST_KAFKA)
            }
            KafkaFault::NoTopic { .. } => {
                Self::new(Exit::Unavailable, what).mend("create the topics: treble topics create")
            }
            KafkaFault::Refused { unauthorized: true, .. } => Self::new(Exit::Permission, what)
                .mend("check kafka.sasl_username, and that the user may do this (ACLs)"),
            KafkaFault::Refused { .. } | KafkaFault::Client { .. } => {
                Self::new(Exit::Failure, what).mend("`treble doctor` checks the cluster")
            }
            KafkaFault::Undelivered { .. } => {
                Self::new(Exit::Temporary, what).mend("publish the stream again under another --stream-id")
            }
            KafkaFault::Secret(error) => error.into(),
        }
    }
}

impl From<SecretError> for Failure {
    fn from(error: SecretError) -> Self {
        Self::new(Exit::Config, error.to_string())
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Unreachable { url, detail } => {
                Self::new(Exit::Unavailable, format!("cannot reach the schema registry at {url}"))
                    .because(detail)
                    .mend(START_REGISTRY)
            }
            RegistryError::Unauthorized { .. } => Self::new(Exit::Permission, error.to_string()),
            RegistryError::NotRegistered { .. }
            | RegistryError::Refused { .. }
            | RegistryError::Client { .. } => Self::new(Exit::Config, error.to_string()),
            RegistryError::UnknownId { .. } | RegistryError::Incompatible { .. } => {
                Self::new(Exit::Failure, error.to_string())
            }
        }
    }
}

impl From<LakeError> for Failure {
    fn from(error: LakeError) -> Self {
        let exit = match error {
            LakeError::Location { .. } | LakeError::Foreign { .. } => Exit::Config,
            LakeError::Missing { .. } => Exit::NoInput,
            LakeError::Delta { .. } => Exit::Io,
            LakeError::Shape { .. } | LakeError::Arrow { .. } => Exit::Failure,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<CompareError> for Failure {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Kafka(error) => error.into(),
            CompareError::Registry(error) => error.into(),
            CompareError::Secret(error) => error.into(),
            CompareError::Rows(error) => Self::new(Exit::Software, "rows do not fit together").because(error),
        }
    }
}

impl From<ModelSetupError> for Failure {
    fn from(error: ModelSetupError) -> Self {
        let exit = match error {
            ModelSetupError::NoModel { .. } => Exit::NoInput,
            ModelSetupError::NoLibrary { .. } | ModelSetupError::Engine(_) => Exit::Unavailable,
        };
        Self::new(exit, "the model cannot be opened")
            .because(error)
            .mend(format!("`treble doctor` checks library and model; {BASELINE}"))
    }
}

impl From<TraceError> for Failure {
    fn from(error: TraceError) -> Self {
        let what = error.to_string();
        match error {
            TraceError::Secret(error) => error.into(),
            TraceError::Endpoint(_) => Self::new(Exit::Config, what),
            TraceError::Refused { .. } => Self::new(Exit::Unavailable, what)
                .mend("check traces.endpoint, traces.ca_file and traces.token_file; audio flows without it"),
            TraceError::Thread(_) => Self::new(Exit::Failure, what),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        let what = error.to_string();
        match error {
            RunError::Listen(_) => Self::new(Exit::Unavailable, what)
                .mend("stop the other process, or choose another port with --listen 127.0.0.1:0"),
            RunError::Model(error) => error.into(),
            RunError::Registry(error) => error.into(),
            RunError::Stage(_) | RunError::Topology(_) | RunError::Prefix(_) => Self::new(Exit::Config, what),
            RunError::Secret(error) => error.into(),
            RunError::Access(_) => Self::new(Exit::Config, what),
            RunError::Traces(error) => error.into(),
            RunError::Metrics(_) | RunError::Panicked { .. } => Self::new(Exit::Software, what),
            RunError::Port(_) | RunError::Worker { .. } => {
                Self::new(Exit::Failure, what).mend("`treble doctor` checks the cluster and the topics")
            }
            RunError::LakeStart(LakeStartError::Lake(error)) => error.into(),
            RunError::LakeStart(LakeStartError::Prefix(_)) => Self::new(Exit::Config, what),
            RunError::LakeStart(LakeStartError::Secret(error)) => error.into(),
            RunError::LakeStart(LakeStartError::Registry(error)) => error.into(),
            RunError::LakeStart(LakeStartError::Port(_) | LakeStartError::Thread(_)) => {
                Self::new(Exit::Failure, what)
            }
            RunError::Lake(IngestError::Begin { .. }) => Self::new(Exit::NoInput, what),
            RunError::Lake(IngestError::Lake(_)) => Self::new(Exit::CannotCreate, what),
            RunError::Lake(IngestError::Port(_)) => {
                Self::new(Exit::Failure, what).mend("`treble doctor` checks the cluster and the topics")
            }
            RunError::Lake(IngestError::Station(_)) => Self::new(Exit::Software, what),
            RunError::Gpu(_) | RunError::Lost { .. } => Self::new(Exit::NoInput, what),
            RunError::Flood { .. } | RunError::Thread(_) => Self::new(Exit::Failure, what),
        }
    }
}

/// A stage's refusal of what it was fed.
#[must_use]
pub(super) fn of_stage(error: &StageError, what: impl Into<String>) -> Failure {
    let (exit, fix) = match error {
        StageError::NotAudio { .. } | StageError::Unsupported { .. } => {
            (Exit::Data, "Treble reads WAV, FLAC, MP3, AAC, Ogg Vorbis, Opus, AIFF, CAF, MKV and WebM")
        }
        StageError::Corrupt { .. } | StageError::Truncated { .. } | StageError::FormatChanged { .. } => {
            (Exit::Data, "get an undamaged copy of the file")
        }
        StageError::Limit { .. } => (Exit::Data, "raise the limit with --set, if such streams are wanted"),
        StageError::Inference { .. } => (Exit::Unavailable, BASELINE),
        StageError::WrongPayload { .. }
        | StageError::Checkpoint { .. }
        | StageError::Panicked { .. }
        | StageError::Encoder { .. } => (Exit::Software, "report it, with the file if you can"),
    };
    Failure::new(exit, what).because(error).mend(fix)
}

impl From<OfflineError> for Failure {
    fn from(error: OfflineError) -> Self {
        let what = error.to_string();
        match error {
            OfflineError::Read(_) | OfflineError::Write(_) => Self::new(Exit::Io, what),
            OfflineError::Chain(fault) => {
                of_stage(&fault.error, format!("{} refused the input", fault.stage))
            }
            OfflineError::Build(fault) => fault.into(),
            OfflineError::Setup(fault) => Self::from(*fault),
        }
    }
}

impl From<ChainBuildError> for Failure {
    fn from(error: ChainBuildError) -> Self {
        let exit = match error {
            ChainBuildError::Config(_) => Exit::Config,
            ChainBuildError::Chain(_) => Exit::Software,
        };
        Self::new(exit, error.to_string())
    }
}
