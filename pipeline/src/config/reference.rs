//! The reference of all keys as Markdown: what docs/configuration.md holds.

use super::keys::{Catalogue, Key, Section};
use std::fmt::Write;

const HEAD: &str = "# Configuration\n\n\
<!-- Written by `treble config reference`; change pipeline/src/config/default.toml, or a stage's config.toml, instead. -->\n\n\
Every value has a default. The first source that sets a key wins: flag (`--set key=value`, and short ones such \
as `--stages`), environment variable, `--config FILE`, `./treble.toml`, \
`$XDG_CONFIG_HOME/treble/treble.toml` (or `~/.config/treble/treble.toml`), default. `treble config show \
--origin` says where each value comes from, `treble validate` lists every fault at once. \
`TREBLE_BOOTSTRAP_SERVERS` and `TREBLE_SCHEMA_REGISTRY_URL` are short for the two keys that every \
environment sets. Passwords and tokens are read from files or from the environment; a configuration file or a flag \
that holds one is refused.\n";

/// The whole reference.
#[must_use]
pub fn markdown(catalogue: &Catalogue) -> String {
    catalogue.sections().iter().fold(HEAD.to_owned(), |text, section| text + &of_section(section))
}

fn of_section(section: &Section) -> String {
    let mut text = if section.path.is_empty() {
        "\n## Top of the file\n".to_owned()
    } else {
        format!("\n## `[{}]`\n\n{}\n", section.path, section.doc)
    };
    if !section.keys.is_empty() {
        text.push_str("\n| key | default | environment | meaning |\n| --- | --- | --- | --- |\n");
    }
    for Key { path, default, doc, variable } in &section.keys {
        let meaning = doc.replace('|', "\\|");
        writeln!(text, "| `{path}` | `{default}` | `{variable}` | {meaning} |").expect("a String takes all");
    }
    text
}
