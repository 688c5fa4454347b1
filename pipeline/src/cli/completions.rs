//! `treble completions`.

use super::{Context, Exit, Failure, command};
use clap::Args;
use clap_complete::Shell;

/// Prints a completion script for a shell
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell; for bash: source <(treble completions bash)
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "treble", &mut script);
        context.output.raw(&script)?;
        Ok(Exit::Success)
    }
}
