//! Opens the doors and keeps them supplied, until the process is told to end.

use super::feed::{Feed, FeedError};
use super::flight;
use super::gate::{Gate, GateError};
use super::http;
use super::pg;
use super::service::Service;
use super::supply::Supply;
use crate::admin::access::{Access, AccessError};
use crate::admin::http as admin;
use crate::admin::http::ListenError;
use crate::config::{Config, SqlConfig};
use crate::flow::readiness::Readiness;
use crate::ports::Clock;
use crate::telemetry::labels::Protocol;
use crate::telemetry::sql::SqlObserver;
use crate::tls::{Files, Tls, TlsError};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use treble_analyse::lake::Location;
use treble_analyse::live::Live;
use treble_analyse::query::{Engine, Limits, QueryError};
use treble_schemas::Topics;
use treble_schemas::topic::PrefixError;

/// How long answers that are on their way may take when the process is told to end.
const FAREWELL: Duration = Duration::from_secs(10);

/// The stack of a thread that reads statements, of which only what is used becomes memory: reading recurses over them.
const STACK_BYTES: usize = 64 << 20;

/// The doors cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A port.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// All doors are closed.
    #[error(
        "every door is closed: sql.http_listen, sql.flight_listen and sql.postgres_listen are empty; set one of them"
    )]
    NoDoor,
    /// Nothing says who may ask.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// Certificate and key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operators' port cannot be secured.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] QueryError),
    /// The prefix of topics.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// What supplies the tables.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// A metric: a defect.
    #[error("a metric cannot be registered: {0}; please report it")]
    Metrics(String),
    /// The system.
    #[error("the doors cannot be kept open: {0}")]
    Io(#[from] io::Error),
}

/// What every door needs.
#[derive(Debug, Clone)]
pub struct House {
    /// Who answers.
    pub service: Arc<Service>,
    /// Who may ask.
    pub gate: Arc<Gate>,
    /// How what is said is kept private; `None` where it is not.
    pub tls: Option<Tls>,
    /// What may be configured.
    pub config: Arc<SqlConfig>,
}

/// Tells doors when nobody else is to be let in.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Asked for when `asked` becomes true.
    #[cfg(test)]
    pub(super) const fn on(asked: watch::Receiver<bool>) -> Self {
        Self(asked)
    }

    /// Waits until it is asked for.
    pub async fn asked(mut self) {
        // Whoever could ask is gone: that is asking, too.
        drop(self.0.wait_for(|asked| *asked).await);
    }
}

/// Doors that are bound, and not yet open.
#[derive(Debug)]
pub struct Doors {
    listeners: Vec<(Protocol, TcpListener)>,
    admin: Option<TcpListener>,
}

impl Doors {
    /// Takes the ports of `config`, and `admin` for metrics and probes.
    ///
    /// # Errors
    /// [`ServeError::Listen`], [`ServeError::NoDoor`].
    pub fn bind(config: &SqlConfig, admin: Option<SocketAddr>) -> Result<Self, ServeError> {
        let doors = [
            ("sql.http_listen", Protocol::Http, config.http_listen),
            ("sql.flight_listen", Protocol::Flight, config.flight_listen),
            ("sql.postgres_listen", Protocol::Pgwire, config.postgres_listen),
        ];
        let mut listeners = Vec::new();
        for (key, protocol, address) in doors {
            if let Some(address) = address {
                listeners.push((protocol, admin::bind(key, address)?));
            }
        }
        if listeners.is_empty() {
            return Err(ServeError::NoDoor);
        }
        let admin = admin.map(|address| admin::bind("--listen", address)).transpose()?;
        Ok(Self { listeners, admin })
    }

    /// Where each door is.
    pub fn addresses(&self) -> impl Iterator<Item = (Protocol, SocketAddr)> {
        self.listeners
            .iter()
            .filter_map(|(protocol, listener)| Some((*protocol, listener.local_addr().ok()?)))
    }

    /// Where metrics are.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref()?.local_addr().ok()
    }
}

/// All that doors need, found to be in order: nobody is let in yet, and nothing is read.
#[derive(Debug)]
pub struct Prepared {
    access: Access,
    house: House,
    feed: Feed,
}

