//! Values with their origins: what the sources say, laid over each other.

use super::fault::Fault;
use super::keys::{self, Catalogue};
use super::origin::Origin;
use crate::secret::mask_user_info;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A value and who gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The value.
    pub value: Value,
    /// Who gave it.
    pub origin: Origin,
}

/// One setting a key; a later source replaces an earlier one.
#[derive(Debug, Clone)]
pub struct Settings {
    catalogue: &'static Catalogue,
    values: BTreeMap<String, Setting>,
}

impl Settings {
    /// The built-in values.
    #[must_use]
    pub fn defaults(catalogue: &'static Catalogue) -> Self {
        let setting = |value: &Value| Setting { value: value.clone(), origin: Origin::Default };
        let values = catalogue.known().map(|key| (key.path.clone(), setting(&key.default))).collect();
        Self { catalogue, values }
    }

    /// The keys that may be set.
    #[must_use]
    pub const fn catalogue(&self) -> &'static Catalogue {
        self.catalogue
    }

    /// All settings, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.values.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// The setting of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.values.get(key)
    }

    /// Sets `key`.
    pub(super) fn set(&mut self, key: &str, value: Value, origin: Origin) {
        self.values.insert(key.to_owned(), Setting { value, origin });
    }

    /// Sets `key` from a text, read as the type that the key's default has.
    pub(super) fn set_text(&mut self, key: &str, text: &str, origin: Origin, faults: &mut Vec<Fault>) {
        let Some(known) = self.catalogue.find(key) else {
            if self.catalogue.is_known(key) {
                return self.set(key, Value::String(text.to_owned()), origin);
            }
            return faults.push(self.unknown(key, &Value::String(text.to_owned()), origin));
        };
        match parse(text, &known.default) {
            Some(value) => self.set(key, value, origin),
            None => faults.push(Fault {
                key: key.to_owned(),
                value: shown(key, &Value::String(text.to_owned())),
                origin: Some(origin),
                problem: format!("not {}", kind(&known.default)),
                fix: format!("the default is {}", known.default),
            }),
        }
    }

    /// Sets every key of a file.
    pub(super) fn set_table(&mut self, table: Table, origin: &Origin, faults: &mut Vec<Fault>) {
        let mut leaves = Vec::new();
        self.flatten("", table, &mut leaves);
        for (key, value) in leaves {
            if self.catalogue.is_known(&key) {
                self.set(&key, value, origin.clone());
            } else {
                faults.push(self.unknown(&key, &value, origin.clone()));
            }
        }
    }

    /// The settings as one table; optional ones that are empty are left out.
    pub(super) fn to_table(&self) -> Table {
        let mut root = Table::new();
        let properties = ("properties".to_owned(), Value::Table(Table::new()));
        root.insert("kafka".to_owned(), Value::Table(Table::from_iter([properties])));
        for (key, setting) in &self.values {
            if !self.is_unused(key, &setting.value) {
                insert(&mut root, key, setting.value.clone());
            }
        }
        root
    }

    /// The defaults with the setting of `key` alone laid over them.
    pub(super) fn alone(&self, key: &str) -> Self {
        let mut settings = Self::defaults(self.catalogue);
        if let Some(setting) = self.values.get(key) {
            settings.values.insert(key.to_owned(), setting.clone());
        }
        settings
    }

    /// Puts the default back.
    pub(super) fn reset(&mut self, key: &str) {
        match self.catalogue.find(key) {
            Some(known) => self.set(key, known.default.clone(), Origin::Default),
            None => drop(self.values.remove(key)),
        }
    }

    /// A fault of `key` with the value that is set and who set it.
    pub(super) fn fault(&self, key: &str, problem: impl Into<String>, fix: impl Into<String>) -> Fault {
        let setting = self.values.get(key);
        Fault {
            key: key.to_owned(),
            value: setting.map(|setting| shown(key, &setting.value)).unwrap_or_default(),
            origin: setting.map(|setting| setting.origin.clone()),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    fn unknown(&self, key: &str, value: &Value, origin: Origin) -> Fault {
        let fix = match self.catalogue.nearest(key) {
            Some(meant) => format!("did you mean {meant}?"),
            None => "`treble config show` lists all keys".to_owned(),
        };
        let problem = "unknown key".to_owned();
        Fault { key: key.to_owned(), value: shown(key, value), origin: Some(origin), problem, fix }
    }

    fn is_unused(&self, key: &str, value: &Value) -> bool {
        self.catalogue.is_optional(key) && value.as_str() == Some("")
    }

    fn flatten(&self, prefix: &str, table: Table, leaves: &mut Vec<(String, Value)>) {
        for (name, value) in table {
            let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Table(inner) if self.catalogue.find(&key).is_none() => {
                    self.flatten(&key, inner, leaves)
                }
                leaf => leaves.push((key, leaf)),
            }
        }
    }
}

/// `value` as it may be shown: secrets are masked.
#[must_use]
pub fn shown(key: &str, value: &Value) -> String {
    let secret = ["password", "secret", "token", "key.pem", "jaas", "credential"];
    let is_file = key.ends_with("_file") || key.ends_with(".location");
    let is_empty = value.as_str() == Some("");
    if !is_file && !is_empty && secret.iter().any(|word| key.contains(word)) {
        return "\"***\"".to_owned();
    }
    match value.as_str().and_then(mask_user_info) {
        Some(masked) => Value::String(masked).to_string(),
        None => value.to_string(),
    }
}

fn insert(root: &mut Table, key: &str, value: Value) {
    let is_property = key.starts_with(keys::PROPERTIES);
    let cut = if is_property { Some(keys::PROPERTIES.len() - 1) } else { key.rfind('.') };
    let Some(cut) = cut else {
        root.insert(key.to_owned(), value);
        return;
    };
    let mut table = root;
    for part in key[..cut].split('.') {
        let slot = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(inner) = slot else { return };
        table = inner;
    }
    table.insert(key[cut + 1..].to_owned(), value);
}

fn parse(text: &str, like: &Value) -> Option<Value> {
    Some(match like {
        Value::Integer(_) => Value::Integer(text.trim().replace('_', "").parse().ok()?),
        Value::Float(_) => Value::Float(text.trim().parse().ok()?),
        Value::Boolean(_) => Value::Boolean(text.trim().parse().ok()?),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(text.to_owned()),
    })
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        _ => "of the expected type",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_paths_to_them_are_not() {
        let text = |text: &str| Value::String(text.to_owned());
        let check = |key: &str, value: &str, shows: &str| assert_eq!(shown(key, &text(value)), shows);
        check("kafka.properties.sasl.password", "hunter2", "\"***\"");
        check("kafka.sasl_password_file", "/run/pw", "\"/run/pw\"");
        check("registry.token", "hunter2", "\"***\"");
        check("registry.token", "", "\"\"");
        check("registry.url", "https://me:hunter2@host/a@b", "\"https://***@host/a@b\"");
        check("registry.url", "https://host/a@b", "\"https://host/a@b\"");
    }

    #[test]
    fn properties_keep_their_dots_however_they_are_written() {
        for file in ["[kafka.properties]\n\"a.b.c\" = 5", "[kafka.properties]\na.b.c = 5"] {
            let mut settings = Settings::defaults(Catalogue::standard());
            let mut faults = Vec::new();
            settings.set_table(file.parse().unwrap(), &Origin::Default, &mut faults);
            assert!(faults.is_empty());
            assert_eq!(settings.to_table()["kafka"]["properties"]["a.b.c"], Value::Integer(5));
        }
    }
}
