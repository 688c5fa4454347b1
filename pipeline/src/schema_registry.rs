//! The schema registry: which ids our contracts have, and what the ids of others mean.
//!
//! A synchronous client over `schema_registry_converter`, for plain threads: it owns a small runtime and must
//! not be called from within another. Every fault says what kind it is ([`RegistryError`]), because each costs
//! something else: an unreachable registry is waited for, an id that it does not know makes a dead letter, a
//! refused schema is a matter for the operator. The client's own encoders are not used: they copy payloads.

mod error;
mod identify;

pub use error::RegistryError;
pub use identify::is_audio_chunk;

use crate::ports::{PortError, SchemaKind, Schemas};
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, is_compatible_schema, perform_sr_call, post_schema,
};
use schema_registry_converter::schema_registry_common::{
    SchemaType, SrCall, SuppliedReference, SuppliedSchema,
};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use treble_schemas::frame::Format;
use treble_schemas::{Contract, Topics};

/// Most ids whose meaning is remembered; beyond it the memory starts anew. Real clusters have a handful.
const MAX_REMEMBERED: usize = 4096;

/// Who we are to the registry.
#[derive(Clone, Default)]
pub enum RegistryAuth {
    /// Nobody in particular.
    #[default]
    None,
    /// A user.
    Basic {
        /// The name; on Confluent Cloud the API key.
        user: String,
        /// The password; on Confluent Cloud the API secret.
        password: String,
    },
    /// The holder of a token.
    Bearer(String),
}

impl fmt::Debug for RegistryAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Basic { .. } => "Basic(***)",
            Self::Bearer(_) => "Bearer(***)",
        })
    }
}

/// Whether missing schemas are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// They are.
    Register,
    /// They must be there: in production somebody else decides what enters the registry.
    Require,
}

/// The ids under which our contracts are registered; records are framed with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractIds {
    /// Of AudioChunk.
    pub audio_chunk: u32,
    /// Of StreamState.
    pub stream_state: u32,
    /// Of StageEvent.
    pub stage_event: u32,
    /// Of StreamReport.
    pub stream_report: u32,
}

/// A registry, asked synchronously.
pub struct SchemaRegistry {
    runtime: Runtime,
    settings: SrSettings,
    url: String,
    /// Shared by the compute threads of all partitions, each of which looks ids up.
    meanings: Mutex<HashMap<u32, SchemaKind>>,
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRegistry").field("url", &self.url).finish_non_exhaustive()
    }
}

impl SchemaRegistry {
    /// A client for the registry at `url`, waiting for `timeout` at most on each call. Nothing is asked yet.
    pub fn new(url: &str, auth: &RegistryAuth, timeout: Duration) -> Result<Self, RegistryError> {
        let url = url.trim_end_matches('/').to_owned();
        let mut builder = SrSettings::new_builder(url.clone());
        builder.set_timeout(timeout);
        match auth {
            RegistryAuth::None => &mut builder,
            RegistryAuth::Basic { user, password } => builder.set_basic_authorization(user, Some(password)),
            RegistryAuth::Bearer(token) => builder.set_token_authorization(token),
        };
        if is_loopback(&url) {
            // A proxy that is set for the outside would be asked for our own host.
            builder.no_proxy();
        }
        let client_fault = |detail: String| RegistryError::Client { url: url.clone(), detail };
        let settings = builder.build().map_err(|error| client_fault(error.to_string()))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| client_fault(error.to_string()))?;
        Ok(Self { runtime, settings, url, meanings: Mutex::default() })
    }

    /// The ids of all contracts, for every topic of the pipeline that carries them.
    pub fn contract_ids(
        &self,
        topics: &Topics,
        stages: &[&str],
        registration: Registration,
    ) -> Result<ContractIds, RegistryError> {
        let chunk = Contract::AudioChunk;
        let audio = [topics.audio_in(), topics.audio_pcm(), topics.audio_hires(), topics.audio_out()];
        let id_of = |contract, topic: &str| self.id_of(contract, topic, topics, registration);
        let mut audio_chunk = 0;
        for topic in &audio {
            audio_chunk = id_of(chunk, topic)?;
            self.remember(audio_chunk, SchemaKind::AudioChunk);
        }
        let mut stream_state = 0;
        for stage in stages {
            stream_state = id_of(Contract::StreamState, &topics.state(stage))?;
        }
        Ok(ContractIds {
            audio_chunk,
            stream_state,
            stage_event: id_of(Contract::StageEvent, &topics.events())?,
            stream_report: id_of(Contract::StreamReport, &topics.events())?,
        })
    }

    /// The id of `contract` for `topic`.
    fn id_of(
        &self,
        contract: Contract,
        topic: &str,
        topics: &Topics,
        registration: Registration,
    ) -> Result<u32, RegistryError> {
        let subject = contract.subject(topic);
        match registration {
            Registration::Register => {
                let registered = post_schema(&self.settings, subject.clone(), supplied(contract, topics));
                let outcome = self.runtime.block_on(registered);
                outcome.map(|schema| schema.id).map_err(|error| self.fault(&error, &subject))
            }
            Registration::Require => self.find(contract, topic, topics).map(|(id, _)| id),
        }
    }

    /// The id and version under which `contract` is registered for `topic`, without registering it.
    fn find(&self, contract: Contract, topic: &str, topics: &Topics) -> Result<(u32, u32), RegistryError> {
        let subject = contract.subject(topic);
        let mut references = Vec::new();
        for reference in contract.references() {
            let (_, version) = self.find(reference.contract, &topics.audio_in(), topics)?;
            let subject = reference.contract.subject(&topics.audio_in());
            references
                .push(serde_json::json!({ "name": reference.name, "subject": subject, "version": version }));
        }
        let mut body =
            serde_json::json!({ "schema": contract.text(), "schemaType": schema_type_name(contract) });
        if !references.is_empty() {
            body["references"] = references.into();
        }
        let body = body.to_string();
        let found = perform_sr_call(&self.settings, SrCall::PostForVersion(&subject, &body));
        let found = self.runtime.block_on(found).map_err(|error| self.fault(&error, &subject))?;
        match (found.id, found.version) {
            (Some(id), Some(version)) => Ok((id, version)),
            _ => Err(RegistryError::Refused {
                url: self.url.clone(),
                detail: format!("no id and version in the answer about {subject}"),
            }),
        }
    }

    /// Whether `contract` may be registered for `topic` next to what is there, as the registry judges. A
    /// subject that does not exist yet is no obstacle.
    pub fn is_compatible(
        &self,
        contract: Contract,
        topic: &str,
        topics: &Topics,
    ) -> Result<bool, RegistryError> {
        let subject = contract.subject(topic);
        let asked = is_compatible_schema(&self.settings, subject.clone(), supplied(contract, topics));
        match self.runtime.block_on(asked).map_err(|error| self.fault(&error, &subject)) {
            Err(RegistryError::NotRegistered { .. }) => Ok(true),
            outcome => outcome,
        }
    }

    /// What `id` means. An id that the registry does not know is an error of its own, and is asked for again
    /// next time: its schema may be registered by then.
    pub fn kind_of(&self, id: u32) -> Result<SchemaKind, RegistryError> {
        if let Some(kind) = self.meanings.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(*kind);
        }
        let schema = self.runtime.block_on(get_schema_by_id(id, &self.settings));
        let schema = schema.map_err(|error| RegistryError::about_id(&error, &self.url, id))?;
        let ours = schema.schema_type == SchemaType::Protobuf && is_audio_chunk(&schema.schema);
        let kind = if ours { SchemaKind::AudioChunk } else { SchemaKind::Foreign };
        self.remember(id, kind);
        Ok(kind)
    }

    fn remember(&self, id: u32, kind: SchemaKind) {
        let mut meanings = self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        if meanings.len() >= MAX_REMEMBERED {
            meanings.clear();
        }
        meanings.insert(id, kind);
    }

    fn fault(&self, error: &schema_registry_converter::error::SRCError, subject: &str) -> RegistryError {
        RegistryError::about_subject(error, &self.url, subject)
    }
}

