//! Rows are stored once and none is missing, wherever a commit fails and whoever else commits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failing;
mod topic;

use datafusion::object_store::local::LocalFileSystem;
use failing::{Failing, When};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use topic::{TOPIC, assert_whole, folder, read};
use treble_analyse::commit::{Committer, Outcome, Stand};
use treble_analyse::lake::{Lake, Location};
use treble_analyse::tables::{Origin, Table};

/// The lake in the folder `path`, written through `store`.
fn through(store: &Arc<Failing>, path: &Path) -> Location {
    Location::on(Arc::clone(store) as Arc<_>, path)
}

#[tokio::test]
async fn rows_and_positions_are_committed_together_and_read_back_by_a_successor() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    let mut first = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
    let stands = first.stands(&[0, 1]).await.unwrap();
    assert!(stands.values().all(Stand::is_empty), "nothing was read yet");
    let Outcome::Committed(receipts) = first.commit(&read(&stands, 40), || Duration::ZERO).await.unwrap()
    else {
        panic!("nobody else is there")
    };
    assert_eq!(receipts.iter().map(|receipt| receipt.rows).sum::<usize>(), 80);
    let files: Vec<usize> = receipts.iter().map(|receipt| receipt.files).collect();
    assert_eq!(files, [3, 3, 1], "a file a day: {receipts:?}");
    let mut second = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
    let stands = second.stands(&[0, 1]).await.unwrap();
    assert!(stands.values().flat_map(BTreeMap::values).all(|offset| *offset == 40), "{stands:?}");
    second.commit(&read(&stands, 60), || Duration::ZERO).await.unwrap();
    assert_whole(path, 2, 60).await;
    let lake = Lake::open(&folder(path)).await.unwrap();
    let offsets = lake.next_offsets(Table::StreamReports, "t", TOPIC, 3).await.unwrap();
    assert_eq!(offsets, BTreeMap::from([(0, 60), (1, 60)]));
    assert!(Lake::open(&folder(&path.join("none"))).await.unwrap_err().to_string().contains("no table"));
    let stranger = Committer::open(&folder(path), "other", Origin::Events, TOPIC).await.unwrap_err();
    assert!(stranger.to_string().contains("the lake of pipeline t, not of other"), "{stranger}");
    assert!(!stranger.is_retriable());
}

/// A process whose store fails at one write: it reads again from where the tables say, as it is or as its successor.
async fn survive(at: usize, when: When, successor: bool) -> bool {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    Lake::open_or_create(&folder(path), "t", Origin::Events).await.unwrap();
    let store = Arc::new(Failing::new(LocalFileSystem::new()));
    let mut committer = Committer::open(&through(&store, path), "t", Origin::Events, TOPIC).await.unwrap();
    store.fail(at, when);
    let mut failed = false;
    for to in [20, 30] {
        let mut stands = committer.stands(&[0, 1]).await.unwrap();
        while committer.commit(&read(&stands, to), || Duration::ZERO).await.is_err() {
            failed = true;
            if successor {
                committer =
                    Committer::open(&through(&store, path), "t", Origin::Events, TOPIC).await.unwrap();
            }
            stands = committer.stands(&[0, 1]).await.unwrap();
        }
    }
    assert_whole(path, 2, 30).await;
    failed
}

#[tokio::test]
async fn a_failure_at_any_write_loses_no_row_and_doubles_none() {
    for (when, successor) in [(When::Before, false), (When::After, true)] {
        let mut at = 0;
        while survive(at, when, successor).await {
            at += 1;
        }
        // A file a day and table, and a commit a table: ten for the first slice, eight for the second.
        assert_eq!(at, 18, "{when:?}");
    }
}

#[tokio::test]
async fn an_owner_that_was_overtaken_commits_nothing_before_and_after_it_looks() {
    let folder_of_lake = tempfile::tempdir().unwrap();
    let path = folder_of_lake.path();
    let mut zombie = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
    let stands = zombie.stands(&[0, 1]).await.unwrap();
    zombie.commit(&read(&stands, 10), || Duration::ZERO).await.unwrap();
    let known: BTreeMap<i32, Stand> = [0, 1]
        .map(|partition| (partition, Origin::Events.tables().iter().map(|table| (*table, 10)).collect()))
        .into();
    let late = read(&known, 15);

    let mut heir = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
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
        let mut committer = Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap();
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
