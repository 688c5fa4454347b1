//! `treble serve`.

use super::{Context, Exit, Failure, signals, sql};
use crate::clock::SystemClock;
use crate::query::gate::GateError;
use crate::query::serve::{Doors, Prepared, ServeError};
use crate::telemetry::log::{self, Component};
use clap::Args;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;

/// Lets analysts ask what was processed, in SQL: over HTTP, Arrow Flight SQL and PostgreSQL's protocol
#[derive(Debug, Args)]
#[command(after_help = "\
Doors answer from the lake (lake.url) and from the topic of events, whose latest rows the lake does not hold yet; without a lake, from the \
topic alone. They only read. Who may ask is written in sql.tokens_file: a name and its token a line. Any number of processes may serve.")]
pub(super) struct Serve {
    /// Address of the HTTP door (POST /v1/sql); port 0 takes any free one, an empty text closes it
    #[arg(long, value_name = "ADDRESS")]
    http: Option<String>,
    /// Address of the Arrow Flight SQL door
    #[arg(long, value_name = "ADDRESS")]
    flight: Option<String>,
    /// Address of the PostgreSQL door
    #[arg(long, value_name = "ADDRESS")]
    postgres: Option<String>,
    /// Lets everyone ask who reaches the doors, which are on loopback addresses then
    #[arg(long)]
    anonymous: bool,
    /// Serves /metrics, /livez and /readyz on this address
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
}

impl Serve {
    pub(super) fn run(self, context: &Context) -> Result<Exit, Failure> {
        let mut request = context.options.request();
        let flags = [
            ("sql.http_listen", self.http, "--http"),
            ("sql.flight_listen", self.flight, "--flight"),
            ("sql.postgres_listen", self.postgres, "--postgres"),
            ("sql.anonymous", self.anonymous.then(|| "true".to_owned()), "--anonymous"),
        ];
        for (key, value, flag) in flags {
            if let Some(value) = value {
                request.set(key, value, flag);
            }
        }
        let config = context.load(&request)?.config;
        let _log = log::start(&config, Component::Sql)?;
        let lake = sql::lake(&config)?;
        let prepared = Prepared::new(&config, lake, Arc::new(SystemClock::new()))?;
        let doors = Doors::bind(&config.sql, self.listen)?;
        let addresses: serde_json::Map<_, _> =
            doors.addresses().map(|(door, address)| (door.text().to_owned(), json!(address))).collect();
        let document = json!({ "doors": addresses, "metrics": doors.admin() });
        context.output.document("serving", &document, || {
            let line = |(door, address): (&String, &serde_json::Value)| {
                format!("{door:<8} {}", address.as_str().unwrap_or_default())
            };
            addresses.iter().map(line).collect::<Vec<_>>().join("\n")
        })?;
        prepared.open(doors, signals::end_is_asked())?;
        Ok(Exit::Success)
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        let exit = match &error {
            ServeError::Listen(_) | ServeError::Io(_) => Exit::Unavailable,
            ServeError::NoDoor | ServeError::Prefix(_) | ServeError::Tls(_) | ServeError::Access(_) => {
                Exit::Config
            }
            ServeError::Gate(GateError::Secret(_)) => Exit::NoInput,
            ServeError::Gate(GateError::Open | GateError::Nobody | GateError::Line { .. }) => Exit::Config,
            ServeError::Engine(_) | ServeError::Feed(_) | ServeError::Metrics(_) => Exit::Software,
        };
        Self::new(exit, "the doors cannot be opened").because(error)
    }
}
