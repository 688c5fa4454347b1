//! What drivers set and ask about a session. Nothing of it reaches the engine.

use super::error::Fault;
use datafusion_postgres::pgwire::types::format::FormatOptions;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// How a setting may be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// To anything: it is kept and told again.
    Kept,
    /// To anything, and nothing comes of it: the value stays, and is true.
    Ignored,
    /// To what it is.
    Fixed,
}

/// A setting: its name, its value until it is set, how it may be set, and whether a client is told of it unasked.
type Known = (&'static str, &'static str, Kind, bool);

/// The version of PostgreSQL whose protocol and catalogue tools find here.
const VERSION: &str = concat!("16.6 (Treble ", env!("CARGO_PKG_VERSION"), ")");

const KNOWN: [Known; 38] = [
    ("DateStyle", "ISO, MDY", Kind::Ignored, true),
    ("IntervalStyle", "postgres", Kind::Kept, true),
    ("TimeZone", "UTC", Kind::Ignored, true),
    ("application_name", "", Kind::Kept, true),
    ("bytea_output", "hex", Kind::Kept, false),
    ("client_encoding", "UTF8", Kind::Fixed, true),
    ("client_min_messages", "notice", Kind::Kept, false),
    ("default_transaction_deferrable", "off", Kind::Ignored, false),
    ("default_transaction_isolation", "read committed", Kind::Ignored, false),
    ("default_transaction_read_only", "on", Kind::Ignored, true),
    ("enable_seqscan", "on", Kind::Kept, false),
    ("escape_string_warning", "on", Kind::Kept, false),
    ("extra_float_digits", "1", Kind::Kept, false),
    ("geqo", "on", Kind::Kept, false),
    ("idle_in_transaction_session_timeout", "0", Kind::Kept, false),
    ("idle_session_timeout", "0", Kind::Kept, false),
    ("in_hot_standby", "off", Kind::Fixed, true),
    ("integer_datetimes", "on", Kind::Fixed, true),
    ("is_superuser", "off", Kind::Fixed, true),
    ("jit", "off", Kind::Kept, false),
    ("lc_collate", "C", Kind::Fixed, false),
    ("lc_messages", "C", Kind::Kept, false),
    ("lc_monetary", "C", Kind::Kept, false),
    ("lock_timeout", "0", Kind::Kept, false),
    ("max_identifier_length", "63", Kind::Fixed, false),
    ("row_security", "off", Kind::Kept, false),
    ("search_path", "public", Kind::Ignored, false),
    ("server_encoding", "UTF8", Kind::Fixed, true),
    ("server_version", VERSION, Kind::Fixed, true),
    ("server_version_num", "160006", Kind::Fixed, false),
    ("session_authorization", "", Kind::Fixed, true),
    ("standard_conforming_strings", "on", Kind::Fixed, true),
    ("statement_timeout", "0", Kind::Kept, false),
    ("synchronize_seqscans", "on", Kind::Kept, false),
    ("transaction_isolation", "read committed", Kind::Ignored, false),
    ("transaction_read_only", "on", Kind::Ignored, false),
    ("transaction_timeout", "0", Kind::Kept, false),
    ("work_mem", "4MB", Kind::Kept, false),
];

/// The most bytes of a value.
const VALUE_BYTES: usize = 1024;

/// The settings of a session.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    set: BTreeMap<&'static str, String>,
}

fn known(name: &str) -> Option<&'static Known> {
    static ALL: [Known; 38] = KNOWN;
    ALL.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
}

impl Settings {
    /// Those that a client brings.
    pub(super) fn of(startup: &BTreeMap<String, String>) -> Self {
        let mut settings = Self::default();
        for (name, value) in startup {
            // What cannot be had is told by what is reported.
            if settings.set(name, value).is_err() {
                tracing::debug!(name, "a setting is not taken over");
            }
        }
        if let Some(user) = startup.get("user") {
            settings.set.insert("session_authorization", user.clone());
        }
        settings
    }

    /// Whether there is a setting `name`.
    pub(super) fn knows(name: &str) -> bool {
        known(name).is_some()
    }

