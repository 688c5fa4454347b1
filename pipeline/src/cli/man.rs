//! `treble man`.

use super::{Context, Exit, Failure, command};
use clap::Args;

/// Prints a manual page: treble man | man -l -
#[derive(Debug, Args)]
pub(super) struct Man {
    /// The page of one command, such as publish; without it, the overview
    command: Option<String>,
}

impl Man {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut root = command();
        // Hands the common options down, as parsing would.
        root.build();
        let page = match &self.command {
            None => root,
            Some(name) => page_of(&root, name)?,
        };
        let mut text = Vec::new();
        let rendered = clap_mangen::Man::new(page).render(&mut text);
        rendered.expect("a Vec takes every byte");
        context.output.raw(&text)?;
        Ok(Exit::Success)
    }
}

fn page_of(root: &clap::Command, name: &str) -> Result<clap::Command, Failure> {
    let found = root.get_subcommands().find(|verb| verb.get_name() == name);
    let verb = found.ok_or_else(|| {
        let names: Vec<_> = root.get_subcommands().map(clap::Command::get_name).collect();
        Failure::new(Exit::Usage, format!("`{name}` is no command"))
            .mend(format!("choose one of {}", names.join(", ")))
    })?;
    Ok(verb.clone().after_long_help(Exit::table()))
}