/// A registry and the ids it gave: what the runtime needs.
#[derive(Debug)]
pub struct RegisteredSchemas {
    registry: SchemaRegistry,
    ids: ContractIds,
}

impl RegisteredSchemas {
    /// Asks `registry` for the meaning of ids other than `ids`.
    #[must_use]
    pub const fn new(registry: SchemaRegistry, ids: ContractIds) -> Self {
        Self { registry, ids }
    }

    /// The ids of all contracts.
    #[must_use]
    pub const fn ids(&self) -> ContractIds {
        self.ids
    }
}

impl Schemas for RegisteredSchemas {
    fn kind_of(&self, id: u32) -> Result<SchemaKind, PortError> {
        match self.registry.kind_of(id) {
            Err(RegistryError::UnknownId { .. }) => Ok(SchemaKind::Foreign),
            Err(error) if error.is_retriable() => Err(PortError::Retriable(error.to_string())),
            outcome => outcome.map_err(|error| PortError::Fatal(error.to_string())),
        }
    }

    fn chunk_id(&self) -> u32 {
        self.ids.audio_chunk
    }

    fn state_id(&self) -> u32 {
        self.ids.stream_state
    }
}

/// Repeats `ask` while the registry cannot be reached, after each of `delays`; `wait` returns false to give
/// up early, as on shutdown. The last outcome is returned.
pub fn while_unreachable<T>(
    delays: impl IntoIterator<Item = Duration>,
    mut wait: impl FnMut(Duration, &RegistryError) -> bool,
    mut ask: impl FnMut() -> Result<T, RegistryError>,
) -> Result<T, RegistryError> {
    let mut outcome = ask();
    for delay in delays {
        match &outcome {
            Err(error) if error.is_retriable() && wait(delay, error) => outcome = ask(),
            _ => break,
        }
    }
    outcome
}

fn supplied(contract: Contract, topics: &Topics) -> SuppliedSchema {
    let schema_type = match contract.format() {
        Format::Protobuf => SchemaType::Protobuf,
        Format::Avro => SchemaType::Avro,
    };
    let references = contract.references().iter().map(|reference| {
        let subject = reference.contract.subject(&topics.audio_in());
        SuppliedReference::new(reference.name.to_owned(), subject, reference.contract.text().to_owned())
    });
    SuppliedSchema::new(Some(contract.name().to_owned()), schema_type, contract.text().to_owned())
        .with_references(references.collect())
}

const fn schema_type_name(contract: Contract) -> &'static str {
    match contract.format() {
        Format::Protobuf => "PROTOBUF",
        Format::Avro => "AVRO",
    }
}

fn is_loopback(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost:", "localhost/", "[::1]"].iter().any(|local| host.starts_with(local))
        || host == "localhost"
}

#[cfg(test)]
mod tests;
