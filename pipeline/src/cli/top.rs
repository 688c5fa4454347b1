//! `treble top`.
//!
//! Data flow: addresses → [`super::scrape`] → [`exposition`] → two looks → [`view`] (pure) → [`screen`], or a document.

mod exposition;
mod screen;
mod view;

use super::scrape::Scraper;
use super::{Context, Exit, Failure};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::ports::Clock;
use clap::Args;
use exposition::Exposition;
use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use view::{Look, View};

/// Shows stages, lag, speed, batches and errors, live
#[derive(Debug, Args)]
#[command(after_help = "\
Reads /metrics of processes and of the lag collector; Kafka is not asked. On a terminal it goes on until Ctrl-C, what is wrong in colour; \
elsewhere each look is printed.

Examples:
  treble top
  treble top 10.0.0.1:9464 10.0.0.2:9464 10.0.0.9:9468
  treble top --once --output json")]
pub(super) struct Top {
    /// Addresses of /metrics; without any, admin.listen of the configuration and the lag collector's 127.0.0.1:9468
    #[arg(value_name = "ADDRESS")]
    addresses: Vec<SocketAddr>,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
    interval: u64,
    /// Prints what two looks tell, and leaves
    #[arg(long)]
    once: bool,
    /// Speaks TLS, and trusts the authorities in this PEM file; the token is that of admin.token_file
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Clears the terminal.
const CLEAR: &str = "\u{1b}[2J";
/// Rows of a terminal that does not say how many it has.
const ROWS: usize = 50;
/// Where `treble lag --listen` serves unless told otherwise.
const COLLECTOR: SocketAddr =
    SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 9468));

impl Top {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let config = context.load(&context.options.request())?.config;
        let scraper = Scraper::configured(self.ca_file.clone(), &config)?;
        let watch = Watch { addresses: self.addresses(&config), scraper, clock: SystemClock::new() };
        if self.once || context.output.is_json() || !io::stdout().is_terminal() {
            return self.print(context, &watch);
        }
        context.output.raw(CLEAR.as_bytes())?;
        self.show(context, &watch)
    }

    fn addresses(&self, config: &Config) -> Vec<SocketAddr> {
        if self.addresses.is_empty() { vec![config.admin.listen, COLLECTOR] } else { self.addresses.clone() }
    }

    fn print(&self, context: &Context, watch: &Watch) -> Result<Exit, Failure> {
        let mut before = watch.look();
        loop {
            std::thread::park_timeout(Duration::from_secs(self.interval));
            let now = watch.look();
            let view = View::between(&before, &now);
            context.output.document("top", &view, || screen::text(&view))?;
            if self.once {
                let silent = view.processes.iter().all(|process| !process.answers);
                return if silent { Err(watch.nobody()) } else { Ok(Exit::Success) };
            }
            before = now;
        }
    }

    fn show(&self, context: &Context, watch: &Watch) -> Result<Exit, Failure> {
        let rows =
            context.surroundings.variable("LINES").and_then(|lines| lines.parse().ok()).unwrap_or(ROWS);
        let mut before = watch.look();
        let mut view = View::between(&before, &before);
        loop {
            context.output.raw(screen::screen(&view, rows).as_bytes())?;
            std::thread::park_timeout(Duration::from_secs(self.interval));
            let now = watch.look();
            view = View::between(&before, &now);
            before = now;
        }
    }
}

/// Whom to look at, and how.
struct Watch {
    addresses: Vec<SocketAddr>,
    scraper: Scraper,
    clock: SystemClock,
}

impl Watch {
    fn look(&self) -> Look {
        let asked = |&address: &SocketAddr| (address.to_string(), self.metrics(address).ok());
        Look { at: self.clock.now(), answers: self.addresses.iter().map(asked).collect() }
    }

    fn metrics(&self, address: SocketAddr) -> io::Result<Exposition> {
        let answer = self.scraper.get(address, &address.ip().to_string(), "/metrics")?;
        match answer.status {
            200 => Ok(Exposition::read(&answer.body)),
            401 => Err(io::Error::other("it asks for another token: set admin.token_file")),
            _ => Err(io::Error::other("no metrics there")),
        }
    }

    fn nobody(&self) -> Failure {
        let named = self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let why = self.addresses.iter().find_map(|&address| self.metrics(address).err());
        let failure = Failure::new(Exit::Unavailable, format!("nobody answers at {named}")).mend(
            "start `treble run` and `treble lag --listen 127.0.0.1:9468`, or name the addresses of yours",
        );
        why.map_or(failure.clone(), |why| failure.because(why))
    }
}
