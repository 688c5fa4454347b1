//! Upkeep changes how rows are stored, never which; rollups say what they were computed from.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod topic;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use topic::{TOPIC, assert_whole, folder, read, stored};
use treble_analyse::commit::{Committer, Move, Slice, Stand};
use treble_analyse::lake::Lake;
use treble_analyse::lines;
use treble_analyse::rollups::{self, Rollup};
use treble_analyse::rows::Record;
use treble_analyse::tables::{Origin, Table};
use treble_analyse::upkeep::{self, Day};
use treble_analyse::verify;

/// The topic of lines.
const LOGS: &str = "t.logs";
/// The days that the events of the topic lie on.
const FIRST: Day = Day(19_675);

async fn fill(path: &Path, offsets: impl IntoIterator<Item = i64>) {
    let mut committer = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
    for to in offsets {
        let stands: BTreeMap<i32, Stand> = committer.stands(&[0, 1]).await.unwrap();
        committer.commit(&read(&stands, to), || Duration::ZERO).await.unwrap();
    }
}

/// The sum of a column of a rollup, and how many rows it has.
async fn sum(path: &Path, rollup: Rollup, column: &str) -> (i64, usize) {
    let table = rollups::open_or_create(&folder(path), rollup).await.unwrap();
    let provider = table.table_provider().await.unwrap();
    let batches = SessionContext::new().read_table(provider).unwrap().collect().await.unwrap();
    let values = batches.iter().map(|batch| batch.column_by_name(column).unwrap());
    let sum = values.flat_map(|values| values.as_primitive::<Int64Type>().values().to_vec()).sum();
    (sum, batches.iter().map(|batch| batch.num_rows()).sum())
}

#[tokio::test]
async fn joining_and_removing_files_keeps_every_row_and_every_position() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    fill(path, [10, 20, 30]).await;
    let mut lake = Lake::open(&folder(path)).await.unwrap();
    let joined = upkeep::optimize(&mut lake, Day(FIRST.0 + 2)).await.unwrap();
    assert_eq!((joined[0].removed, joined[0].added), (6, 2), "today's files are left alone: {joined:?}");
    upkeep::vacuum(&mut lake, false).await.unwrap();
    assert_whole(path, 2, 30).await;
    fill(path, [40]).await;
    assert_whole(path, 2, 40).await;
    let lake = Lake::open(&folder(path)).await.unwrap();
    let (checks, seen) = verify::verify(&lake, "t", (Origin::Events, TOPIC), 2).await.unwrap();
    assert!(checks.iter().all(verify::TableCheck::is_sound), "{checks:?}");
    assert_eq!(checks.iter().map(|check| check.rows).sum::<u64>(), 80);
    assert!(seen.contains(1, 39) && !seen.contains(1, 40));
}

#[tokio::test]
async fn a_file_that_is_gone_is_named() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    fill(path, [10]).await;
    let day = path.join("stage_events").join(format!("event_date={FIRST}"));
    let file = std::fs::read_dir(&day).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(&file).unwrap();
    let lake = Lake::open(&folder(path)).await.unwrap();
    let (checks, _) = verify::verify(&lake, "t", (Origin::Events, TOPIC), 2).await.unwrap();
    let missing = &checks[0].missing_files;
    assert!(missing.len() == 1 && file.ends_with(&missing[0]), "{missing:?} is not {}", file.display());
    assert!(!checks[0].is_sound() && checks[1].is_sound());
}

#[tokio::test]
async fn days_past_retention_go_and_positions_stay() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    fill(path, [30]).await;
    let before = stored(path).await[&Table::StageEvents].len();
    let mut lake = Lake::open(&folder(path)).await.unwrap();
    upkeep::retain(&mut lake, |_| Some(Day(FIRST.0 + 1))).await.unwrap();
    let after = stored(path).await[&Table::StageEvents].len();
    assert!(after < before && after > 0, "{before} rows became {after}");
    let offsets = lake.next_offsets(Table::StageEvents, "t", TOPIC, 2).await.unwrap();
    assert_eq!(offsets, BTreeMap::from([(0, 30), (1, 30)]));
    fill(path, [40]).await;
}

