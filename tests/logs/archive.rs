//! Lines of the log on their topic, a process that stores them, and those who ask.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use treble_pipeline::clock::{SystemClock, rfc3339};
use treble_pipeline::ports::Clock;
use treble_schemas::Topics;
use treble_test_support::broker::LocalStack;
use treble_test_support::doors::Doors;
use treble_test_support::kafka::{self, PATIENCE, Publisher};
use treble_test_support::process::{self, Worker};

/// A topic of lines, and a lake.
pub(crate) struct Archive {
    stack: &'static LocalStack,
    prefix: &'static str,
    folder: TempDir,
    publisher: Publisher,
}

impl Archive {
    pub(crate) fn new(prefix: &'static str) -> Result<Self> {
        let stack = LocalStack::shared()?;
        kafka::create_topics(stack, prefix)?;
        let publisher = Publisher::new(stack, prefix)?.onto(&Topics::new(prefix)?.logs());
        Ok(Self { stack, prefix, folder: tempfile::tempdir()?, publisher })
    }

    /// A process that stores every fifth of a second, so that a kill meets a commit at any of its steps.
    pub(crate) fn analyse(&self) -> Result<Worker> {
        let settings = [
            ("lake.url", self.lake()),
            ("lake.logs", "true".to_owned()),
            ("lake.flush_interval_ms", "200".to_owned()),
            ("kafka.session_timeout_ms", "7000".to_owned()),
            ("kafka.message_timeout_ms", "5000".to_owned()),
            ("commit.transaction_timeout_ms", "6000".to_owned()),
            ("commit.deadline_ms", "4000".to_owned()),
        ];
        Worker::new(self.stack, self.prefix, "analyse", "a1", &settings)
    }

    fn lake(&self) -> String {
        self.folder.path().join("lake").display().to_string()
    }

    /// Publishes `line`, as a collector would at `published_us` (microseconds since the Unix epoch).
    pub(crate) fn publish(&self, line: &[u8], published_us: i64) -> Result<()> {
        self.publisher.line(line, published_us / 1000)
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.publisher.flush()
    }

    fn treble(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(process::binary()?);
        command.args(arguments).current_dir(self.folder.path());
        let output = command.envs(self.environment()).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        Ok(text)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut environment = process::environment(self.stack, self.prefix);
        environment.push(("TREBLE_LAKE_URL".to_owned(), self.lake()));
        environment
    }

    /// Rows of what `treble sql` answers from stored rows alone.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Vec<Value>> {
        let told = self.treble(&[&["sql", "--stored", "--format", "json"], arguments].concat())?;
        Ok(serde_json::from_str(&told)?)
    }

    /// The columns of an answer, in order.
    pub(crate) fn columns(&self, arguments: &[&str]) -> Result<Vec<String>> {
        let told = self.treble(&[&["sql", "--stored", "--format", "csv"], arguments].concat())?;
        Ok(told.lines().next().unwrap_or_default().split(',').map(str::to_owned).collect())
    }

    /// Waits until every record of the topic is a row, and none is two; gives their number.
    pub(crate) fn await_stored(&self) -> Result<u64> {
        let clock = SystemClock::new();
        loop {
            let told = self.treble(&["lake", "verify", "--topic", "--output", "json"])?;
            let documents: Vec<Value> = told.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
            let of_topic = documents
                .iter()
                .find(|found| found["topic"].as_str().is_some_and(|name| name.ends_with(".logs")));
            let of_table = documents.iter().find(|found| found["table"] == "logs");
            if let (Some(topic), Some(table)) = (of_topic, of_table)
                && topic["waiting"] == 0
            {
                ensure!(topic["stored"] == table["rows"], "{topic} and {table}");
                return table["rows"].as_u64().context("rows");
            }
            ensure!(clock.now() < PATIENCE, "not all is stored: {told}");
            thread::park_timeout(Duration::from_millis(200));
        }
    }

    /// A `treble serve` for those whom `tokens` name.
    pub(crate) fn doors(&self, tokens: &str) -> Result<Doors> {
        let path = self.folder.path().join("tokens");
        fs::write(&path, tokens)?;
        let mut environment = self.environment();
        environment.push(("TREBLE_SQL_TOKENS_FILE".to_owned(), path.display().to_string()));
        Doors::open(&environment, self.folder.path(), &[])
    }
}

