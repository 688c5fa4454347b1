//! The ids under which our contracts are registered.

use super::RegistryError;
use std::collections::BTreeMap;
use treble_schemas::Contract;

/// The ids that records are framed with, one a subject.
///
/// Within one context a registry gives one text one id, whatever the subject. Nothing promises it: contexts have
/// numbers of their own (Confluent), and Apicurio numbers each registration where it is told to use global ids. A
/// reader looks an id up as it stands, so a record must carry the one of its own topic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContractIds(BTreeMap<String, u32>);

impl ContractIds {
    pub(super) fn insert(&mut self, contract: Contract, topic: &str, id: u32) {
        self.0.insert(contract.subject(topic), id);
    }

    /// The id of `contract` on `topic`.
    ///
    /// # Errors
    /// [`RegistryError::NotRegistered`] where the registry was not asked about that topic.
    pub fn of(&self, contract: Contract, topic: &str) -> Result<u32, RegistryError> {
        let subject = contract.subject(topic);
        self.0.get(&subject).copied().ok_or(RegistryError::NotRegistered { subject })
    }
}
