//! Who answers: each takes a question and says how long it took and how many rows the answer has.

use anyhow::{Context, Result, ensure};
use datafusion::prelude::{ParquetReadOptions, SessionContext};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use treble_analyse::lake::{Lake, Location};
use treble_analyse::live::{Live, Stored};
use treble_analyse::query::{Engine, Limits};
use treble_analyse::tables::{Origin, Table};
use treble_bench_support::timed_answer;

/// How long an answer took, and its rows.
pub(crate) type Answered = (Duration, usize);

/// The engine behind every door, with the default limits but more time.
pub(crate) struct Treble(Engine);

impl Treble {
    pub(crate) async fn open(lake: &Path) -> Result<Self> {
        let lake = Lake::open(&Location::parse(&lake.to_string_lossy())?).await?;
        let live = Live::new("bench.events".to_owned(), Arc::new(|| 0));
        let mut snapshot = BTreeMap::new();
        for &table in Origin::Events.tables() {
            let provider = Some(lake.provider(table).await?);
            let next_offsets = lake.next_offsets(table, "bench", "bench.events", 1).await?;
            snapshot.insert(table, Stored { provider, next_offsets });
        }
        live.store(snapshot);
        let threads = std::thread::available_parallelism()?.get();
        let limits = Limits { time: Duration::from_secs(600), threads, ..Limits::default() };
        Ok(Self(Engine::new(Arc::new(live), limits)?))
    }

    pub(crate) async fn ask(&self, question: &str) -> Result<Answered> {
        let asked = async {
            let batches = self.0.ask(question, None).await?.collect().await?;
            Ok(batches.iter().map(|batch| batch.num_rows()).sum())
        };
        timed_answer(asked).await
    }
}

/// DataFusion as it comes, over the table's files.
pub(crate) struct Plain(SessionContext);

impl Plain {
    pub(crate) async fn open(lake: &Path) -> Result<Self> {
        let context = SessionContext::new();
        let files = lake.join(Table::StageEvents.name());
        let path = files.to_str().context("a path in UTF-8")?;
        context.register_parquet(Table::StageEvents.name(), path, ParquetReadOptions::default()).await?;
        Ok(Self(context))
    }

    pub(crate) async fn ask(&self, question: &str) -> Result<Answered> {
        let asked = async {
            let batches = self.0.sql(question).await?.collect().await?;
            Ok(batches.iter().map(|batch| batch.num_rows()).sum())
        };
        timed_answer(asked).await
    }
}

/// DuckDB in a process of its own, `benches/python_peer/duck.py`, which takes its own time.
pub(crate) struct DuckDb {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    pub(crate) fn open(lake: &Path) -> Result<Self> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut child = Command::new("python3")
            .arg(root.join("benches/python_peer/duck.py"))
            .arg(lake.join(Table::StageEvents.name()))
            .env("PYTHONPATH", root.join(".treble/peer"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("python3")?;
        let questions = child.stdin.take().context("piped above")?;
        let answers = BufReader::new(child.stdout.take().context("piped above")?);
        Ok(Self { child, questions, answers })
    }

    pub(crate) fn ask(&mut self, question: &str) -> Result<Answered> {
        writeln!(self.questions, "{question}")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "DuckDB ended; what it said is above");
        let answer: Value = serde_json::from_str(&line)?;
        let seconds = answer["seconds"].as_f64().with_context(|| line.clone())?;
        let rows = answer["rows"].as_u64().with_context(|| line.clone())?;
        Ok((Duration::from_secs_f64(seconds), usize::try_from(rows)?))
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // Where it has ended there is nobody to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