#[tokio::test]
async fn rollups_tell_of_each_event_once_however_often_they_run() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    fill(path, [10, 20]).await;
    let mut lake = Lake::open(&folder(path)).await.unwrap();
    let events = stored(path).await[&Table::StageEvents].len() as i64;
    let rolled = rollups::run(&lake).await.unwrap();
    assert_eq!(rolled[0].days, ["2023-11-14", "2023-11-15", "2023-11-16"]);
    for rollup in Rollup::ALL {
        assert_eq!(sum(path, rollup, "commits").await, (events, 3), "an event's window is of its own day");
        assert_eq!(sum(path, rollup, "streams").await.0, 6, "two streams a day");
    }
    let again = rollups::run(&lake).await.unwrap();
    assert!(again.iter().all(|rolled| rolled.days.is_empty()), "{again:?}");

    // Offsets 20 and 21 lie on two of the days.
    fill(path, [22]).await;
    lake.refresh().await.unwrap();
    let rolled = rollups::run(&lake).await.unwrap();
    assert_eq!(rolled[0].days, ["2023-11-14", "2023-11-16"], "only what changed");
    let events = stored(path).await[&Table::StageEvents].len() as i64;
    assert_eq!(sum(path, Rollup::StageHours, "commits").await, (events, 3));
    // Joining files changes no row.
    upkeep::optimize(&mut lake, Day(FIRST.0 + 9)).await.unwrap();
    assert!(rollups::run(&lake).await.unwrap()[0].days.is_empty());
}

/// What analyse reads of the topic of lines up to the offset `to`: three days in turn.
async fn fill_logs(path: &Path, to: i64) {
    let mut committer = Committer::open(&folder(path), "t", Origin::Logs, LOGS).await.unwrap();
    let from = committer.stands(&[0]).await.unwrap()[&0].clone();
    let mut decoder = lines::Decoder::default();
    for offset in from.get(&Table::Logs).copied().unwrap_or(0)..to {
        let day = 14 + offset % 3;
        let line = format!(r#"{{"time":"2023-11-{day}T12:00:00Z","message":"line {offset}"}}"#);
        let record = Record { partition: 0, offset, timestamp_ms: 0, key: None, value: Some(line.into()) };
        decoder.push(record).unwrap();
    }
    let rows = [(Table::Logs, decoder.flush().unwrap().rows)].into();
    let slice = Slice { rows, moves: [(0, Move { from, to })].into() };
    committer.commit(&slice, || Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn lines_of_the_log_have_their_own_positions_and_their_own_retention() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    fill(path, [30]).await;
    let mut before = Lake::open(&folder(path)).await.unwrap();
    assert!(!before.tables().contains(&Table::Logs), "a lake without lines is whole");
    fill_logs(path, 12).await;
    fill_logs(path, 20).await;
    before.refresh_all().await.unwrap();
    assert!(before.tables().contains(&Table::Logs), "who had it open before sees them");
    assert_eq!(stored(path).await[&Table::Logs].len(), 20);
    let events = stored(path).await[&Table::StageEvents].len();

    upkeep::optimize(&mut before, Day(FIRST.0 + 3)).await.unwrap();
    let first = |origin| (origin == Origin::Logs).then_some(Day(FIRST.0 + 1));
    upkeep::retain(&mut before, first).await.unwrap();
    let after = stored(path).await;
    assert_eq!((after[&Table::Logs].len(), after[&Table::StageEvents].len()), (13, events));
    fill_logs(path, 21).await;
    let lake = Lake::open(&folder(path)).await.unwrap();
    let (checks, seen) = verify::verify(&lake, "t", (Origin::Logs, LOGS), 1).await.unwrap();
    assert!(checks.len() == 1 && checks[0].is_sound() && checks[0].rows == 14, "{checks:?}");
    assert!(seen.contains(0, 20) && !seen.contains(0, 0));
    let (checks, _) = verify::verify(&lake, "t", (Origin::Events, TOPIC), 2).await.unwrap();
    assert!(checks.len() == 3 && checks.iter().all(verify::TableCheck::is_sound), "{checks:?}");
}
