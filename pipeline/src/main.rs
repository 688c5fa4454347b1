//! The `treble` command: see [`treble_pipeline::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // Dependencies compile two providers in, and rustls panics where it has to choose; an error here means that
    // one was chosen already.
    drop(rustls::crypto::ring::default_provider().install_default());
    treble_pipeline::cli::main(std::env::args_os()).into()
}