/// `monitoring/logs/sql`: the questions, sample lines, and what they answer.
pub(crate) struct Questions {
    folder: PathBuf,
    expected: toml::Table,
    /// When the samples are told; a step of five minutes begins here, so that none falls into the next one by chance.
    now_us: i64,
}

impl Questions {
    pub(crate) fn read(now_us: i64) -> Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../monitoring/logs/sql");
        let expected = fs::read_to_string(folder.join("expected.toml"))?.parse()?;
        Ok(Self { folder, expected, now_us: now_us - now_us.rem_euclid(300_000_000) })
    }

    /// The sample lines, and when each was published, in microseconds of Unix time.
    pub(crate) fn samples(&self) -> Result<Vec<(String, i64)>> {
        let text = fs::read_to_string(self.folder.join("samples.jsonl"))?;
        let sample = |line: &str| {
            let mut sample: Value = serde_json::from_str(line)?;
            let fields = sample.as_object_mut().context("an object")?;
            let mut ago = |name: &str| fields.remove(name).and_then(|seconds| seconds.as_i64());
            let happened = ago("ago").context("ago")?;
            let arrived = ago("arrived").unwrap_or(happened);
            fields.insert("time".to_owned(), json!(rfc3339(self.now_us - happened * 1_000_000)));
            Ok((sample.to_string(), self.now_us - arrived * 1_000_000))
        };
        text.lines().map(sample).collect()
    }

    /// Name, file and expected rows of every question.
    pub(crate) fn all(&self) -> Result<Vec<(String, PathBuf, &toml::value::Array)>> {
        let mut all = Vec::new();
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.file_stem().and_then(|name| name.to_str()).context("a name")?.to_owned();
                let rows = self.expected.get(&name).and_then(toml::Value::as_array);
                let rows = rows.with_context(|| format!("expected.toml says nothing of {name}"))?;
                all.push((name, path, rows));
            }
        }
        ensure!(all.len() == self.expected.len(), "expected.toml names questions that are not there");
        Ok(all)
    }

    /// That `found` are the rows `expected`, whose cells are in the order of `columns`.
    pub(crate) fn compare(
        &self,
        found: &[Value],
        columns: &[String],
        expected: &toml::value::Array,
    ) -> Result<()> {
        ensure!(found.len() == expected.len(), "{found:?} in place of {expected:?}");
        for (row, wanted) in found.iter().zip(expected) {
            let wanted = wanted.as_array().context("a row")?;
            ensure!(columns.len() == wanted.len(), "{row} in place of {wanted:?}");
            for (column, want) in columns.iter().zip(wanted) {
                // What is not there is left out of a row.
                ensure!(self.is(&row[column], want), "{column}: {} in place of {want} in {row}", row[column]);
            }
        }
        Ok(())
    }

    /// `"*"` is anything; an empty text is nothing; a time is told as the seconds that it was ago.
    fn is(&self, cell: &Value, want: &toml::Value) -> bool {
        match (want, cell) {
            (toml::Value::String(want), Value::String(cell)) => want == "*" || want == cell,
            (toml::Value::String(want), cell) => want == "*" || (want.is_empty() && cell.is_null()),
            (toml::Value::Integer(ago), Value::String(time)) => {
                let then = rfc3339(self.now_us - ago * 1_000_000);
                time.get(..19) == then.get(..19)
            }
            (toml::Value::Integer(want), cell) => cell.as_f64() == Some(*want as f64),
            (toml::Value::Float(want), cell) => cell.as_f64().is_some_and(|cell| (cell - want).abs() < 1e-3),
            _ => false,
        }
    }
}
