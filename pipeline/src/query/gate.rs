//! Who may ask.

use crate::ports::Clock;
use crate::secret::{self, Secret, SecretError};
use crate::telemetry::labels::{Admission, Protocol};
use crate::telemetry::log::event::Event;
use crate::telemetry::sql::SqlObserver;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use treble_analyse::live::Live;
use treble_analyse::logins::Login;
use treble_analyse::query::{Grants, LOGS_ROLE};

/// The configuration key that names the file.
const KEY: &str = "sql.tokens_file";

/// Nobody is let in without one, and none was given that is known.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Denied {
    /// There was none.
    #[error("a token is needed")]
    Missing,
    /// Nobody has it.
    #[error("nobody has this token")]
    Unknown,
}

/// The doors' guard: compares tokens, and remembers who came.
#[derive(Debug)]
pub struct Gate {
    tokens: Option<PathBuf>,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
    observer: Arc<SqlObserver>,
}

impl Gate {
    /// A guard that knows the tokens in the file `tokens`, which must hold at least one; without a file, one that lets in
    /// everyone, if that is wished: `anonymous`.
    ///
    /// # Errors
    ///
    /// [`GateError`].
    pub fn new(
        tokens: Option<PathBuf>,
        anonymous: bool,
        live: Arc<Live>,
        clock: Arc<dyn Clock>,
        observer: Arc<SqlObserver>,
    ) -> Result<Self, GateError> {
        if tokens.is_none() && !anonymous {
            return Err(GateError::Open);
        }
        let gate = Self { tokens, live, clock, observer };
        let entries = gate.lines()?.into_iter().collect::<Result<Vec<_>, _>>()?;
        if !gate.is_open() && entries.is_empty() {
            return Err(GateError::Nobody);
        }
        Ok(gate)
    }

    /// Whether everyone may ask.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.tokens.is_none()
    }

    /// Lets in who shows `token`, at the door `protocol`; gives the name that it belongs to, `None` where everyone may ask.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn admit(
        &self,
        protocol: Protocol,
        client: IpAddr,
        token: Option<&str>,
    ) -> Result<Option<String>, Denied> {
        if self.is_open() {
            return Ok(None);
        }
        let outcome = self.name_of(token);
        let name = outcome.as_ref().ok().cloned();
        self.note(protocol, client, name, outcome.is_ok());
        outcome.map(Some)
    }

    /// As [`Self::admit`], for who shows a name beside its `token`: both must fit.
    ///
    /// # Errors
    ///
    /// [`Denied`].
    pub fn admit_as(
        &self,
        protocol: Protocol,
        client: IpAddr,
        name: &str,
        token: &str,
    ) -> Result<Option<String>, Denied> {
        if self.is_open() {
            return Ok(None);
        }
        let outcome =
            self.name_of(Some(token)).and_then(|owner| (owner == name).then_some(()).ok_or(Denied::Unknown));
        self.note(protocol, client, Some(name.to_owned()), outcome.is_ok());
        outcome.map(|()| Some(name.to_owned()))
    }

    fn name_of(&self, token: Option<&str>) -> Result<String, Denied> {
        let token = token.filter(|token| !token.is_empty()).ok_or(Denied::Missing)?;
        let known = self.entry(|known| known.token.is(token));
        known.map(|known| known.name).ok_or(Denied::Unknown)
    }

    /// The token of `name`, for protocols that never show it.
    #[must_use]
    pub fn token_of(&self, name: &str) -> Option<Secret> {
        self.entry(|known| known.name == name).map(|known| known.token)
    }

    /// What `name` may read beside what everybody may. Where everyone may ask, nobody is known to have a role.
    #[must_use]
    pub fn grants(&self, name: Option<&str>) -> Grants {
        let known = name.and_then(|name| self.entry(|known| known.name == name));
        known.map_or(Grants::NONE, |known| known.grants)
    }

    fn entry(&self, wanted: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.entries().into_iter().find(wanted)
    }

    /// Remembers that `name` was let in at the door `protocol`, or was not.
    pub fn note(&self, protocol: Protocol, client: IpAddr, name: Option<String>, allowed: bool) {
        let admission = if allowed { Admission::Ok } else { Admission::Denied };
        self.observer.admission(protocol, admission);
        if !allowed {
            let (event, protocol) = (Event::AuthenticationFailed.text(), protocol.text());
            tracing::warn!(event, protocol, %client, name, "authentication failed: a login was refused");
        }
        let at_us = self.clock.unix_us();
        self.live.logins().note(Login {
            at_us,
            protocol: protocol.text(),
            client: client.to_string(),
            name,
            allowed,
        });
    }

    /// The file as it is now: a token that was taken away opens no door any more. A line that cannot be read lets nobody in.
    fn entries(&self) -> Vec<Entry> {
        let lines = self.lines().inspect_err(|error| tracing::error!(%error, "nobody is let in"));
        let told = |line: Result<Entry, GateError>| {
            line.inspect_err(|error| tracing::error!(%error, "nobody is let in by this line")).ok()
        };
        lines.unwrap_or_default().into_iter().filter_map(told).collect()
    }

    fn lines(&self) -> Result<Vec<Result<Entry, GateError>>, SecretError> {
        let Some(path) = &self.tokens else { return Ok(Vec::new()) };
        Ok(parse(secret::read(KEY, path)?.reveal()).collect())
    }
}

