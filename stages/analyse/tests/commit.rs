//! Rows are stored once and none is missing, wherever a commit fails and whoever else commits.

mod failing;

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::object_store::local::LocalFileSystem;
use datafusion::prelude::SessionContext;
use failing::{Failing, When};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use treble_analyse::commit::{Committer, Move, Outcome, Slice, Stand};
use treble_analyse::lake::{Lake, Location};
use treble_analyse::rows::{Decoder, Record};
use treble_analyse::tables::Table;
use treble_schemas::Contract;
use treble_schemas::event::{Event, StageEvent, StreamReport};
use treble_schemas::frame::{Format, write_header};

const TOPIC: &str = "t.events";

/// The record at `offset`: mostly an event, sometimes a report, sometimes nonsense; three days in turn.
fn record(partition: i32, offset: i64) -> Record {
    let event_time_us = 1_700_000_000_000_000 + (offset % 3) * 86_400_000_000;
    let stream_id = format!("s{partition}");
    let (id, datum) = match offset % 7 {
        3 => (2, StreamReport { event_time_us, stream_id, ..StreamReport::default() }.encode()),
        5 => (3, Ok(b"nonsense".to_vec())),
        _ => (1, StageEvent { event_time_us, stream_id, ..StageEvent::default() }.encode()),
    };
    let mut value = Vec::new();
    write_header(&mut value, id, Format::Avro);
    value.extend(datum.unwrap());
    Record { partition, offset, timestamp_ms: 1_700_000_000_000, key: None, value: Some(Bytes::from(value)) }
}

/// What is read of partitions that stand at `stands`, each up to the offset `to`.
fn read(stands: &BTreeMap<i32, Stand>, to: i64) -> Slice {
    let mut decoder = Decoder::new();
    decoder.learn(1, Some(Contract::StageEvent.text()));
    decoder.learn(2, Some(Contract::StreamReport.text()));
    decoder.learn(3, None);
    let mut moves = BTreeMap::new();
    for (&partition, stand) in stands {
        let from = Table::ALL.iter().map(|table| stand.get(table).copied().unwrap_or(0)).min().unwrap();
        (from..to).for_each(|offset| decoder.push(record(partition, offset)));
        moves.insert(partition, Move { from: stand.clone(), to });
    }
    Slice { rows: decoder.flush().unwrap(), moves }
}

fn folder(store: Option<&Arc<Failing>>, path: &Path) -> Location {
    match store {
        Some(store) => Location::on(Arc::clone(store) as Arc<_>, path),
        None => Location::parse(&path.to_string_lossy()).unwrap(),
    }
}

/// All rows of the lake, by partition and offset; a row that is there twice is a panic.
async fn stored(path: &Path) -> BTreeMap<Table, BTreeSet<(i32, i64)>> {
    let lake = Lake::open(&folder(None, path)).await.unwrap();
    let mut all = BTreeMap::new();
    for table in Table::ALL {
        let provider = lake.table(table).table_provider().await.unwrap();
        let rows: &mut BTreeSet<(i32, i64)> = all.entry(table).or_default();
        for batch in SessionContext::new().read_table(provider).unwrap().collect().await.unwrap() {
            let partitions = batch.column_by_name("kafka_partition").unwrap().as_primitive::<Int32Type>();
            let offsets = batch.column_by_name("kafka_offset").unwrap().as_primitive::<Int64Type>();
            for (partition, offset) in partitions.values().iter().zip(offsets.values()) {
                assert!(rows.insert((*partition, *offset)), "{}: {partition} {offset} twice", table.name());
            }
        }
    }
    all
}

async fn assert_whole(path: &Path, partitions: i32, to: i64) {
    let stored = stored(path).await;
    let expect: BTreeSet<(i32, i64)> =
        (0..partitions).flat_map(|partition| (0..to).map(move |offset| (partition, offset))).collect();
    let all: Vec<(i32, i64)> = stored.values().flatten().copied().collect();
    assert_eq!(all.len(), expect.len(), "each row is in one table");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expect);
    let unreadable = expect.iter().filter(|(_, offset)| offset % 7 == 5).count();
    assert_eq!(stored[&Table::Unreadable].len(), unreadable);
}

