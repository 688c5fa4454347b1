//! What was processed, asked in SQL: one table over the lake and the topic, through the shell and the HTTP door. On a real
//! Kafka.

#[path = "sql/asked.rs"]
mod asked;

use anyhow::{Result, ensure};
use asked::Asked;
use std::fs;
use std::time::Duration;
use treble_test_support::broker::LocalStack;
use treble_test_support::doors::Doors;
use treble_test_support::kafka::{self, PATIENCE};
use treble_test_support::process;

const ROWS: &str =
    "SELECT count(*) AS rows, count(DISTINCT (kafka_partition, kafka_offset)) AS places FROM stage_events";

#[test]
fn a_row_is_seen_once_while_it_moves_from_the_topic_to_the_lake() -> Result<()> {
    let asked = Asked::start("sql-live")?;
    let mut analyse = asked.analyse()?;
    analyse.start()?;
    analyse.await_ready(PATIENCE)?;
    let server = asked.doors(&["--anonymous"])?;
    server.await_ready()?;
    let mut before = 0;
    std::thread::scope(|scope| -> Result<()> {
        let publishing = scope.spawn(|| asked.publish_slowly(12));
        for _ in 0..200 {
            let found = server.rows(ROWS)?;
            let (rows, places) = (found[0]["rows"].as_u64(), found[0]["places"].as_u64());
            ensure!(rows == places, "{rows:?} rows at {places:?} places");
            let rows = rows.unwrap_or_default();
            ensure!(rows >= before, "{before} rows became {rows}");
            before = rows;
        }
        publishing.join().map_err(|_| anyhow::anyhow!("the publisher panicked"))?
    })?;
    asked.delivered(12)?;
    // The lake falls behind; answers do not.
    analyse.kill()?;
    asked.publish(12..14)?;
    asked.delivered(14)?;
    server.await_cell("SELECT count(*) AS n FROM streams WHERE status = 'finished'", "n", 14)?;
    let fresh =
        server.rows("SELECT max(seconds_behind) AS behind, count(stored_offset) AS stored FROM freshness")?;
    ensure!(fresh[0]["behind"].as_f64().is_some_and(|behind| behind < 5.0), "{fresh:?}");
    ensure!(fresh[0]["stored"].as_u64() > Some(0), "something is stored: {fresh:?}");
    // Another process finds the same: stored rows and those on the topic alone make one table.
    let told = asked.sql(&["-c", ROWS, "--format", "csv"])?;
    let whole = server.rows(ROWS)?;
    ensure!(told == format!("rows,places\n{0},{0}\n", whole[0]["rows"]), "{told} and {whole:?}");
    let stored = asked.sql(&["-c", ROWS, "--format", "csv", "--stored"])?;
    ensure!(stored != told, "the lake lacks what came after the kill: {stored}");
    server.end()
}

#[test]
fn a_row_is_seen_within_a_second_of_its_commit() -> Result<()> {
    let asked = Asked::start("sql-soon")?;
    let server = asked.doors(&["--anonymous"])?;
    server.await_ready()?;
    asked.publish(0..1)?;
    asked.delivered(1)?;
    server.await_cell("SELECT count(*) AS n FROM streams", "n", 1)?;
    for stream in 1..6 {
        asked.publish(stream..stream + 1)?;
        asked.delivered(stream as usize + 1)?;
        // The report is in the transaction of the stream's last chunk, which was just read.
        let waited = server.await_cell("SELECT count(*) AS n FROM streams", "n", u64::from(stream) + 1)?;
        ensure!(waited < Duration::from_secs(1), "seen after {waited:?}");
    }
    server.end()
}

