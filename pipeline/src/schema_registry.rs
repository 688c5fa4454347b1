//! The schema registry: which ids our contracts have, and what the ids of others mean.
//!
//! A synchronous client over `schema_registry_converter`, for plain threads: it owns a small runtime and must
//! not be called from within another. Every fault says what kind it is ([`RegistryError`]), because each costs
//! something else: an unreachable registry is waited for, an id that it does not know makes a dead letter, a
//! refused schema is a matter for the operator. The client's own encoders are not used: they copy payloads.

mod access;
mod error;
mod identify;
mod ids;

pub use access::{RegistryAccess, RegistryAuth};
pub use error::RegistryError;
pub use identify::is_audio_chunk;
pub use ids::ContractIds;

use crate::ports::{PortError, SchemaKind, Schemas};
use crate::telemetry::log::event::Event;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_schema_by_id, is_compatible_schema, perform_sr_call, post_schema,
};
use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::{
    RegisteredSchema, SchemaType, SrCall, SuppliedReference, SuppliedSchema,
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

/// Whether missing schemas are registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    /// They are.
    Register,
    /// They must be there: in production somebody else decides what enters the registry.
    Require,
}

/// A registry, asked synchronously.
pub struct SchemaRegistry {
    runtime: Runtime,
    timeout: Duration,
    opened: Mutex<(RegistryAccess, SrSettings)>,
    /// The address, as messages may show it.
    url: String,
    advice: &'static str,
    /// Shared by the compute threads of all partitions, each of which looks ids up.
    meanings: Mutex<HashMap<u32, SchemaKind>>,
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRegistry").field("url", &self.url).finish_non_exhaustive()
    }
}

impl SchemaRegistry {
    /// A client for a registry, waiting for `timeout` at most on each call. Nothing is asked yet.
    pub fn new(access: &RegistryAccess, timeout: Duration) -> Result<Self, RegistryError> {
        let url = access.url.trim_end_matches('/');
        let settings = access.settings(url, timeout)?;
        let url = access::shown(url);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime =
            runtime.map_err(|error| RegistryError::Client { url: url.clone(), detail: error.to_string() })?;
        let opened = Mutex::new((access.clone(), settings));
        let advice = access.auth.advice();
        Ok(Self { runtime, timeout, opened, url, advice, meanings: Mutex::default() })
    }

    /// Asks; where that fails and what opens the registry was changed in its file, once more with what is there now.
    fn ask<T, A>(&self, ask: impl Fn(SrSettings) -> A) -> Result<T, SRCError>
    where
        A: Future<Output = Result<T, SRCError>>,
    {
        let settings = || self.opened.lock().unwrap_or_else(PoisonError::into_inner).1.clone();
        let outcome = self.runtime.block_on(ask(settings()));
        if outcome.is_err() && self.renew() { self.runtime.block_on(ask(settings())) } else { outcome }
    }

    /// Whether what opens the registry is another than before.
    fn renew(&self) -> bool {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(access) = opened.0.renewed() else { return false };
        let Ok(settings) = access.settings(access.url.trim_end_matches('/'), self.timeout) else {
            return false;
        };
        *opened = (access, settings);
        let (event, url) = (Event::SecretChanged.text(), self.url.as_str());
        tracing::info!(event, url, "what opens the registry was changed in its file");
        true
    }

    /// The ids of all contracts, for every topic of the pipeline that carries them.
    pub fn contract_ids(
        &self,
        topics: &Topics,
        stages: &[&str],
        registration: Registration,
    ) -> Result<ContractIds, RegistryError> {
        let audio = [topics.audio_in(), topics.audio_pcm(), topics.audio_hires(), topics.audio_out()];
        let audio = audio.into_iter().map(|topic| (Contract::AudioChunk, topic));
        let states = stages.iter().map(|stage| (Contract::StreamState, topics.state(stage)));
        let events = [Contract::StageEvent, Contract::StreamReport].map(|event| (event, topics.events()));
        let mut ids = ContractIds::default();
        for (contract, topic) in audio.chain(states).chain(events) {
            ids.insert(contract, &topic, self.id_of(contract, &topic, topics, registration)?);
        }
        Ok(ids)
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
                let outcome = self.ask(|settings| {
                    let (subject, schema) = (subject.clone(), supplied(contract, topics));
                    async move { post_schema(&settings, subject, schema).await }
                });
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
        let found = self.ask(|settings| {
            let (subject, body) = (&subject, &body);
            async move { perform_sr_call(&settings, SrCall::PostForVersion(subject, body)).await }
        });
        let found = found.map_err(|error| self.fault(&error, &subject))?;
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
        let asked = self.ask(|settings| {
            let (subject, schema) = (subject.clone(), supplied(contract, topics));
            async move { is_compatible_schema(&settings, subject, schema).await }
        });
        match asked.map_err(|error| self.fault(&error, &subject)) {
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
        let schema = self.schema(id);
        let schema =
            schema.map_err(|error| RegistryError::about_id(&error, &self.url, id).advised(self.advice))?;
        let ours = schema.schema_type == SchemaType::Protobuf && is_audio_chunk(&schema.schema);
        let kind = if ours { SchemaKind::AudioChunk } else { SchemaKind::Foreign };
        self.remember(id, kind);
        Ok(kind)
    }

    /// The text of the schema `id`; `None` where the registry knows none.
    pub fn text_of(&self, id: u32) -> Result<Option<String>, RegistryError> {
        let schema = self.schema(id);
        match schema.map_err(|error| RegistryError::about_id(&error, &self.url, id).advised(self.advice)) {
            Ok(schema) => Ok(Some(schema.schema)),
            Err(RegistryError::UnknownId { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn schema(&self, id: u32) -> Result<RegisteredSchema, SRCError> {
        self.ask(|settings| async move { get_schema_by_id(id, &settings).await })
    }

    fn remember(&self, id: u32, kind: SchemaKind) {
        let mut meanings = self.meanings.lock().unwrap_or_else(PoisonError::into_inner);
        if meanings.len() >= MAX_REMEMBERED {
            meanings.clear();
        }
        meanings.insert(id, kind);
    }

    fn fault(&self, error: &SRCError, subject: &str) -> RegistryError {
        RegistryError::about_subject(error, &self.url, subject).advised(self.advice)
    }
}

impl Schemas for SchemaRegistry {
    fn kind_of(&self, id: u32) -> Result<SchemaKind, PortError> {
        match self.kind_of(id) {
            Err(RegistryError::UnknownId { .. }) => Ok(SchemaKind::Foreign),
            Err(error) if error.is_retriable() => Err(PortError::Retriable(error.to_string())),
            outcome => outcome.map_err(|error| PortError::Fatal(error.to_string())),
        }
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

#[cfg(test)]
mod tests;