/// The doors cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// Nothing says who may ask.
    #[error(
        "nobody is named who may ask; set {KEY}, or sql.anonymous = true where everyone on this machine may"
    )]
    Open,
    /// The file names nobody.
    #[error("{KEY} names nobody; write a name and its token a line, separated by a space")]
    Nobody,
    /// A line of the file is none.
    #[error("{KEY}, line {line}: {problem}; write a name, its token, and the role {LOGS_ROLE} if it has it")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it, without the token.
        problem: &'static str,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Who may ask.
#[derive(Debug)]
struct Entry {
    name: String,
    token: Secret,
    grants: Grants,
}

impl Entry {
    /// A name, a token, and a role or none.
    fn parse(line: &str) -> Result<Self, &'static str> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, token, grants) = match words.as_slice() {
            [name, token] => (name, token, Grants::NONE),
            [name, token, LOGS_ROLE] => (name, token, Grants { logs: true }),
            [_] => return Err("there is no token"),
            [_, _, _] => return Err("there is no such role"),
            _ => return Err("there are too many words"),
        };
        Ok(Self { name: (*name).to_owned(), token: Secret::from((*token).to_owned()), grants })
    }
}

/// The lines that name somebody; empty ones and those that begin with `#` say nothing.
fn parse(text: &str) -> impl Iterator<Item = Result<Entry, GateError>> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| Entry::parse(line).map_err(|problem| GateError::Line { line: at + 1, problem }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::ManualClock;
    use std::fs;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn gate(tokens: Option<PathBuf>) -> Result<Gate, GateError> {
        let live = Arc::new(Live::new("events".to_owned(), Arc::new(|| 0)));
        let clock = Arc::new(ManualClock::default());
        let observer = Arc::new(SqlObserver::new(clock.clone()).unwrap());
        Gate::new(tokens, false, live, clock, observer)
    }

    #[test]
    fn a_token_lets_in_until_it_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "# analysts\nada 1815\n\ngrace\t 1906 \n").unwrap();
        let gate = gate(Some(path.clone())).unwrap();
        let admit = |token| gate.admit(Protocol::Http, CLIENT, token);
        assert_eq!(admit(Some("1815")), Ok(Some("ada".to_owned())));
        assert_eq!(admit(Some("1906")), Ok(Some("grace".to_owned())));
        assert_eq!(admit(Some("1816")), Err(Denied::Unknown));
        assert_eq!(admit(Some("")), Err(Denied::Missing));
        assert_eq!(admit(None), Err(Denied::Missing));
        let admit_as = |name, token| gate.admit_as(Protocol::Flight, CLIENT, name, token);
        assert_eq!(admit_as("ada", "1815"), Ok(Some("ada".to_owned())));
        assert_eq!(admit_as("grace", "1815"), Err(Denied::Unknown), "it is Ada's");
        assert_eq!(admit_as("", ""), Err(Denied::Missing));
        fs::write(&path, "ada 1815\n").unwrap();
        assert_eq!(admit(Some("1906")), Err(Denied::Unknown), "without a restart");
        fs::remove_file(&path).unwrap();
        assert_eq!(admit(Some("1815")), Err(Denied::Unknown), "a file that is gone lets nobody in");
    }

    #[test]
    fn nobody_is_let_in_by_accident() {
        assert!(matches!(gate(None), Err(GateError::Open)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        assert!(matches!(gate(Some(path.clone())), Err(GateError::Secret(_))));
        fs::write(&path, "# nobody\n\n").unwrap();
        assert!(matches!(gate(Some(path.clone())), Err(GateError::Nobody)));
        for (text, line) in [("ada\n", 1), ("ada 1815\n\ngrace 1906 root\n", 3), ("ada 18 15 logs\n", 1)] {
            fs::write(&path, text).unwrap();
            let error = gate(Some(path.clone())).unwrap_err();
            assert!(matches!(error, GateError::Line { line: found, .. } if found == line), "{text}: {error}");
            assert!(!error.to_string().contains("18"), "a token is not told: {error}");
        }
    }

    #[test]
    fn a_role_is_given_and_taken_away_in_the_file_without_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        fs::write(&path, "ada 1815 logs\ngrace 1906\n").unwrap();
        let guarded = gate(Some(path.clone())).unwrap();
        let logs = |name| guarded.grants(name).logs;
        assert!(logs(Some("ada")) && !logs(Some("grace")) && !logs(Some("alan")) && !logs(None));
        fs::write(&path, "ada 1815\ngrace 1906 logs\nalan 1912 root\n").unwrap();
        assert!(!logs(Some("ada")) && logs(Some("grace")));
        assert_eq!(guarded.admit(Protocol::Http, CLIENT, Some("1912")), Err(Denied::Unknown));
    }
}
