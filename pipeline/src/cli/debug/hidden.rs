//! Takes secrets out of what a bundle holds: by their form ([`redact`]), by the name beside them, and by what they are, as far as
//! the configuration and the environment know them.
//!
//! A password that stands alone in a text has no form. But whoever makes a bundle knows the passwords in force: wherever one of them
//! stands, in whatever file, it goes.

use crate::cli::files;
use crate::cli::options::Options;
use crate::config::{Config, Loaded, Surroundings, shown};
use crate::redact::{HIDDEN, is_secret_name, redact};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// What is shorter may be any word, and would be hidden wherever that stands.
const SHORTEST: usize = 6;
/// Variables of every shell, which are called as passwords are.
const FOLDERS: [&str; 2] = ["PWD", "OLDPWD"];

/// The secrets that are known.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// The longest first: one may be part of another.
    values: Vec<String>,
}

impl Hidden {
    /// What the command line, the environment and, where there is one, the configuration hold.
    pub(super) fn known(options: &Options, surroundings: &Surroundings, loaded: Option<&Loaded>) -> Self {
        let mut found = BTreeSet::new();
        for (name, value) in options.property.iter().chain(&options.set).chain(&surroundings.variables) {
            if is_secret_name(name) && !FOLDERS.contains(&name.as_str()) || is_masked(name, value) {
                found.insert(value.clone());
            }
            found.extend(user_info(value));
        }
        if let Some(loaded) = loaded {
            for (key, setting) in loaded.settings.iter() {
                let Some(value) = setting.value.as_str() else { continue };
                found.extend(is_masked(key, value).then(|| value.to_owned()));
                found.extend(user_info(value));
            }
            found.extend(of_files(&loaded.config));
        }
        Self::of(found)
    }

    fn of(found: impl IntoIterator<Item = String>) -> Self {
        let mut values: Vec<String> =
            found.into_iter().filter(|value| value.trim().len() >= SHORTEST).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        Self { values }
    }

    /// `text` without secrets.
    pub(super) fn text(&self, text: &str) -> String {
        let clean = redact(text).into_owned();
        self.values.iter().fold(clean, |text, value| {
            if text.contains(value.as_str()) { text.replace(value.as_str(), HIDDEN) } else { text }
        })
    }

    /// `document` without secrets, and still a document: texts are looked at one by one.
    pub(super) fn json(&self, document: Value) -> Value {
        match document {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                let clean = |(name, value): (String, Value)| match value {
                    Value::String(_) if is_secret_name(&name) => (name, HIDDEN.into()),
                    other => (self.text(&name), self.json(other)),
                };
                Value::Object(fields.into_iter().map(clean).collect())
            }
            other => other,
        }
    }
}

/// Whether `config show` would not show `value`.
fn is_masked(key: &str, value: &str) -> bool {
    let plain = toml::Value::String(value.to_owned());
    shown(key, &plain) == format!("\"{HIDDEN}\"")
}

/// User and password of a URL together, and the password alone.
fn user_info(text: &str) -> Vec<String> {
    let authority = text.split_once("://").map(|(_, rest)| rest.split('/').next().unwrap_or(rest));
    let Some((info, _)) = authority.and_then(|authority| authority.rsplit_once('@')) else {
        return Vec::new();
    };
    let password = info.split_once(':').map(|(_, password)| password.to_owned());
    [Some(info.to_owned()), password].into_iter().flatten().collect()
}

/// What the files with secrets hold: whole lines, and their words, as one file holds names and tokens. Private keys have a form.
fn of_files(config: &Config) -> Vec<String> {
    let texts = files::secrets(config).into_iter().filter_map(|(_, path)| fs::read_to_string(path).ok());
    let plain = texts.filter(|text| !text.contains("-----BEGIN"));
    let parts = |text: String| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        let words = lines.clone().flat_map(|line| line.split_whitespace().skip(1));
        lines.chain(words).map(str::to_owned).collect()
    };
    plain.flat_map(parts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_known_is_hidden_wherever_it_stands() {
        let hidden = Hidden::of(["hunter2-of-kafka".to_owned(), "short".to_owned(), "hunter2".to_owned()]);
        assert_eq!(hidden.text("a hunter2-of-kafka, b hunter2; short"), "a ***, b ***; short");
        let document =
            json!({ "a": ["see hunter2", 5], "password": "x", "hunter2": { "b": "Bearer abcdef" } });
        let clean = json!({ "a": ["see ***", 5], "password": "***", "***": { "b": "Bearer ***" } });
        assert_eq!(hidden.json(document), clean);
    }

    #[test]
    fn a_password_in_an_address_is_known() {
        assert_eq!(user_info("https://ada:hunter2@host/a@b"), ["ada:hunter2", "hunter2"]);
        assert_eq!(user_info("https://host/a@b"), Vec::<String>::new());
        assert_eq!(user_info("ada:hunter2@host"), Vec::<String>::new());
    }

    #[test]
    fn secrets_of_flags_and_of_the_environment_are_known() {
        assert!(is_masked("kafka.properties.sasl.password", "hunter2"));
        assert!(!is_masked("kafka.sasl_password_file", "/run/password"));
    }
}
