//! The doors of analysts, as the tools find them that analysts own: ADBC, pyarrow, psycopg and psql. Each asks, lists
//! tables, and is told why it cannot write (invariant 14), in plain text and through TLS. On a real Kafka.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use treble_test_support::broker::LocalStack;
use treble_test_support::certificates::{Authority, Identity};
use treble_test_support::doors::Doors;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::running::Running;
use treble_test_support::{clips, configuration, process, verdict};

const PREFIX: &str = "doors";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Two streams, and doors for Ada, who has a token, and the role to read lines of the log.
struct House {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    _stages: Running,
}

impl House {
    fn build() -> Result<Self> {
        let stack = LocalStack::shared()?;
        kafka::create_topics(stack, PREFIX)?;
        let stages = Running::start(configuration::config(&configuration::settings(stack, PREFIX))?);
        let publisher = Publisher::new(stack, PREFIX)?;
        for name in ["s1", "s2"] {
            publisher.chunks(&clips::chirp(name, 16_000, 2), 8_000)?;
        }
        publisher.flush()?;
        verdict::delivered(stack, PREFIX, 2)?;
        let folder = tempfile::tempdir()?;
        let tokens = folder.path().join("tokens");
        std::fs::write(&tokens, "ada 1815 logs\n")?;
        let mut environment = process::environment(stack, PREFIX);
        environment.push(("TREBLE_SQL_TOKENS_FILE".to_owned(), tokens.display().to_string()));
        Ok(Self { folder, environment, _stages: stages })
    }

    /// Doors that speak plain text, or TLS as `authority` vouches for.
    fn open(&self, authority: Option<&Authority>) -> Result<Visit> {
        let mut environment = self.environment.clone();
        if let Some(authority) = authority {
            let Identity { certificate, key } = authority.issue("doors")?;
            for (name, path) in [("CERTIFICATE", certificate), ("KEY", key)] {
                environment.push((format!("TREBLE_SQL_TLS_{name}_FILE"), path.display().to_string()));
            }
        }
        let doors = Doors::open(&environment, self.folder.path(), &[])?;
        let visit = Visit { doors, authority: authority.map(Authority::certificate) };
        visit.await_streams()?;
        Ok(visit)
    }
}

/// Open doors, and whom their visitors trust.
struct Visit {
    doors: Doors,
    authority: Option<PathBuf>,
}

impl Visit {
    fn psql(&self, arguments: &[&str]) -> Result<Output> {
        let (host, port) = self.doors.address("pgwire")?.rsplit_once(':').context("an address has a port")?;
        let mut command = Command::new("timeout");
        command
            .args(["120", "psql", "--no-psqlrc", "-h", host, "-p", port, "-U", "ada", "-d", "treble"])
            .args(arguments)
            .env("PGPASSWORD", "1815")
            .stdin(Stdio::null());
        if let Some(authority) = &self.authority {
            command.env("PGSSLMODE", "verify-full").env("PGSSLROOTCERT", authority);
        }
        command.output().context("psql: run `infra/setup/setup --tests`")
    }

    /// What psql prints.
    fn printed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.psql(arguments)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "psql {arguments:?}: {said}");
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Reports follow their stream by one commit.
    fn await_streams(&self) -> Result<()> {
        let clock = treble_pipeline::clock::SystemClock::new();
        loop {
            let found = self.printed(&["-Atc", "SELECT count(*) FROM streams"])?;
            if found == "2\n" {
                return Ok(());
            }
            ensure!(treble_pipeline::ports::Clock::now(&clock) < PATIENCE, "{found} streams in place of 2");
        }
    }
}

#[test]
fn every_tool_asks_lists_tables_and_is_told_why_it_cannot_write() -> Result<()> {
    let house = House::build()?;
    let visit = house.open(None)?;
    tools(&visit)?;
    psql(&visit)?;
    let folder = tempfile::tempdir()?;
    let visit = house.open(Some(&Authority::new(folder.path())?))?;
    let told = tools(&visit)?;
    ensure!(told.found("psycopg", "plain")?.to_string().contains("sslmode=require"), "{}", told.text);
    for tool in ["adbc", "psycopg", "urllib"] {
        let refused = told.found(tool, "untrusted")?.to_string().to_ascii_lowercase();
        ensure!(refused.contains("certificate"), "{tool}: {refused}");
    }
    psql(&visit)?;
    renewed(visit, folder.path())
}

