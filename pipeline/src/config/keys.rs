//! The known keys. Texts in TOML describe them: their values are the defaults, their comments the documentation. The
//! shell's is `default.toml`, each stage brings its own.

use crate::stages::{STAGES, StageEntry};
use std::sync::LazyLock;
use toml::Value;

/// The keys of the shell.
const SHELL: &str = include_str!("default.toml");
/// Addresses that an empty text closes.
const DOORS: [&str; 3] = ["sql.http_listen", "sql.flight_listen", "sql.postgres_listen"];
/// What environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "TREBLE_";
/// Below this key, names are librdkafka's own.
pub(super) const PROPERTIES: &str = "kafka.properties.";

/// Shorter names for the two variables that every environment sets.
const ALIASES: [(&str, &str); 2] =
    [("TREBLE_BOOTSTRAP_SERVERS", "kafka.bootstrap_servers"), ("TREBLE_SCHEMA_REGISTRY_URL", "registry.url")];

/// How alike two names must be for one to be offered in place of the other (Jaro–Winkler, 0 to 1).
const ALIKE: f64 = 0.84;

/// A key, described.
#[derive(Debug, Clone)]
pub struct Key {
    /// The dotted path, such as `commit.interval_ms`.
    pub path: String,
    /// The default.
    pub default: Value,
    /// What it means.
    pub doc: String,
    /// The environment variable that sets it.
    pub variable: String,
}

/// A section of the file, with its keys.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// The dotted path; empty for the top of the file.
    pub path: String,
    /// What it is about.
    pub doc: String,
    /// Its keys, in the order of the file.
    pub keys: Vec<Key>,
}

/// All keys that may be set, and the stages that brought some of them.
#[derive(Debug)]
pub struct Catalogue {
    stages: &'static [StageEntry],
    sections: Vec<Section>,
}

static STANDARD: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::of(STAGES));

impl Catalogue {
    /// That of the program.
    #[must_use]
    pub fn standard() -> &'static Self {
        &STANDARD
    }

    /// That of a program with `stages`.
    pub(super) fn of(stages: &'static [StageEntry]) -> Self {
        let texts = std::iter::once(SHELL).chain(stages.iter().map(|stage| stage.settings));
        Self { stages, sections: texts.flat_map(parse).collect() }
    }

    /// The stages.
    #[must_use]
    pub const fn stages(&self) -> &'static [StageEntry] {
        self.stages
    }

    /// All sections: the shell's, then those of the stages in data-flow order.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// All keys, in the order of the sections.
    pub fn known(&self) -> impl Iterator<Item = &Key> {
        self.sections.iter().flat_map(|section| &section.keys)
    }

    /// The description of `path`.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Key> {
        self.known().find(|key| key.path == path)
    }

    /// Whether `path` may be set.
    pub(super) fn is_known(&self, path: &str) -> bool {
        path.strip_prefix(PROPERTIES).is_some_and(|name| !name.is_empty()) || self.find(path).is_some()
    }

    /// Whether an empty text at `path` means "not used": it is the default, or the key is a door that may stay closed.
    pub(super) fn is_optional(&self, path: &str) -> bool {
        DOORS.contains(&path) || self.find(path).is_some_and(|key| key.default.as_str() == Some(""))
    }

    /// The key that an environment variable sets.
    #[must_use]
    pub fn of_variable(&self, name: &str) -> Option<String> {
        if let Some((_, path)) = ALIASES.iter().find(|(alias, _)| *alias == name) {
            return Some((*path).to_owned());
        }
        let properties = variable_of(PROPERTIES);
        if let Some(property) = name.strip_prefix(&properties) {
            return Some(format!("{PROPERTIES}{}", property.to_lowercase().replace('_', ".")));
        }
        self.known().find(|key| key.variable == name).map(|key| key.path.clone())
    }

    /// The known key that `path` was probably meant to be.
    #[must_use]
    pub fn nearest(&self, path: &str) -> Option<&str> {
        let last = |path: &'_ str| path.rsplit('.').next().unwrap_or_default().to_owned();
        let likeness = |candidate: &str| {
            let whole = strsim::jaro_winkler(path, candidate);
            let ends = strsim::jaro_winkler(&last(path), &last(candidate));
            // The same name in the wrong section is the likelier slip than another name in the right one.
            whole.max(ends * 0.97)
        };
        let ranked = self.known().map(|key| (likeness(&key.path), key.path.as_str()));
        let best = ranked.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 >= ALIKE).then_some(best.1)
    }

    /// The variable that `name` was probably meant to be, where the two differ by a slip of the finger.
    pub(super) fn nearest_variable(&self, name: &str) -> Option<&str> {
        let close = |key: &&Key| strsim::damerau_levenshtein(&key.variable, name) <= 2;
        self.known().find(close).map(|key| key.variable.as_str())
    }
}