#[test]
fn who_cannot_reach_kafka_says_how_far_behind_its_answers_may_be() -> Result<()> {
    let (stack, prefix, folder) = (LocalStack::start(1)?, "sql-cut-off", tempfile::tempdir()?);
    kafka::create_topics(&stack, prefix)?;
    let server = Doors::open(&process::environment(&stack, prefix), folder.path(), &["--anonymous"])?;
    server.await_ready()?;
    let behind = |than: &str| {
        format!("SELECT CASE WHEN min(seconds_behind) {than} THEN 1 ELSE 0 END AS n FROM freshness")
    };
    server.await_cell(&behind("< 2"), "n", 1)?;
    stack.freeze("1")?;
    server.await_cell(&behind("> 4"), "n", 1)?;
    stack.wake("1")?;
    server.await_cell(&behind("< 2"), "n", 1)?;
    server.end()
}

#[test]
fn the_shell_asks_without_a_lake_and_writes_what_tools_read() -> Result<()> {
    let asked = Asked::start("sql-shell")?;
    asked.publish(0..3)?;
    asked.refused(b"no audio at all")?;
    asked.delivered(4)?;
    let count = "SELECT status, count(*) AS n FROM streams GROUP BY status ORDER BY status";
    asked.await_sql(&["-c", count, "--format", "csv"], "status,n\naborted,1\nfinished,3\n")?;
    ensure!(
        asked.sql(&["-c", count, "--output", "json"])?
            == "{\"status\":\"aborted\",\"n\":1}\n{\"status\":\"finished\",\"n\":3}\n"
    );
    ensure!(asked.sql(&["-c", count])?.contains("| finished | 3 |"));
    ensure!(asked.piped("SELECT 1 AS a; SELECT 2 AS b;", &["--format", "csv"])? == "a\n1\nb\n2\n");
    let file = asked.folder().join("streams.parquet");
    asked.sql(&["-c", "SELECT * FROM streams", "--format", "parquet", "-o", &file.display().to_string()])?;
    ensure!(fs::read(&file)?.ends_with(b"PAR1"));
    let errors = asked.sql(&["--saved", "errors-last-hour", "--format", "ndjson"])?;
    ensure!(errors.contains("\"error_type\":\"not_audio\""), "{errors}");
    // A stream that was given up before its first sample has a beginning all the same.
    let slowest = "SELECT end_to_end_latency_seconds < 600 AS sound FROM streams WHERE stream_id = 'refused'";
    ensure!(asked.sql(&["-c", slowest, "--format", "csv"])? == "sound\ntrue\n");
    for saved in asked.sql(&["--saved", "list", "--output", "json"])?.lines() {
        let name =
            serde_json::from_str::<serde_json::Value>(saved)?["name"].as_str().unwrap_or_default().to_owned();
        asked.sql(&["--saved", &name])?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_answered_is_said_with_its_exit_code() -> Result<()> {
    let asked = Asked::start("sql-wrong")?;
    for (arguments, code, words) in [
        (&["-c", "SELEC 1"][..], 2, "SELEC"),
        (&["-c", "SELECT nothing FROM streams"], 2, "nothing"),
        (&["-c", "COPY streams TO 'x.csv'"], 77, "only reads"),
        (&["-c", "SELECT * FROM generate_series(1, 10)", "--set", "sql.max_rows=5"], 1, "sql.max_rows"),
        (&["--saved", "slowest"], 2, "slowest-streams"),
        (&["-c", "SELECT 1", "--stored"], 78, "lake.url"),
    ] {
        let (found, said) = asked.fails(arguments)?;
        ensure!(found == code && said.contains(words), "{arguments:?}: {found}, {said}");
    }
    Ok(())
}

#[test]
fn the_door_asks_for_a_token_and_refuses_what_is_hostile() -> Result<()> {
    let asked = Asked::start("sql-door")?;
    let (code, said) = asked.serve_fails(&[])?;
    ensure!(code == 78 && said.contains("sql.tokens_file"), "no door opens by accident: {code}, {said}");
    let (code, said) = asked.serve_fails(&["--anonymous", "--http", "0.0.0.0:0"])?;
    ensure!(code == 78 && said.contains("sql.anonymous"), "{code}, {said}");
    let tokens = asked.folder().join("tokens");
    fs::write(&tokens, "ada first-token\n")?;
    let server = asked.doors(&[
        "--set",
        &format!("sql.tokens_file={}", tokens.display()),
        "--set",
        "sql.timeout_ms=2000",
    ])?;
    server.await_ready()?;
    let check = |token: &str, sql: &str, status: u16, words: &str| -> Result<()> {
        let (found, body) = server.ask(token, sql)?;
        ensure!(found == status && body.contains(words), "{sql:.60}: {found} {body:.300}");
        Ok(())
    };
    check("", "SELECT 1", 401, "a token is needed")?;
    check("wrong", "SELECT 1", 401, "nobody has this token")?;
    check("first-token", "SELECT 1 AS one", 200, "[{\"one\":1}]")?;
    for (sql, status, words) in [
        ("COPY (SELECT 1) TO '/tmp/out.csv'", 403, "only reads"),
        ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", 403, "only reads"),
        ("SET datafusion.execution.target_partitions = 1000", 403, "only reads"),
        ("SELECT * FROM '/etc/passwd'", 400, "wrong"),
        ("SELECT * FROM \"../../etc/passwd\"", 400, "wrong"),
        ("SELECT 1; DROP TABLE streams", 400, "one by one"),
        (
            "SELECT count(*) FROM generate_series(1,100000000) a CROSS JOIN generate_series(1,100000000) b",
            504,
            "sql.timeout_ms",
        ),
        ("SELECT repeat('x', 2000000000)", 400, "MiB"),
        (&format!("SELECT '{}'", "x".repeat(10 << 20)), 413, "bytes"),
    ] {
        check("first-token", sql, status, words)?;
    }
    fs::write(&tokens, "ada second-token\n")?;
    check("first-token", "SELECT 1", 401, "nobody has this token")?;
    check(
        "second-token",
        "SELECT outcome, count(*) AS n FROM system.logins GROUP BY outcome ORDER BY outcome",
        200,
        "[{\"outcome\":\"denied\",\"n\":3}",
    )?;
    let metrics = server.metrics()?;
    for line in [
        "treble_auth_attempts_total{outcome=\"denied\",protocol=\"http\"} 3",
        "http_requests_total{status_code=\"403\"} 3",
        "treble_sql_queries_total{outcome=\"timeout\",query_type=\"select\"} 1",
    ] {
        ensure!(metrics.contains(line), "{line} in\n{metrics}");
    }
    server.end()
}

/// Takes as long as it may.
const ENDLESS: &str =
    "SELECT count(*) FROM generate_series(1,100000000) a CROSS JOIN generate_series(1,100000000) b";

#[test]
fn who_asks_while_as_many_questions_run_as_may_is_turned_away_and_counted() -> Result<()> {
    let asked = Asked::start("sql-busy")?;
    let limits = ["--set", "sql.max_queries=1", "--set", "sql.timeout_ms=3000"];
    let server = asked.doors(&[&["--anonymous"], &limits[..]].concat())?;
    server.await_ready()?;
    let mut turned_away = 0;
    // The long question may meet a short one, and is turned away itself: it comes again.
    while turned_away == 0 {
        turned_away += std::thread::scope(|scope| -> Result<u32> {
            let long = scope.spawn(|| server.ask("", ENDLESS));
            let mut met = 0;
            while !long.is_finished() {
                let (status, body) = server.ask("", "SELECT 1")?;
                ensure!(
                    status == 200 || (status == 429 && body.contains("sql.max_queries")),
                    "{status} {body}"
                );
                met += u32::from(status == 429);
            }
            let (status, _) = long.join().map_err(|_| anyhow::anyhow!("the asker panicked"))??;
            ensure!(status == 504 || status == 429, "{status}");
            Ok(met + u32::from(status == 429))
        })?;
    }
    let metrics = server.metrics()?;
    for line in [
        format!("http_requests_total{{status_code=\"429\"}} {turned_away}"),
        format!("treble_sql_queries_total{{outcome=\"denied\",query_type=\"select\"}} {turned_away}"),
    ] {
        ensure!(metrics.contains(&line), "{line} in\n{metrics}");
    }
    server.end()
}