impl Prepared {
    /// What `config` asks for, with the stored rows of `lake`.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn new(config: &Config, lake: Option<Location>, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let observer = Arc::new(
            SqlObserver::new(Arc::clone(&clock)).map_err(|error| ServeError::Metrics(error.to_string()))?,
        );
        let live = live(config, &clock)?;
        let sql = &config.sql;
        let gate = Gate::new(
            sql.tokens_file.clone(),
            sql.anonymous,
            Arc::clone(&live),
            Arc::clone(&clock),
            Arc::clone(&observer),
        )?;
        let access = Access::read(&config.admin, &clock)?;
        let engine = Engine::new(Arc::clone(&live), limits(sql))?;
        observer.limit(Protocol::Pgwire, sql.max_sessions);
        let house = House {
            service: Arc::new(Service::new(engine, observer)),
            gate: Arc::new(gate),
            tls: tls(sql, &clock)?,
            config: Arc::new(sql.clone()),
        };
        Ok(Self { access, house, feed: Feed::new(config, lake, live, clock, true)? })
    }

    /// Opens `doors`, and answers until `ended` is there.
    ///
    /// # Errors
    /// [`ServeError::Io`].
    pub fn open(
        self,
        doors: Doors,
        ended: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let supply = Supply::start(self.feed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(open(doors, self.access, self.house, supply.ready(), ended));
        drop(supply);
        runtime.shutdown_timeout(Duration::from_secs(1));
        outcome.map_err(ServeError::from)
    }
}

/// How the doors speak TLS, if they do.
fn tls(config: &SqlConfig, clock: &Arc<dyn Clock>) -> Result<Option<Tls>, TlsError> {
    let certificate = ("sql.tls_certificate_file", config.tls_certificate_file.as_ref());
    let files = Files::named(certificate, ("sql.tls_key_file", config.tls_key_file.as_ref()));
    files.map(|files| Tls::read(files, Arc::clone(clock))).transpose()
}

/// Empty tables of the events of `config`.
///
/// # Errors
/// An illegal prefix.
pub fn live(config: &Config, clock: &Arc<dyn Clock>) -> Result<Arc<Live>, PrefixError> {
    let clock = Arc::clone(clock);
    let topic = Topics::new(&config.prefix)?.events();
    Ok(Arc::new(Live::new(topic, Arc::new(move || clock.unix_us()))))
}

/// What a query may cost, as configured.
#[must_use]
pub fn limits(config: &SqlConfig) -> Limits {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    Limits {
        time: Duration::from_millis(config.timeout_ms),
        rows: config.max_rows,
        memory_bytes: config.memory_mb << 20,
        spill_bytes: config.spill_mb << 20,
        queries: config.max_queries,
        statement_bytes: config.max_statement_kb << 10,
        threads: if config.threads == 0 { cores() } else { config.threads },
    }
}

async fn open(
    doors: Doors,
    access: Access,
    house: House,
    ready: Arc<AtomicBool>,
    ended: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (asker, asked) = watch::channel(false);
    let mut open = JoinSet::new();
    if let Some(listener) = doors.admin {
        let service = Arc::clone(&house.service);
        let render = Arc::new(move || {
            let engine = service.engine();
            service.observer().render(engine.memory_reserved_bytes(), engine.live().bytes())
        });
        let probe = Arc::new(move || {
            let state = if ready.load(Ordering::Acquire) { Readiness::Ready } else { Readiness::Restoring };
            vec![("sql".to_owned(), state)]
        });
        // It ends with the runtime: who looks while the doors close shall see it.
        tokio::spawn(admin::serve(listener, access, render, probe));
    }
    for (protocol, listener) in doors.listeners {
        let (house, stop) = (house.clone(), Stop(asked.clone()));
        match protocol {
            Protocol::Http => open.spawn(http::serve(listener, house, stop)),
            Protocol::Flight => open.spawn(flight::serve(listener, house, stop)),
            Protocol::Pgwire => open.spawn(pg::serve(listener, house, stop)),
        };
    }
    tokio::select! {
        () = ended => {}
        // A door that closes by itself closes the house.
        Some(outcome) = open.join_next() => outcome.map_err(io::Error::other)??,
    }
    asker.send_replace(true);
    let farewell = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::warn!("some answers were not finished");
    }
    Ok(())
}
