//! The doors of analysts, as the tools find them that analysts own: ADBC, pyarrow, psycopg and psql. Each asks, lists
//! tables, and is told why it cannot write (invariant 14). On a real Kafka.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use treble_test_support::broker::LocalStack;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::running::Running;
use treble_test_support::{clips, configuration, process, verdict};

const PREFIX: &str = "doors";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A `treble serve` for Ada, who has a token, over two streams.
struct House {
    child: Child,
    doors: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
    _stages: Running,
}

impl House {
    fn open() -> Result<Self> {
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
        std::fs::write(&tokens, "ada 1815\n")?;
        let mut command = Command::new(process::binary()?);
        command.args(["serve", "--output", "json"]).current_dir(folder.path());
        command.args(["--http", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--postgres", "127.0.0.1:0"]);
        command.envs(process::environment(stack, PREFIX)).env("TREBLE_SQL_TOKENS_FILE", &tokens);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("piped above")?).read_line(&mut line)?;
        let document: Value =
            serde_json::from_str(&line).with_context(|| format!("treble serve said {line:?}"))?;
        let doors = serde_json::from_value(document["doors"].clone())?;
        let house = Self { child, doors, _folder: folder, _stages: stages };
        house.await_streams()?;
        Ok(house)
    }

    fn door(&self, protocol: &str) -> Result<&str> {
        self.doors.get(protocol).map(String::as_str).with_context(|| format!("no door for {protocol}"))
    }

    fn psql(&self, arguments: &[&str]) -> Result<Output> {
        let (host, port) = self.door("pgwire")?.rsplit_once(':').context("an address has a port")?;
        Command::new("timeout")
            .args(["120", "psql", "--no-psqlrc", "-h", host, "-p", port, "-U", "ada", "-d", "treble"])
            .args(arguments)
            .env("PGPASSWORD", "1815")
            .stdin(Stdio::null())
            .output()
            .context("psql: run `infra/setup/setup --tests`")
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

impl Drop for House {
    fn drop(&mut self) {
        // Where it has ended there is nobody to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn every_tool_asks_lists_tables_and_is_told_why_it_cannot_write() -> Result<()> {
    let house = House::open()?;
    python(&house)?;
    psql(&house)
}

fn python(house: &House) -> Result<()> {
    let packages = |folder: &str| {
        let found = repository().join(".treble").join(folder).canonicalize();
        found.with_context(|| format!("no {folder}: run `infra/setup/setup --tests`"))
    };
    let path = format!("{}:{}", packages("doors-python")?.display(), packages("lake-python")?.display());
    let output = Command::new("timeout")
        .args(["120", "python3", "tests/doors_clients/ask.py"])
        .args([house.door("flight")?, house.door("pgwire")?, "ada", "1815"])
        .current_dir(repository())
        .env("PYTHONPATH", path)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout)?;
    let lines = told.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    let found = |tool: &str, what: &str| -> Result<Value> {
        let line = lines.iter().find(|line| line["tool"] == tool && line["what"] == what);
        Ok(line.with_context(|| format!("{tool} does not tell {what}: {told}"))?["found"].clone())
    };
    for tool in ["adbc", "pyarrow", "psycopg"] {
        ensure!(found(tool, "rows")? == serde_json::json!(["s1", "s2"]), "{tool}: {told}");
        let tables = found(tool, "tables")?.to_string();
        ensure!(tables.contains("\"streams\"") && tables.contains("\"stage_events\""), "{tool}: {tables}");
        let refused = found(tool, "write")?.to_string();
        ensure!(refused.contains("DELETE FROM") && refused.contains("only reads"), "{tool}: {refused}");
    }
    for tool in ["adbc", "psycopg"] {
        ensure!(found(tool, "parameter")? == 1, "{tool}: {told}");
        let stranger = found(tool, "stranger")?.to_string().to_ascii_lowercase();
        ensure!(stranger.contains("authenti"), "{tool}: {stranger}");
    }
    ensure!(found("adbc", "vendor")? == "Treble", "{told}");
    ensure!(found("adbc", "column")?.as_str().is_some_and(|text| text.ends_with('.')), "{told}");
    ensure!(found("psycopg", "binary")? == serde_json::json!([1.5, true, 7, "2026-01-02"]), "{told}");
    Ok(())
}

fn psql(house: &House) -> Result<()> {
    let rows = house.printed(&["-Atc", "SELECT stream_id FROM streams ORDER BY 1"])?;
    ensure!(rows == "s1\ns2\n", "{rows}");
    let tables = house.printed(&["-c", r"\dt"])?;
    ensure!(tables.contains("stage_events") && tables.contains("stream_reports"), "{tables}");
    let all = house.printed(&["-c", r"\d"])?;
    ensure!(all.contains("streams") && all.contains("view"), "{all}");
    let described = house.printed(&["-c", r"\d+ stage_events"])?;
    ensure!(described.contains("stream_id") && described.contains("The stage's name"), "{described}");
    let view = house.printed(&["-c", r"\d+ streams"])?;
    ensure!(view.contains("the key of its records") && view.contains("FROM stream_reports"), "{view}");
    let schemas = house.printed(&["-c", r"\dn"])?;
    ensure!(schemas.contains("system"), "{schemas}");
    let refused = house.psql(&["-v", "VERBOSITY=verbose", "-c", "DROP TABLE stage_events"])?;
    let said = String::from_utf8_lossy(&refused.stderr);
    ensure!(!refused.status.success() && said.contains("25006") && said.contains("only reads"), "{said}");
    Ok(())
}
