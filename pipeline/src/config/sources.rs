//! Reads the sources: files, environment, flags. The only part of configuration that does I/O.

use super::fault::Fault;
use super::keys::{self, Catalogue};
use super::origin::Origin;
use super::settings::Settings;
use std::fs;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The file that is read from the working directory and from the user's configuration folder.
pub const FILE_NAME: &str = "treble.toml";

/// What a caller asks for, beyond what the surroundings say.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// A file named explicitly: it must exist.
    pub file: Option<PathBuf>,
    /// What flags set, in order.
    pub flags: Vec<Assignment>,
}

impl Request {
    /// Sets `key` because of `flag`.
    pub fn set(&mut self, key: &str, value: impl Into<String>, flag: &str) {
        self.flags.push(Assignment { key: key.to_owned(), value: value.into(), flag: flag.to_owned() });
    }
}

/// A flag that sets a key.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The key.
    pub key: String,
    /// The value, as text.
    pub value: String,
    /// How the flag is spelled.
    pub flag: String,
}

/// What the machine and the shell say, observed once.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Environment variables.
    pub variables: Vec<(String, String)>,
    /// The working directory.
    pub directory: PathBuf,
    /// The name of the machine; empty where it has none.
    pub host_name: String,
}

impl Surroundings {
    /// Those of this process.
    #[must_use]
    pub fn observe() -> Self {
        let text = |word: std::ffi::OsString| word.to_string_lossy().into_owned();
        Self {
            variables: std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect(),
            directory: PathBuf::new(),
            host_name: host_name(),
        }
    }

    /// The variable `name`, where it is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn user_file(&self) -> Option<PathBuf> {
        let folder = match self.variable("XDG_CONFIG_HOME") {
            Some(folder) => PathBuf::from(folder),
            None => Path::new(self.variable("HOME")?).join(".config"),
        };
        Some(folder.join("treble").join(FILE_NAME))
    }
}

fn host_name() -> String {
    let read = |path: &str| fs::read_to_string(path).ok().map(|name| name.trim().to_owned());
    read("/proc/sys/kernel/hostname").or_else(|| read("/etc/hostname")).unwrap_or_default()
}

/// What all sources say together, what is wrong with them, and what is merely odd.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) settings: Settings,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
}

/// Lays the sources over each other, the most general first.
pub(super) fn gather(
    catalogue: &'static Catalogue,
    request: &Request,
    surroundings: &Surroundings,
) -> Gathered {
    let settings = Settings::defaults(catalogue);
    let mut gathered = Gathered { settings, faults: Vec::new(), warnings: Vec::new() };
    if !surroundings.host_name.is_empty() {
        let name = Value::String(surroundings.host_name.clone());
        gathered.settings.set("instance_id", name, Origin::Host);
    }
    for (path, required) in files(request, surroundings) {
        gathered.add_file(&path, required);
    }
    for (name, value) in &surroundings.variables {
        gathered.add_variable(name, value);
    }
    for Assignment { key, value, flag } in &request.flags {
        gathered.settings.set_text(key, value, Origin::Flag(flag.clone()), &mut gathered.faults);
    }
    gathered
}

/// The files to read, in rising order of precedence, and whether each must exist.
fn files(request: &Request, surroundings: &Surroundings) -> Vec<(PathBuf, bool)> {
    let usual = [surroundings.user_file(), Some(surroundings.directory.join(FILE_NAME))];
    let mut files: Vec<_> = usual.into_iter().flatten().map(|path| (path, false)).collect();
    files.extend(request.file.clone().map(|path| (path, true)));
    files
}

impl Gathered {
    fn add_file(&mut self, path: &Path, required: bool) {
        let fault = |problem: String, fix: &str| Fault {
            key: path.display().to_string(),
            value: String::new(),
            origin: None,
            problem,
            fix: fix.to_owned(),
        };
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if !required && error.kind() == std::io::ErrorKind::NotFound => return,
            Err(error) => {
                let fix = "name a file that can be read, or leave it out";
                return self.faults.push(fault(format!("cannot be read: {error}"), fix));
            }
        };
        match text.parse::<Table>() {
            Ok(table) => {
                let origin = Origin::File(path.to_owned());
                self.settings.set_table(table, &origin, &mut self.faults);
            }
            Err(error) => {
                let problem = format!("is no TOML: {}", error.to_string().trim_end());
                self.faults.push(fault(problem, ""));
            }
        }
    }

    fn add_variable(&mut self, name: &str, value: &str) {
        if !name.starts_with(keys::ENVIRONMENT_PREFIX) {
            return;
        }
        let origin = Origin::Environment(name.to_owned());
        match self.settings.catalogue().of_variable(name) {
            Some(key) => self.settings.set_text(&key, value, origin, &mut self.faults),
            // Others may use the prefix too, Kubernetes for one: only what looks like a slip is worth a word.
            None => {
                self.warnings.extend(self.settings.catalogue().nearest_variable(name).map(|meant| Fault {
                    key: name.to_owned(),
                    value: String::new(),
                    origin: Some(origin),
                    problem: "sets nothing".to_owned(),
                    fix: format!("did you mean {meant}?"),
                }))
            }
        }
    }
}
