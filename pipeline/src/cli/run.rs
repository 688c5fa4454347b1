//! `treble run`.

use super::output::Output;
use super::renewal::Renewal;
use super::{Context, Exit, Failure};
use crate::admin::http;
use crate::config::Config;
use crate::runtime::{self, RunError, Shutdown};
use crate::telemetry::log::{self, Component};
use clap::Args;
use std::io;
use std::thread;
use tokio::signal::unix::{SignalKind, signal};

/// Runs stages until it is told to stop
#[derive(Debug, Args)]
#[command(
    after_help = "The first Ctrl-C (or SIGTERM) finishes what was read and commits it; the second aborts."
)]
pub(super) struct Run {
    /// The stages to run, separated by commas: any of decode, upscale, encode, analyse
    #[arg(long, value_name = "LIST")]
    stages: Option<String>,
    /// distributed: a topic between all stages; fused: neighbours share memory and a transaction
    #[arg(long, value_name = "KIND")]
    topology: Option<String>,
    /// Name of this process, stable over restarts
    #[arg(long, value_name = "NAME")]
    instance_id: Option<String>,
    /// Address of /metrics, /livez and /readyz; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut request = context.options.request();
        let flags = [
            ("stages", self.stages, "--stages"),
            ("topology", self.topology, "--topology"),
            ("instance_id", self.instance_id, "--instance-id"),
            ("admin.listen", self.listen, "--listen"),
        ];
        for (key, value, flag) in flags {
            if let Some(value) = value {
                request.set(key, value, flag);
            }
        }
        let config = context.load(&request)?.config;
        let _log = log::start(&config, Component::Stages)?;
        // The likeliest faults first, and each by its own name; the runtime takes the port for good.
        drop(http::bind(http::KEY, config.admin.listen).map_err(RunError::from)?);
        super::doctor::check_topics(&config)?;
        super::handover::check(&config)?;
        let shutdown = Shutdown::default();
        listen_for_signals(shutdown.clone(), context.output, config.commit.deadline_ms)
            .map_err(|error| Failure::new(Exit::Software, "cannot listen for signals").because(error))?;
        // Certificates are the clients': new ones want new clients, and all else that the stages are made of hangs on these.
        while run_once(&config, &shutdown)? == Ended::ByRenewal {}
        Ok(Exit::Success)
    }
}

/// Why the stages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// As was asked for.
    AsAsked,
    /// Certificates for Kafka were renewed in their files: they begin anew, with what they committed.
    ByRenewal,
}

fn run_once(config: &Config, shutdown: &Shutdown) -> Result<Ended, Failure> {
    let part = shutdown.part();
    let renewal = Renewal::watch(config, &part)
        .map_err(|error| Failure::new(Exit::Software, "no thread for certificates").because(error))?;
    runtime::run(config, &part)?;
    Ok(if renewal.has_come() && !shutdown.is_draining() { Ended::ByRenewal } else { Ended::AsAsked })
}

/// The first signal drains, the second ends the process at once: its open transaction is aborted by the broker,
/// or by its successor.
fn listen_for_signals(shutdown: Shutdown, output: Output, deadline_ms: u64) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let wait = async move {
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let seconds = deadline_ms.div_ceil(1000);
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        output.say(&format!("Draining: commits within {seconds} s, then ends. Again to abort."));
        shutdown.drain();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        output.say("Aborted: what was not committed will be read again.");
        std::process::exit(Exit::Interrupted.code().into());
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), io::Error>(())
    };
    let listener = move || {
        if let Err(error) = runtime.block_on(wait) {
            tracing::error!(%error, "signals are not listened for");
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(listener).map(drop)
}
