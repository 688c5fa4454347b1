//! Why a command failed: what, why, how to mend it, and the exit code.

use super::exit::Exit;
use crate::config::{ConfigFaults, Fault};
use crate::telemetry::log::LogError;
use std::fmt;
use std::io;
use std::path::Path;

/// A failure, as it is told to a person or a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the command ends.
    pub exit: Exit,
    /// What could not be done.
    pub what: String,
    /// Why not; empty where `what` says it all.
    pub why: String,
    /// How to mend it; empty where nothing can be done.
    pub fix: String,
    /// The faults of a configuration, one by one.
    pub faults: Vec<Fault>,
}

impl Failure {
    /// A failure that ends with `exit`.
    #[must_use]
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: String::new(), fix: String::new(), faults: Vec::new() }
    }

    /// With its reason.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = why.to_string();
        self
    }

    /// With its remedy.
    #[must_use]
    pub fn mend(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// A cluster that fell silent in the middle of an answer; `trouble` is the latest that its client met.
    #[must_use]
    pub fn silence(trouble: Option<String>) -> Self {
        let why = trouble.unwrap_or_else(|| "no answer".to_owned());
        Self::new(Exit::Unavailable, "the cluster stopped answering").because(why)
    }

    /// An input file that cannot be read.
    #[must_use]
    pub fn unreadable(path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::PermissionDenied => Exit::Permission,
            _ => Exit::NoInput,
        };
        Self::new(exit, format!("cannot read {}", path.display()))
            .because(error)
            .mend("check the path; `-` reads standard input")
    }

    /// An output file that cannot be created.
    #[must_use]
    pub fn uncreatable(path: &Path, error: &io::Error) -> Self {
        Self::new(Exit::CannotCreate, format!("cannot create {}", path.display()))
            .because(error)
            .mend("name a file in a folder that exists and that you may write to, with -o")
    }

    /// A broken standard output: a reader that left early is no failure.
    #[must_use]
    pub fn stdout(error: &io::Error) -> Self {
        let exit = if error.kind() == io::ErrorKind::BrokenPipe { Exit::Success } else { Exit::Io };
        Self::new(exit, "cannot write to standard output").because(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for fault in &self.faults {
            write!(f, "\n  {fault}")?;
        }
        if !self.why.is_empty() {
            write!(f, "\n  why: {}", self.why)?;
        }
        if !self.fix.is_empty() {
            write!(f, "\n  fix: {}", self.fix)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let exit = match &error {
            LogError::File { .. } => Exit::CannotCreate,
            LogError::Thread(_) | LogError::Count(_) => Exit::Software,
        };
        Self::new(exit, "the log cannot be begun").because(error)
    }
}

impl From<ConfigFaults> for Failure {
    fn from(faults: ConfigFaults) -> Self {
        let plural = if faults.0.len() == 1 { "fault" } else { "faults" };
        let what = format!("the configuration has {} {plural}; nothing was started", faults.0.len());
        Self {
            faults: faults.0,
            ..Self::new(Exit::Config, what).mend("`treble config reference` explains every key")
        }
    }
}
