//! Fifty million stored rows, asked as analysts ask: through Treble's engine, beside plain DataFusion and DuckDB over the same
//! Parquet files.
//!
//! Run by `make bench`. Treble adds to plain DataFusion what its answers need: the snapshot, the rows that are not stored
//! yet, checks and limits. What that costs is what this measures.

#[path = "analyse/contenders.rs"]
mod contenders;
#[path = "analyse/stored.rs"]
mod stored;

use anyhow::{Context, Result, ensure};
use contenders::{DuckDb, Plain, Treble};
use std::cell::RefCell;
use std::fs;
use stored::ROWS;
use tokio::runtime::Runtime;
use treble_bench_support::{Figure, race, report};
use treble_test_support::process::memory_bytes;

/// Name of the figures and the question. Times are those of [`treble_bench_support::events`].
const QUESTIONS: [(&str, &str); 2] = [
    (
        "sql_group_by",
        "SELECT stage, codec_in, count(*) AS events, sum(audio_seconds) AS audio_seconds, \
         avg(processing_seconds) AS mean_seconds, max(queue_wait_seconds) AS longest_wait \
         FROM stage_events WHERE live AND bytes_in > 1000 AND stream_id <> 'stream-0500' \
         GROUP BY stage, codec_in ORDER BY stage, codec_in",
    ),
    (
        "sql_by_hour",
        "SELECT date_trunc('hour', event_time) AS hour, stage, count(*) AS finished, \
         avg(processing_seconds) AS mean_seconds FROM stage_events \
         WHERE status = 'finished' AND event_time >= TIMESTAMP '2023-11-20 00:00:00+00' \
         AND event_time < TIMESTAMP '2023-11-30 00:00:00+00' GROUP BY 1, 2 ORDER BY 1, 2",
    ),
];

fn main() -> Result<()> {
    let runtime = Runtime::new()?;
    let folder = tempfile::tempdir()?;
    runtime.block_on(stored::fill(folder.path()))?;
    let treble = runtime.block_on(Treble::open(folder.path()))?;
    forget_peak()?;
    let before = memory_bytes("self", "VmRSS:")?;
    for (_, question) in QUESTIONS {
        runtime.block_on(treble.ask(question))?;
    }
    let peak = memory_bytes("self", "VmHWM:")?.saturating_sub(before);
    let plain = runtime.block_on(Plain::open(folder.path()))?;
    let duck = RefCell::new(DuckDb::open(folder.path())?);
    let mut figures = vec![Figure {
        name: "sql_memory".to_owned(),
        value: peak as f64 / f64::from(1 << 20),
        unit: "MiB",
        better: "lower",
        against: None,
    }];
    for (name, question) in QUESTIONS {
        figures.extend(asked(&runtime, name, question, &treble, &plain, &duck)?);
    }
    report(&figures)
}

fn asked(
    runtime: &Runtime,
    name: &str,
    question: &str,
    treble: &Treble,
    plain: &Plain,
    duck: &RefCell<DuckDb>,
) -> Result<Vec<Figure>> {
    let found = [
        runtime.block_on(treble.ask(question))?.1,
        runtime.block_on(plain.ask(question))?.1,
        duck.borrow_mut().ask(question)?.1,
    ];
    ensure!(found.iter().all(|rows| *rows == found[0] && *rows > 0), "rows differ: {found:?}");
    let [ours, theirs, ducks] = race([
        &|| Ok(runtime.block_on(treble.ask(question))?.0),
        &|| Ok(runtime.block_on(plain.ask(question))?.0),
        &|| Ok(duck.borrow_mut().ask(question)?.0),
    ])?;
    Ok(vec![
        Figure {
            name: format!("{name}_rate"),
            value: ROWS as f64 / 1e6 / ours.as_secs_f64(),
            unit: "M rows/s",
            better: "higher",
            against: None,
        },
        Figure::ratio(&format!("{name}_against_datafusion"), ours, theirs, "DataFusion over the files"),
        Figure::ratio(&format!("{name}_against_duckdb"), ours, ducks, "DuckDB over the files"),
    ])
}

/// Lets the kernel count the most memory that this process holds anew (proc(5), `clear_refs`).
fn forget_peak() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("clearing the peak of memory")
}
