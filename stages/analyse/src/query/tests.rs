use super::*;
use crate::live::{Reading, Stored};
use crate::tables::Table;
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const NOW_US: i64 = 1_800_000_000_000_000;

/// Rows of `table` at offsets `offsets` of `partition`: every column has a value of its type, or null where it may.
fn rows(table: Table, partition: i32, offsets: std::ops::Range<i64>) -> RecordBatch {
    let count = usize::try_from(offsets.end - offsets.start).unwrap();
    let schema = table.schema();
    let column = |field: &Arc<datafusion::arrow::datatypes::Field>| -> ArrayRef {
        match (field.name().as_str(), field.data_type()) {
            ("kafka_partition", _) => Arc::new(Int32Array::from(vec![partition; count])),
            ("kafka_offset", _) => Arc::new(Int64Array::from_iter_values(offsets.clone())),
            ("status", _) => Arc::new(StringArray::from(vec!["finished"; count])),
            ("stream_id", _) => Arc::new(StringArray::from_iter_values(
                offsets.clone().map(|offset| format!("stream-{offset}")),
            )),
            ("mode", _) => Arc::new(StringArray::from(vec!["ai"; count])),
            (_, kind) if field.is_nullable() => new_null_array(kind, count),
            (_, DataType::Utf8) => Arc::new(StringArray::from(vec!["decode"; count])),
            (_, DataType::Int32) => Arc::new(Int32Array::from(vec![1; count])),
            (_, DataType::Int64) => Arc::new(Int64Array::from(vec![0; count])),
            (_, DataType::Float64) => Arc::new(Float64Array::from(vec![1.5; count])),
            (_, DataType::Boolean) => Arc::new(BooleanArray::from(vec![false; count])),
            (_, DataType::Date32) => Arc::new(Date32Array::from(vec![20_000; count])),
            (_, DataType::Timestamp(..)) => Arc::new(
                TimestampMicrosecondArray::from(vec![NOW_US - 5_000_000; count]).with_timezone("UTC"),
            ),
            (_, kind) => panic!("{kind} has no value here"),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn live() -> Arc<Live> {
    Arc::new(Live::new("treble.events".to_owned(), Arc::new(|| NOW_US)))
}

fn engine(limits: Limits) -> Engine {
    let live = live();
    let rows = vec![
        (Table::StageEvents, rows(Table::StageEvents, 0, 0..10)),
        (Table::StreamReports, rows(Table::StreamReports, 0, 10..14)),
    ];
    live.append(0, rows, Reading { position: 15, end: Some(15), caught_up_us: NOW_US }).unwrap();
    Engine::new(live, limits).unwrap()
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

async fn table(engine: &Engine, sql: &str) -> Result<String, QueryError> {
    let batches = engine.ask(sql, None).await?.collect().await?;
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}

/// The only cell of an answer, as text.
fn cell(engine: &Engine, sql: &str) -> String {
    let text = run(table(engine, sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    text.lines().nth(3).unwrap_or_else(|| panic!("{sql}: {text}")).trim_matches(['|', ' ']).to_owned()
}

fn error(engine: &Engine, sql: &str) -> QueryError {
    run(table(engine, sql)).expect_err(sql)
}

#[test]
fn every_view_has_the_columns_that_its_documentation_names() {
    let engine = engine(Limits::default());
    for view in crate::views::View::ALL {
        let planned = run(engine.plan(&format!("SELECT * FROM {}", view.name))).unwrap();
        let schema = planned.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let documented: Vec<&str> = view.columns.iter().map(|(name, _)| *name).collect();
        assert_eq!(columns, documented, "{}", view.name);
        run(table(&engine, &format!("SELECT * FROM {}", view.name))).unwrap();
    }
    for (name, _, documented) in crate::views::SYSTEM {
        let planned = run(engine.plan(&format!("SELECT * FROM system.{name}"))).unwrap();
        let schema = planned.schema();
        let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(columns, documented.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}

#[test]
fn tables_and_their_documentation_are_listed() {
    let engine = engine(Limits::default());
    let listed = run(table(&engine, "SHOW TABLES")).unwrap();
    for name in ["streams", "stages", "latency", "errors", "models", "freshness", "stage_events", "logins"] {
        assert!(listed.contains(name), "{name} in {listed}");
    }
    let undocumented = "SELECT count(*) FROM information_schema.columns c LEFT JOIN documentation d \
        ON d.table_name = c.table_name AND d.column_name = c.column_name \
        WHERE c.table_schema IN ('public', 'system') AND c.table_name <> 'documentation' AND d.description IS NULL";
    assert_eq!(cell(&engine, undocumented), "0", "every column means something");
}

#[test]
fn lines_of_the_log_are_for_those_who_have_the_role() {
    let engine = engine(Limits::default());
    let stored = {
        let batch = rows(Table::Logs, 0, 0..2);
        let provider = datafusion::catalog::MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        Stored { provider: Some(Arc::new(provider)), next_offsets: BTreeMap::new() }
    };
    engine.live().store([(Table::Logs, stored)].into());
    let ask = |grants, sql: &str| {
        run(async {
            let answer = engine.ask_as(Asker { grants, dialect: None }, sql, None).await?.collect().await?;
            Ok::<_, QueryError>(pretty_format_batches(&answer).unwrap().to_string())
        })
    };
    for sql in [
        "SELECT count(*) FROM logs",
        "SELECT 1 FROM public.logs LIMIT 1",
        "SELECT 1 WHERE 1 IN (SELECT kafka_offset FROM treble.public.logs)",
        "WITH l AS (SELECT * FROM logs) SELECT count(*) FROM l",
        "EXPLAIN SELECT * FROM \"logs\"",
        "DESCRIBE logs",
    ] {
        let refused = ask(Grants::NONE, sql).expect_err(sql);
        assert!(
            matches!(refused, QueryError::Forbidden(Forbidden { table: "logs", role: "logs" })),
            "{sql}: {refused}"
        );
        ask(Grants::ALL, sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    assert!(
        !ask(Grants::NONE, "SHOW TABLES").unwrap().contains("logs "),
        "what cannot be read is not listed"
    );
    assert!(ask(Grants::ALL, "SHOW TABLES").unwrap().contains("logs "));
    assert!(ask(Grants::NONE, "SELECT count(*) FROM streams").is_ok(), "all else is as it was");
}

#[test]
fn text_that_holds_json_is_asked_as_postgresql_asks_it() {
    let engine = engine(Limits::default());
    assert_eq!(cell(&engine, r#"SELECT '{"group":"g","n":{"m":2}}'->>'group'"#), "g");
    assert_eq!(cell(&engine, r#"SELECT ('{"n":{"m":2}}'->'n'->>'m')::INT + 1"#), "3");
    assert_eq!(cell(&engine, "SELECT 'no json'->>'group' IS NULL"), "true");
}

#[test]
fn a_row_is_served_by_the_lake_or_from_memory_and_never_by_both() {
    let live = live();
    let stored = |next: i64| -> BTreeMap<Table, Stored> {
        let batch = rows(Table::StageEvents, 0, 0..next);
        let provider = datafusion::catalog::MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        let stored = Stored { provider: Some(Arc::new(provider)), next_offsets: [(0, next)].into() };
        [(Table::StageEvents, stored)].into()
    };
    let engine = Engine::new(Arc::clone(&live), Limits::default()).unwrap();
    let check = |expect: i64| {
        let sql = "SELECT concat(CAST(count(*) AS VARCHAR), ' ', \
            CAST(count(DISTINCT (kafka_partition, kafka_offset)) AS VARCHAR)) FROM stage_events";
        assert_eq!(cell(&engine, sql), format!("{expect} {expect}"));
    };
    for step in 0..10 {
        let reading = Reading { position: step * 10 + 10, end: Some(100), caught_up_us: 0 };
        let batch = rows(Table::StageEvents, 0, step * 10..step * 10 + 10);
        live.append(0, vec![(Table::StageEvents, batch)], reading).unwrap();
        check(step * 10 + 10);
        // Commits cut anywhere, also in the middle of a batch in memory.
        live.store(stored(step * 10 + 7));
        check(step * 10 + 10);
    }
    live.store(stored(100));
    check(100);
    assert_eq!(live.bytes(), 0, "what is stored leaves the memory");
}

#[test]
fn a_query_sees_one_moment_while_rows_come_and_commits_land() {
    let live = live();
    let engine = Engine::new(Arc::clone(&live), Limits::default()).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (writer, stopped) = (Arc::clone(&live), Arc::clone(&stop));
    let feeder = std::thread::spawn(move || {
        let mut at = 0;
        while !stopped.load(Ordering::Relaxed) {
            let reading = Reading { position: at + 3, end: Some(at + 3), caught_up_us: NOW_US };
            let batch = rows(Table::StageEvents, 0, at..at + 3);
            writer.append(0, vec![(Table::StageEvents, batch)], reading).unwrap();
            at += 3;
            if at % 30 == 0 {
                let batch = rows(Table::StageEvents, 0, 0..at - 10);
                let provider =
                    datafusion::catalog::MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
                let next_offsets = [(0, at - 10)].into();
                let stored = Stored { provider: Some(Arc::new(provider)), next_offsets };
                writer.store([(Table::StageEvents, stored)].into());
            }
        }
    });
    for _ in 0..200 {
        let sql = "SELECT (SELECT count(*) FROM stage_events) - (SELECT count(DISTINCT kafka_offset) FROM stage_events) \
            + (SELECT count(*) FROM stage_events) - (SELECT coalesce(max(kafka_offset) + 1, 0) FROM stage_events)";
        assert_eq!(cell(&engine, sql), "0");
    }
    stop.store(true, Ordering::Relaxed);
    feeder.join().unwrap();
}

#[test]
fn freshness_says_how_far_each_partition_is() {
    let live = live();
    let tell = |partition, position, caught_up_us| {
        live.append(partition, Vec::new(), Reading { position, end: Some(20), caught_up_us }).unwrap();
    };
    tell(0, 20, NOW_US);
    tell(1, 15, NOW_US - 2_500_000);
    tell(2, 15, 0);
    tell(3, 20, NOW_US - 9_000_000);
    let engine = Engine::new(live, Limits::default()).unwrap();
    let seconds = |partition: i32| {
        let sql = format!(
            "SELECT coalesce(CAST(seconds_behind AS VARCHAR), 'unknown') FROM freshness WHERE partition = {partition}"
        );
        cell(&engine, &sql)
    };
    assert_eq!([seconds(0), seconds(1), seconds(2)], ["0.0", "2.5", "unknown"]);
    assert_eq!(seconds(3), "9.0", "who has not looked for a while does not know that nothing came");
}

#[test]
fn nothing_is_written_and_no_file_is_read() {
    let engine = engine(Limits::default());
    for sql in [
        "COPY (SELECT 1) TO '/tmp/treble-hostile.csv' STORED AS CSV",
        "CREATE EXTERNAL TABLE passwd STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO stage_events SELECT * FROM stage_events",
        "SET datafusion.catalog.information_schema = false",
        "EXPLAIN ANALYZE INSERT INTO stage_events SELECT * FROM stage_events",
        "DROP TABLE stage_events",
    ] {
        assert!(matches!(error(&engine, sql), QueryError::Refused(_)), "{sql}: {}", error(&engine, sql));
    }
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM \"file:///etc/passwd\"",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM \"/etc/passwd\"",
    ] {
        assert!(matches!(error(&engine, sql), QueryError::Wrong(_)), "{sql}: {}", error(&engine, sql));
    }
    assert!(!std::path::Path::new("/tmp/treble-hostile.csv").exists());
}

#[test]
fn every_limit_stops_what_exceeds_it() {
    let limits =
        Limits { time: Duration::from_millis(1_500), rows: 100, memory_bytes: 8 << 20, ..Limits::default() };
    let engine = engine(limits);
    let endless =
        "SELECT count(*) FROM generate_series(1, 100000000) a CROSS JOIN generate_series(1, 100000000) b";
    assert!(matches!(error(&engine, endless), QueryError::TimedOut { .. }));
    let long = error(&engine, "SELECT * FROM generate_series(1, 1000)");
    assert!(matches!(long, QueryError::TooManyRows { limit: 100 }), "{long}");
    let hungry = error(
        &engine,
        "SELECT value FROM generate_series(1, 3000000) ORDER BY value % 1000, value LIMIT 2000000",
    );
    assert!(matches!(hungry, QueryError::OutOfMemory(_)), "{hungry}");
    for sql in [
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2147483647)",
        "SELECT replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
        "SELECT range(1, 10000000000)",
        "SELECT array_repeat('x', 1000000000)",
    ] {
        let error = error(&engine, sql);
        assert!(matches!(error, QueryError::Wrong(_)), "{sql}: {error}");
    }
    assert_eq!(
        cell(&engine, "SELECT concat(repeat('ab', 3), lpad('7', 3, '0'), replace('aXb', 'X', '-'))"),
        "ababab007a-b"
    );
}

#[test]
fn as_many_run_as_may_and_a_dropped_answer_makes_room() {
    let engine = engine(Limits { queries: 1, ..Limits::default() });
    run(async {
        let endless = "SELECT * FROM generate_series(1, 100000000)";
        let mut first = engine.ask(endless, None).await.unwrap();
        first.next().await.unwrap().unwrap();
        assert!(matches!(engine.ask("SELECT 1", None).await, Err(QueryError::Busy { limit: 1 })));
        drop(first);
        let freed = tokio::time::timeout(Duration::from_secs(10), async {
            while engine.ask("SELECT 1", None).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        freed.await.expect("the query stops when nobody reads its answer");
    });
}

#[test]
fn what_the_asker_did_wrong_is_said_so() {
    let engine = engine(Limits::default());
    for (sql, hint) in [
        ("SELEC 1", "SELEC"),
        ("SELECT nothing FROM streams", "nothing"),
        ("SELECT * FROM absent", "absent"),
        ("SELECT 1 / 0", "zero"),
        ("SELECT CAST('x' AS INT)", "x"),
    ] {
        match error(&engine, sql) {
            QueryError::Wrong(said) => assert!(said.contains(hint), "{sql}: {said}"),
            other => panic!("{sql}: {other:?}"),
        }
    }
}

#[test]
fn every_saved_question_is_answered() {
    let engine = engine(Limits::default());
    for saved in crate::saved::ALL {
        run(table(&engine, saved.sql)).unwrap_or_else(|error| panic!("{}: {error}", saved.name));
    }
}

#[test]
fn a_statement_as_tall_as_may_be_is_answered_and_a_taller_one_is_refused() {
    let engine = engine(Limits::default());
    let sum = |terms: usize| format!("SELECT {}", vec!["1"; terms].join(" + "));
    assert_eq!(cell(&engine, &sum(990)), "990");
    assert!(matches!(error(&engine, &sum(60_000)), QueryError::Wrong(_)), "and the process lives");
    let either = vec!["kafka_offset = 3"; 490].join(" OR ");
    assert_eq!(cell(&engine, &format!("SELECT count(*) FROM stage_events WHERE {either}")), "1");
    let unions = vec!["SELECT 1"; 450].join(" UNION ALL ");
    assert_eq!(cell(&engine, &format!("SELECT count(*) FROM ({unions}) a")), "450");
    let tables = (0..100).map(|at| format!("(SELECT 1) t{at}")).collect::<Vec<_>>().join(", ");
    assert_eq!(cell(&engine, &format!("SELECT count(*) FROM {tables}")), "1");
}

#[test]
fn an_answer_that_nobody_reads_keeps_its_place_no_longer_than_it_may_take() {
    let engine = engine(Limits { time: Duration::from_millis(500), queries: 1, ..Limits::default() });
    run(async {
        let mut unread = engine.ask("SELECT * FROM generate_series(1, 100000000)", None).await.unwrap();
        unread.next().await.unwrap().unwrap();
        let freed = tokio::time::timeout(Duration::from_secs(10), async {
            while engine.ask("SELECT 1", None).await.is_err() {
                tokio::task::yield_now().await;
            }
        });
        freed.await.expect("the query stops at its deadline, though its answer is still held");
        let end = loop {
            match unread.next().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(end, Some(Err(QueryError::TimedOut { .. }))), "it does not look whole: {end:?}");
    });
}