/// The certificate is renewed in its files, by another authority: clients that trust only that one come in, without a restart.
fn renewed(visit: Visit, folder: &Path) -> Result<()> {
    let next = folder.join("next");
    std::fs::create_dir(&next)?;
    let authority = Authority::new(&next)?;
    let identity = authority.issue("doors")?;
    std::fs::rename(identity.key, folder.join("doors.key"))?;
    std::fs::rename(identity.certificate, folder.join("doors.pem"))?;
    let visit = Visit { authority: Some(authority.certificate()), ..visit };
    let clock = treble_pipeline::clock::SystemClock::new();
    while !visit.psql(&["-Atc", "SELECT 1"])?.status.success() {
        ensure!(treble_pipeline::ports::Clock::now(&clock) < PATIENCE, "the old certificate is shown");
    }
    tools(&visit)?;
    psql(&visit)
}

/// What `ask.py` told.
struct Told {
    text: String,
    lines: Vec<Value>,
}

impl Told {
    fn found(&self, tool: &str, what: &str) -> Result<&Value> {
        let line = self.lines.iter().find(|line| line["tool"] == tool && line["what"] == what);
        Ok(&line.with_context(|| format!("{tool} does not tell {what}: {}", self.text))?["found"])
    }
}

/// Lets every tool of Python ask.
fn asked(visit: &Visit) -> Result<Told> {
    let packages = |folder: &str| {
        let found = repository().join(".treble").join(folder).canonicalize();
        found.with_context(|| format!("no {folder}: run `infra/setup/setup --tests`"))
    };
    let path = format!("{}:{}", packages("doors-python")?.display(), packages("lake-python")?.display());
    let address = |protocol| visit.doors.address(protocol);
    let output = Command::new("timeout")
        .args(["120", "python3", "tests/doors_clients/ask.py"])
        .args([address("http")?, address("flight")?, address("pgwire")?, "ada", "1815"])
        .args(&visit.authority)
        .current_dir(repository())
        .env("PYTHONPATH", path)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(Told { text, lines })
}

fn tools(visit: &Visit) -> Result<Told> {
    let told = asked(visit)?;
    let found = |tool: &str, what: &str| told.found(tool, what);
    let text = &told.text;
    for tool in ["adbc", "pyarrow", "psycopg"] {
        ensure!(found(tool, "rows")? == &serde_json::json!(["s1", "s2"]), "{tool}: {text}");
        let tables = found(tool, "tables")?.to_string();
        ensure!(tables.contains("\"streams\"") && tables.contains("\"stage_events\""), "{tool}: {tables}");
        let refused = found(tool, "write")?.to_string();
        ensure!(refused.contains("DELETE FROM") && refused.contains("only reads"), "{tool}: {refused}");
    }
    ensure!(found("urllib", "rows")? == &serde_json::json!(["s1", "s2"]), "urllib: {text}");
    ensure!(found("urllib", "stranger")?.to_string().contains("401"), "{text}");
    for tool in ["adbc", "psycopg"] {
        ensure!(found(tool, "parameter")? == &serde_json::json!(1), "{tool}: {text}");
        let stranger = found(tool, "stranger")?.to_string().to_ascii_lowercase();
        ensure!(stranger.contains("authenti"), "{tool}: {stranger}");
    }
    ensure!(found("adbc", "vendor")? == &serde_json::json!("Treble"), "{text}");
    ensure!(found("adbc", "column")?.as_str().is_some_and(|text| text.ends_with('.')), "{text}");
    ensure!(found("psycopg", "binary")? == &serde_json::json!([1.5, true, 7, "2026-01-02"]), "{text}");
    Ok(told)
}

fn psql(visit: &Visit) -> Result<()> {
    let rows = visit.printed(&["-Atc", "SELECT stream_id FROM streams ORDER BY 1"])?;
    ensure!(rows == "s1\ns2\n", "{rows}");
    let tables = visit.printed(&["-c", r"\dt"])?;
    ensure!(tables.contains("stage_events") && tables.contains("stream_reports"), "{tables}");
    let all = visit.printed(&["-c", r"\d"])?;
    ensure!(all.contains("streams") && all.contains("view"), "{all}");
    let described = visit.printed(&["-c", r"\d+ stage_events"])?;
    ensure!(described.contains("stream_id") && described.contains("The stage's name"), "{described}");
    let view = visit.printed(&["-c", r"\d+ streams"])?;
    ensure!(view.contains("the key of its records") && view.contains("FROM stream_reports"), "{view}");
    let schemas = visit.printed(&["-c", r"\dn"])?;
    ensure!(schemas.contains("system"), "{schemas}");
    let lines = visit.printed(&["-Atc", "SELECT count(attributes->>'place') FROM logs"])?;
    ensure!(lines == "0\n", "{lines}");
    let refused = visit.psql(&["-v", "VERBOSITY=verbose", "-c", "DROP TABLE stage_events"])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("25006") && said.contains("only reads"), "{said}");
    Ok(())
}