#[tokio::test]
async fn rows_and_positions_are_committed_together_and_read_back_by_a_successor() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    let mut first = Committer::open(&folder(None, path), "t", TOPIC).await.unwrap();
    let stands = first.stands(&[0, 1]).await.unwrap();
    assert!(stands.values().all(Stand::is_empty), "nothing was read yet");
    let Outcome::Committed(receipts) = first.commit(&read(&stands, 40), || Duration::ZERO).await.unwrap()
    else {
        panic!("nobody else is there")
    };
    assert_eq!(receipts.iter().map(|receipt| receipt.rows).sum::<usize>(), 80);
    let files: Vec<usize> = receipts.iter().map(|receipt| receipt.files).collect();
    assert_eq!(files, [3, 3, 1], "a file a day: {receipts:?}");
    let mut second = Committer::open(&folder(None, path), "t", TOPIC).await.unwrap();
    let stands = second.stands(&[0, 1]).await.unwrap();
    assert!(stands.values().flat_map(BTreeMap::values).all(|offset| *offset == 40), "{stands:?}");
    second.commit(&read(&stands, 60), || Duration::ZERO).await.unwrap();
    assert_whole(path, 2, 60).await;
    let lake = Lake::open(&folder(None, path)).await.unwrap();
    let offsets = lake.next_offsets(Table::StreamReports, "t", TOPIC, 3).await.unwrap();
    assert_eq!(offsets, BTreeMap::from([(0, 60), (1, 60)]));
    assert!(
        Lake::open(&folder(None, &path.join("none"))).await.unwrap_err().to_string().contains("no table")
    );
}

/// A process whose store fails at one write: it reads again from where the tables say, as it is or as its successor.
async fn survive(at: usize, when: When, successor: bool) -> bool {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    Lake::open_or_create(&folder(None, path)).await.unwrap();
    let store = Arc::new(Failing::new(LocalFileSystem::new()));
    let mut committer = Committer::open(&folder(Some(&store), path), "t", TOPIC).await.unwrap();
    store.fail(at, when);
    let mut failed = false;
    for to in [20, 30] {
        let mut stands = committer.stands(&[0, 1]).await.unwrap();
        while committer.commit(&read(&stands, to), || Duration::ZERO).await.is_err() {
            failed = true;
            if successor {
                committer = Committer::open(&folder(Some(&store), path), "t", TOPIC).await.unwrap();
            }
            stands = committer.stands(&[0, 1]).await.unwrap();
        }
    }
    assert_whole(path, 2, 30).await;
    failed
}

#[tokio::test]
async fn a_failure_at_any_write_loses_no_row_and_doubles_none() {
    for when in [When::Before, When::After] {
        for successor in [false, true] {
            let mut at = 0;
            while survive(at, when, successor).await {
                at += 1;
            }
            // A file a day and table, and a commit a table: ten for the first slice, eight for the second.
            assert_eq!(at, 18, "{when:?}");
        }
    }
}

#[tokio::test]
async fn an_owner_that_was_overtaken_commits_nothing_before_and_after_it_looks() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    let mut zombie = Committer::open(&folder(None, path), "t", TOPIC).await.unwrap();
    let stands = zombie.stands(&[0, 1]).await.unwrap();
    zombie.commit(&read(&stands, 10), || Duration::ZERO).await.unwrap();
    let known: BTreeMap<i32, Stand> =
        [0, 1].map(|partition| (partition, Table::ALL.map(|table| (table, 10)).into())).into();
    let late = read(&known, 15);

    let mut heir = Committer::open(&folder(None, path), "t", TOPIC).await.unwrap();
    let stands = heir.stands(&[0]).await.unwrap();
    heir.commit(&read(&stands, 20), || Duration::ZERO).await.unwrap();

    let outcome = zombie.commit(&late, || Duration::ZERO).await.unwrap();
    assert!(
        matches!(outcome, Outcome::Overtaken { partition: None, .. }),
        "its snapshot is old: {outcome:?}"
    );
    zombie.stands(&[1]).await.unwrap();
    let outcome = zombie.commit(&late, || Duration::ZERO).await.unwrap();
    assert!(matches!(outcome, Outcome::Overtaken { partition: Some(0), .. }), "it knows by now: {outcome:?}");
    let stands = zombie.stands(&[1]).await.unwrap();
    zombie.commit(&read(&stands, 20), || Duration::ZERO).await.unwrap();
    assert_whole(path, 2, 20).await;
}

#[tokio::test]
async fn owners_of_different_partitions_do_not_disturb_each_other() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    let mut owners = Vec::new();
    for partition in 0..3 {
        let mut committer = Committer::open(&folder(None, path), "t", TOPIC).await.unwrap();
        let stands = committer.stands(&[partition]).await.unwrap();
        owners.push((committer, read(&stands, 12)));
    }
    let tasks: Vec<_> = owners
        .into_iter()
        .map(|(mut committer, slice)| {
            tokio::spawn(async move { committer.commit(&slice, || Duration::ZERO).await })
        })
        .collect();
    for task in tasks {
        assert!(matches!(task.await.unwrap().unwrap(), Outcome::Committed(_)));
    }
    assert_whole(path, 3, 12).await;
}