fn variable_of(path: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", path.to_uppercase().replace('.', "_"))
}

fn parse(text: &str) -> Vec<Section> {
    let mut sections = vec![Section::default()];
    let mut comment: Vec<&str> = Vec::new();
    for line in text.lines() {
        let current = sections.last_mut().expect("one is there from the start");
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
        } else if let Some(path) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let doc = std::mem::take(&mut comment).join(" ");
            sections.push(Section { path: path.to_owned(), doc, keys: Vec::new() });
        } else if let Some((name, value)) = line.split_once(" = ") {
            let doc = std::mem::take(&mut comment).join(" ");
            current.keys.push(key(&current.path, name, value, doc));
        } else {
            // A paragraph of comments that stands alone is about the file, or about the section so far.
            let about = std::mem::take(&mut comment).join(" ");
            if current.keys.is_empty() && current.doc.is_empty() {
                current.doc = about;
            }
        }
    }
    // What stands before the first section of a stage's text has no keys: it is about the text.
    sections.retain(|section| !(section.path.is_empty() && section.keys.is_empty()));
    sections
}

fn key(section: &str, name: &str, value: &str, doc: String) -> Key {
    let path = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
    let parsed: toml::Table = format!("v = {value}").parse().expect("the embedded defaults are TOML");
    let default = parsed["v"].clone();
    Key { variable: variable_of(&path), path, default, doc }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_key_is_documented_and_has_a_variable_of_its_own() {
        let undocumented: Vec<_> =
            Catalogue::standard().known().filter(|key| key.doc.is_empty()).map(|key| &key.path).collect();
        assert!(undocumented.is_empty(), "{undocumented:?}");
        let variables: BTreeSet<_> = Catalogue::standard().known().map(|key| &key.variable).collect();
        assert_eq!(variables.len(), Catalogue::standard().known().count());
    }

    #[test]
    fn a_stage_sets_keys_of_its_own_section_only() {
        for stage in STAGES {
            let own = format!("{}.", stage.name);
            let foreign: Vec<_> =
                parse(stage.settings).into_iter().flat_map(|section| section.keys).collect();
            assert!(foreign.iter().all(|key| key.path.starts_with(&own)), "{foreign:?}");
        }
        let paths: BTreeSet<_> = Catalogue::standard().known().map(|key| &key.path).collect();
        assert_eq!(paths.len(), Catalogue::standard().known().count());
    }

    #[test]
    fn variables_name_keys() {
        let check = |variable: &str, path: &str| {
            assert_eq!(Catalogue::standard().of_variable(variable).as_deref(), Some(path))
        };
        check("TREBLE_COMMIT_INTERVAL_MS", "commit.interval_ms");
        check("TREBLE_BOOTSTRAP_SERVERS", "kafka.bootstrap_servers");
        check("TREBLE_KAFKA_PROPERTIES_SOCKET_KEEPALIVE_ENABLE", "kafka.properties.socket.keepalive.enable");
        assert_eq!(Catalogue::standard().of_variable("TREBLE_SERVICE_HOST"), None);
    }

    #[test]
    fn slips_find_their_key() {
        let check =
            |slip: &str, meant: &str| assert_eq!(Catalogue::standard().nearest(slip), Some(meant), "{slip}");
        check("kafka.bootstrap_server", "kafka.bootstrap_servers");
        check("kakfa.bootstrap_servers", "kafka.bootstrap_servers");
        check("bootstrap_servers", "kafka.bootstrap_servers");
        check("commit.intervall_ms", "commit.interval_ms");
        assert_eq!(Catalogue::standard().nearest("zzz"), None);
        assert_eq!(
            Catalogue::standard().nearest_variable("TREBLE_COMMIT_INTERVAL_SM"),
            Some("TREBLE_COMMIT_INTERVAL_MS")
        );
        assert_eq!(Catalogue::standard().nearest_variable("TREBLE_SERVICE_HOST"), None);
    }
}
