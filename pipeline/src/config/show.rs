//! The values in force, as a file that could be read again: what `treble config show` prints.

use super::settings::{Setting, Settings, shown};
use std::fmt::Write;

/// `settings` as TOML, secrets masked; `with_origin` says beside each value who set it.
#[must_use]
pub fn toml(settings: &Settings, with_origin: bool) -> String {
    let mut text = String::new();
    for section in settings.catalogue().sections() {
        if !section.path.is_empty() {
            write!(text, "\n[{}]\n", section.path).expect("a String takes all");
        }
        let known = section.keys.iter().map(|key| key.path.as_str());
        let dotted = format!("{}.", section.path);
        let is_free = section.path == "kafka.properties";
        let free = settings.iter().filter(|(key, _)| is_free && key.starts_with(&dotted));
        for key in known.chain(free.map(|(key, _)| key)) {
            let name = key.strip_prefix(&dotted).unwrap_or(key);
            let quoted = if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
            text += &line(&quoted, key, settings, with_origin);
        }
    }
    text
}

fn line(name: &str, key: &str, settings: &Settings, with_origin: bool) -> String {
    let Some(Setting { value, origin }) = settings.get(key) else { return String::new() };
    let assignment = format!("{name} = {}", shown(key, value));
    if with_origin { format!("{assignment:<48} # {origin}\n") } else { format!("{assignment}\n") }
}