    /// Sets `name`, if it is known; gives the name and value to report, if clients are told.
    ///
    /// # Errors
    /// It cannot be had.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<Option<(&'static str, String)>, Fault> {
        let Some((name, default, kind, reported)) = known(name) else { return Ok(None) };
        let fits = |value: &str| {
            let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
            plain(value) == plain(default)
                || value.eq_ignore_ascii_case("default")
                || plain(value) == "unicode"
        };
        match kind {
            Kind::Fixed if !fits(value) => {
                return Err(Fault::Setting(format!("{name} is always {default:?} here")));
            }
            Kind::Fixed | Kind::Ignored => {}
            Kind::Kept if value.len() > VALUE_BYTES => {
                return Err(Fault::Setting(format!("{name} has more than {VALUE_BYTES} bytes")));
            }
            Kind::Kept if *name == "statement_timeout" && milliseconds(value).is_none() => {
                return Err(Fault::Setting(format!("{value:?} is no time for {name}")));
            }
            Kind::Kept if value.eq_ignore_ascii_case("default") => drop(self.set.remove(name)),
            Kind::Kept => drop(self.set.insert(name, value.to_owned())),
        }
        Ok(reported.then(|| (*name, self.value(name, default).to_owned())))
    }

    fn value<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.set.get(name).map_or(default, String::as_str)
    }

    /// The value of `name`, with its name as it is written.
    pub(super) fn get(&self, name: &str) -> Option<(&'static str, &str)> {
        known(name).map(|(name, default, ..)| (*name, self.value(name, default)))
    }

    /// Sets `name` back, or all.
    pub(super) fn reset(&mut self, name: Option<&str>) {
        let own = "session_authorization";
        self.set.retain(|set, _| *set == own || name.is_some_and(|name| !set.eq_ignore_ascii_case(name)));
    }

    /// What clients are told unasked.
    pub(super) fn reported(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let told = KNOWN.into_iter().filter(|(.., reported)| *reported);
        told.map(|(name, default, ..)| (name, self.value(name, default)))
    }

    /// The longest a statement may take, where the session says so.
    pub(super) fn statement_timeout(&self) -> Option<Duration> {
        let timeout = self.set.get("statement_timeout").and_then(|value| milliseconds(value))?;
        (timeout > Duration::ZERO).then_some(timeout)
    }

    /// How values are written as text.
    pub(super) fn format(&self) -> Arc<FormatOptions> {
        let set: HashMap<String, String> =
            self.set.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        Arc::new(FormatOptions::from_client_metadata(&set))
    }
}

/// A time as PostgreSQL's settings have it: a number with a unit, milliseconds without.
fn milliseconds(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.saturating_mul(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told_and_what_cannot_be_had_is_refused() {
        let mut settings = Settings::default();
        assert_eq!(
            settings.set("APPLICATION_NAME", "x").unwrap(),
            Some(("application_name", "x".to_owned()))
        );
        assert_eq!(settings.get("application_name"), Some(("application_name", "x")));
        assert!(settings.set("client_encoding", "utf-8").is_ok());
        assert!(matches!(settings.set("client_encoding", "LATIN1"), Err(Fault::Setting(_))));
        let zone = settings.set("timezone", "Europe/Berlin").unwrap();
        assert_eq!(zone, Some(("TimeZone", "UTC".to_owned())), "times are told in UTC, and that is said");
        assert_eq!(settings.set("datafusion.execution.batch_size", "1").unwrap(), None);
        assert!(!Settings::knows("datafusion.execution.batch_size"));
        settings.reset(None);
        assert_eq!(settings.get("application_name"), Some(("application_name", "")));
    }

    #[test]
    fn a_timeout_has_units() {
        let mut settings = Settings::default();
        for (text, expect) in
            [("0", None), ("1500", Some(1_500)), ("2s", Some(2_000)), ("1 min", Some(60_000))]
        {
            settings.set("statement_timeout", text).unwrap();
            assert_eq!(settings.statement_timeout(), expect.map(Duration::from_millis), "{text}");
        }
        assert!(settings.set("statement_timeout", "soon").is_err());
    }
}
