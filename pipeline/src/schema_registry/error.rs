//! What went wrong with the registry, by what it costs.

use schema_registry_converter::error::SRCError;
use schema_registry_converter::schema_registry_common::RawError;
use std::error::Error;
use thiserror::Error as ThisError;

/// "Subject not found" and "version not found": nothing is registered there.
const SUBJECT_NOT_FOUND: u32 = 40_401;
const VERSION_NOT_FOUND: u32 = 40_402;
/// "Schema not found": of an id, nobody knows it; of a subject, it holds other schemas.
const SCHEMA_NOT_FOUND: u32 = 40_403;
/// The registry's codes are an HTTP status and two more digits.
const CODE_PER_STATUS: u32 = 100;

/// What went wrong with the registry.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub enum RegistryError {
    /// It cannot be asked now: try again.
    #[error(
        "the schema registry at {url} cannot be reached: {detail}; check that it runs, and registry.url (with https: registry.ca_file)"
    )]
    Unreachable {
        /// Its address.
        url: String,
        /// What the client said.
        detail: String,
    },
    /// It does not know the id: the record that carries it is at fault.
    #[error(
        "the schema registry at {url} knows no schema {id}; register the schema before producing with it"
    )]
    UnknownId {
        /// Its address.
        url: String,
        /// The id.
        id: u32,
    },
    /// The schema is not registered, and was not to be.
    #[error(
        "subject {subject} lacks this version of our schema; run `treble topics create`, or set registry.auto_register"
    )]
    NotRegistered {
        /// The subject.
        subject: String,
    },
    /// It refuses the schema next to what is registered.
    #[error(
        "subject {subject} holds a schema that ours is not compatible with: {detail}; use another topics prefix, or the registry that belongs to this cluster"
    )]
    Incompatible {
        /// The subject.
        subject: String,
        /// What it said.
        detail: String,
    },
    /// It does not let us in.
    #[error("the schema registry at {url} does not let us in: {detail}; {advice}")]
    Unauthorized {
        /// Its address.
        url: String,
        /// What it said.
        detail: String,
        /// What to do: it depends on who we said we are.
        advice: &'static str,
    },
    /// It answered, but not as a registry does.
    #[error(
        "{url} does not answer as a schema registry: {detail}; check registry.url and its path (Apicurio: /apis/ccompat/v7)"
    )]
    Refused {
        /// Its address.
        url: String,
        /// What it said.
        detail: String,
    },
    /// No client could be built.
    #[error("no client for the schema registry at {url}: {detail}")]
    Client {
        /// Its address.
        url: String,
        /// What is wrong.
        detail: String,
    },
}

impl RegistryError {
    /// A stable name for metrics, events and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "registry_unreachable",
            Self::UnknownId { .. } => "registry_unknown_id",
            Self::NotRegistered { .. } => "registry_not_registered",
            Self::Incompatible { .. } => "registry_incompatible",
            Self::Unauthorized { .. } => "registry_unauthorized",
            Self::Refused { .. } => "registry_refused",
            Self::Client { .. } => "registry_client",
        }
    }

    /// Whether waiting may help.
    #[must_use]
    pub const fn is_retriable(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    /// With what to do where the registry does not let us in.
    pub(super) fn advised(mut self, what_to_do: &'static str) -> Self {
        if let Self::Unauthorized { advice, .. } = &mut self {
            *advice = what_to_do;
        }
        self
    }

    /// What `error`, about `id`, means.
    pub(super) fn about_id(error: &SRCError, url: &str, id: u32) -> Self {
        let answer = Answer::of(error);
        match answer.code {
            SCHEMA_NOT_FOUND => Self::UnknownId { url: url.to_owned(), id },
            _ => answer.general(url),
        }
    }

    /// What `error`, about `subject`, means.
    pub(super) fn about_subject(error: &SRCError, url: &str, subject: &str) -> Self {
        let answer = Answer::of(error);
        let subject = subject.to_owned();
        match (answer.code, answer.status()) {
            (SUBJECT_NOT_FOUND | VERSION_NOT_FOUND | SCHEMA_NOT_FOUND, _) => Self::NotRegistered { subject },
            (_, Some(409)) => Self::Incompatible { subject, detail: answer.detail },
            _ => answer.general(url),
        }
    }
}

/// What the client library tells about a failed call, taken out of its chain of causes.
struct Answer {
    /// The registry's own code; 0 where it gave none.
    code: u32,
    /// The HTTP status, where an answer came.
    http: Option<u32>,
    detail: String,
    retriable: bool,
}

impl Answer {
    fn of(error: &SRCError) -> Self {
        let mut innermost = error;
        let mut code = 0;
        let mut detail = None;
        let mut cause = error.source();
        while let Some(link) = cause {
            if let Some(inner) = link.downcast_ref::<SRCError>() {
                innermost = inner;
            }
            if let Some(raw) = link.downcast_ref::<RawError>() {
                code = raw.error_code;
                detail = Some(raw.message.clone());
            }
            // The last link says most: "connection refused" rather than "error sending request".
            if detail.is_none() && link.source().is_none() {
                detail = Some(link.to_string());
            }
            cause = link.source();
        }
        let http = innermost.error.split_once("status ").and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        Self {
            code,
            http,
            detail: detail.unwrap_or_else(|| innermost.error.clone()),
            retriable: innermost.retriable,
        }
    }

    fn status(&self) -> Option<u32> {
        let from_code = if self.code >= 1000 { self.code / CODE_PER_STATUS } else { self.code };
        self.http.or((from_code != 0).then_some(from_code))
    }

    fn general(self, url: &str) -> RegistryError {
        let (status, url) = (self.status(), url.to_owned());
        let detail = status.map_or(self.detail.clone(), |status| format!("status {status}: {}", self.detail));
        match status {
            Some(401 | 403) => RegistryError::Unauthorized { url, detail, advice: "" },
            Some(408 | 429 | 500..) => RegistryError::Unreachable { url, detail },
            None if self.retriable => RegistryError::Unreachable { url, detail },
            _ => RegistryError::Refused { url, detail },
        }
    }
}
