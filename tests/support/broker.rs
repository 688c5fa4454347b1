//! A private Kafka and schema registry for one test: real ones, on free ports, with their data in a temporary folder.
//!
//! The scripts of `infra/kafka` do the work, so tests start exactly what `make kafka-up` starts. Dropping a
//! [`LocalStack`] stops and removes everything, on a panic too; should the test process be killed, a watcher that the
//! scripts leave behind does the same.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tempfile::TempDir;

/// Where the clients of a running stack connect: `endpoints.json` as `infra/kafka/up` writes it.
#[derive(Debug, Clone, Deserialize)]
pub struct Endpoints {
    /// Value for `bootstrap.servers`: every node, separated by commas.
    pub bootstrap_servers: String,
    /// Root of the registry's Confluent-compatible API; `None` if it was left out.
    pub schema_registry_url: Option<String>,
    /// The brokers in the order of their numbers.
    pub nodes: Vec<Node>,
}

/// One broker, which is a controller as well.
#[derive(Debug, Clone, Deserialize)]
pub struct Node {
    /// Its `node.id`, from 1.
    pub id: u8,
    /// `host:port` for clients.
    pub address: String,
}

/// A running Kafka cluster and schema registry that belong to one test.
#[derive(Debug)]
pub struct LocalStack {
    dir: TempDir,
    endpoints: Endpoints,
}

impl LocalStack {
    /// Starts one or three brokers and a schema registry, and returns when all of them answer.
    ///
    /// # Errors
    /// When a part does not come up: the message holds the end of its log.
    pub fn start(nodes: u8) -> Result<Self> {
        Self::launch(nodes, &[])
    }

    /// One broker that also has doors for users with a password and for clients with a certificate, and a schema registry.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn start_secure() -> Result<Self> {
        Self::launch(1, &["--secure"])
    }

    /// As [`LocalStack::start`], without the schema registry.
    ///
    /// # Errors
    /// When a broker does not come up.
    pub fn start_without_registry(nodes: u8) -> Result<Self> {
        Self::launch(nodes, &["--no-registry"])
    }

    /// One single-node stack for all tests of this process that do not disturb it; give each test its own topics.
    ///
    /// It is never dropped: the scripts remove it when the process ends.
    ///
    /// # Errors
    /// When a part does not come up.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<LocalStack> = OnceLock::new();
        // Tests that come second wait for the first instead of starting a stack each.
        static STARTING: Mutex<()> = Mutex::new(());
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stack) = SHARED.get() {
            return Ok(stack);
        }
        let stack = Self::start(1)?;
        Ok(SHARED.get_or_init(|| stack))
    }

    fn launch(nodes: u8, more: &[&str]) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("treble-stack-")
            .tempdir()
            .context("no temporary folder for a private Kafka")?;
        let (nodes, owner) = (nodes.to_string(), std::process::id().to_string());
        let mut options = vec!["--nodes", &nodes, "--ports", "auto", "--owner", &owner];
        options.extend(more);
        run_script("up", &options, dir.path())?;
        let endpoints = read_endpoints(dir.path())?;
        Ok(Self { dir, endpoints })
    }

    /// Value for `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.endpoints.bootstrap_servers
    }

    /// Root of the registry's Confluent-compatible API.
    ///
    /// # Panics
    /// When the stack was started without a registry.
    pub fn schema_registry_url(&self) -> &str {
        self.endpoints.schema_registry_url.as_deref().expect("this stack was started without a registry")
    }

    /// Everything a client needs to know.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The folder of configuration, logs and data.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends broker `id` with SIGKILL, as a power cut would, and returns when it is gone.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn kill_node(&self, id: u8) -> Result<()> {
        self.node("kill", id)
    }

    /// Stops broker `id` in an orderly way and returns when it is gone.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn stop_node(&self, id: u8) -> Result<()> {
        self.node("stop", id)
    }

    /// Starts broker `id` again on its former port and returns when it has joined the cluster.
    ///
    /// # Errors
    /// When it does not come up: the message holds the end of its log.
    pub fn start_node(&self, id: u8) -> Result<()> {
        self.node("start", id)
    }

    /// Lets writes of broker `id` fail from some MiB on, as on a full disk; [`start_node`](Self::start_node) gives it space again.
    ///
    /// # Errors
    /// When there is no such broker.
    pub fn fill_disk(&self, id: u8) -> Result<()> {
        self.node("fill", id)
    }

    /// Makes a part (the number of a broker, or `registry`) stand still: its connections stay open, and nobody answers.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn freeze(&self, part: &str) -> Result<()> {
        run_script("node", &["freeze", part], self.dir.path())
    }

    /// Lets a frozen part go on.
    ///
    /// # Errors
    /// When there is no such part.
    pub fn wake(&self, part: &str) -> Result<()> {
        run_script("node", &["wake", part], self.dir.path())
    }

    /// What a secure stack made for its clients: keys, passwords, and the configurations `sasl.toml` and `mutual.toml`.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.dir.path().join("secrets")
    }

    /// Gives `user` of a secure stack the password in `file`; nobody but the broker is told.
    ///
    /// # Errors
    /// When there are no users.
    pub fn set_password(&self, user: &str, file: &Path) -> Result<()> {
        run_script("password", &[user, &file.display().to_string()], self.dir.path())
    }

    fn node(&self, verb: &str, id: u8) -> Result<()> {
        run_script("node", &[verb, &id.to_string()], self.dir.path())
    }
}

impl Drop for LocalStack {
    fn drop(&mut self) {
        // A destructor can only hope; the watcher of --owner is the second line.
        drop(run_script("down", &["--now", "--purge"], self.dir.path()));
    }
}

/// The repository's root: tests run in `tests/`.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a script of `infra/kafka` on the instance in `dir`; what it says becomes the error if it fails.
fn run_script(name: &str, options: &[&str], dir: &Path) -> Result<()> {
    let script = repository().join("infra/kafka").join(name);
    let output = Command::new(&script)
        .args(options)
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", script.display()))?;
    if !output.status.success() {
        bail!(
            "infra/kafka/{name} {}: {}\n{}",
            options.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

fn read_endpoints(dir: &Path) -> Result<Endpoints> {
    let path = dir.join("endpoints.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not what up writes", path.display()))
}
