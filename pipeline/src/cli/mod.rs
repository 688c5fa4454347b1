//! The `treble` command: one file a verb.
//!
//! Data flow: arguments → [`Cli`] → the verb's `run` with a [`Context`] → an [`Exit`] or a [`Failure`]. Data goes to standard
//! output, talk to standard error, both through [`output`] and `progress` alone. Deliberately absent: Kafka,
//! which verbs reach through [`crate::kafka`] only, and decisions about audio.

mod canary;
mod chunker;
mod completions;
mod config;
mod debug;
mod destination;
mod dlq;
mod doctor;
mod exit;
mod failure;
mod fault;
mod fetch;
mod files;
mod gather;
mod graph;
mod handover;
mod input;
mod lag;
mod lake;
mod listen;
mod logs;
mod man;
mod metrics;
mod options;
pub mod output;
mod progress;
mod publish;
mod registry;
mod renewal;
mod run;
mod scrape;
mod serve;
mod served;
mod signals;
mod spectrogram;
mod sql;
mod tap;
mod top;
mod topics;
mod tracing;
mod upscale;
mod validate;

pub use exit::Exit;
pub use failure::Failure;
pub use options::{Context, Options};

use crate::config::Surroundings;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use output::Output;
use std::ffi::OsString;

const EXAMPLES: &str = "Examples:
  treble topics create                       create the topics
  treble run                                 run all stages in this process
  treble publish song.mp3                    send a file through them
  treble fetch song -o song.flac             and get it back, upscaled
  treble upscale song.mp3 -o song.flac       the same without Kafka
  treble lag                                 how far every group is behind, in seconds too
  treble canary --count 1                    one clip through all stages: is everything well?
  treble sql --saved slowest-streams         what was processed, in SQL
  treble tap audio.in                        the records of a topic, and what they say
  treble doctor                              what is missing, and how to mend it
  treble debug bundle                        all that a report needs in one archive, without secrets
";

/// Streaming audio super-resolution on Kafka
#[derive(Debug, Parser)]
#[command(name = "treble", version, before_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Run),
    Publish(publish::Publish),
    Fetch(fetch::Fetch),
    Upscale(upscale::Upscale),
    Spectrogram(spectrogram::Spectrogram),
    #[command(subcommand)]
    Topics(topics::TopicsVerb),
    #[command(subcommand)]
    Dlq(dlq::DlqVerb),
    Lag(lag::Lag),
    Canary(canary::Canary),
    #[command(subcommand)]
    Lake(lake::LakeVerb),
    Sql(sql::Sql),
    Serve(serve::Serve),
    Tap(tap::Tap),
    Top(top::Top),
    Doctor(doctor::Doctor),
    #[command(subcommand)]
    Debug(debug::DebugVerb),
    Validate(validate::Validate),
    Graph(graph::Graph),
    #[command(subcommand)]
    Config(config::ConfigVerb),
    Metrics(metrics::Metrics),
    #[command(subcommand)]
    Logs(logs::LogsVerb),
    Completions(completions::Completions),
    Man(man::Man),
}

/// The definition of the command, for help, completions and man pages.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command().after_long_help(Exit::table())
}

/// Reads `arguments` and does what they ask.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let parsed =
        command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    match parsed {
        Ok(cli) => cli.run(),
        Err(error) => {
            // Help and version count as errors of usage there, and end well.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            drop(error.print());
            exit
        }
    }
}

impl Cli {
    fn run(self) -> Exit {
        let surroundings = Surroundings::observe();
        let output = Output::new(self.options.output, surroundings.variable("NO_COLOR").is_some());
        let context = Context { options: self.options, output, surroundings };
        self.verb.run(&context).unwrap_or_else(|failure| {
            // A reader of standard output that left early has all it wanted.
            if failure.exit != Exit::Success {
                output.failure(&failure);
            }
            failure.exit
        })
    }
}

impl Verb {
    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match self {
            Self::Run(verb) => verb.run(context),
            Self::Publish(verb) => verb.run(context),
            Self::Fetch(verb) => verb.run(context),
            Self::Upscale(verb) => verb.run(context),
            Self::Spectrogram(verb) => verb.run(context),
            Self::Topics(verb) => verb.run(context),
            Self::Dlq(verb) => verb.run(context),
            Self::Lag(verb) => verb.run(context),
            Self::Canary(verb) => verb.run(context),
            Self::Lake(verb) => verb.run(context),
            Self::Sql(verb) => verb.run(context),
            Self::Serve(verb) => verb.run(context),
            Self::Tap(verb) => verb.run(context),
            Self::Top(verb) => verb.run(context),
            Self::Doctor(verb) => verb.run(context),
            Self::Debug(verb) => verb.run(context),
            Self::Validate(verb) => verb.run(context),
            Self::Graph(verb) => verb.run(context),
            Self::Config(verb) => verb.run(context),
            Self::Metrics(verb) => verb.run(context),
            Self::Logs(verb) => verb.run(context),
            Self::Completions(verb) => verb.run(context),
            Self::Man(verb) => verb.run(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds() {
        command().debug_assert();
    }
}
