//! What is wrong with a configuration, said so that it can be mended at once.

use super::origin::Origin;
use std::fmt;
use thiserror::Error;

/// One fault of one key, or of a source as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the file that could not be read.
    pub key: String,
    /// The value as given, secrets masked; empty where there is none.
    pub value: String,
    /// Who gave it.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if !self.value.is_empty() {
            write!(f, " = {}", self.value)?;
        }
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.problem)?;
        if self.fix.is_empty() { Ok(()) } else { write!(f, "; {}", self.fix) }
    }
}

/// All faults of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigFaults(pub Vec<Fault>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "fault" } else { "faults" };
        write!(f, "the configuration has {} {plural}; nothing was started", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
