//! The same promises in a bucket: rows and positions as one, the first of two commits wins, upkeep changes nothing.
//!
//! Run by `make buckets`, which names empty folders of buckets in `TREBLE_TEST_LAKES`, separated by spaces; how they are
//! reached is in the variables that every client of such a store reads.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod topic;

use std::path::Path;
use std::time::Duration;
use topic::{TOPIC, assert_whole, folder, read};
use treble_analyse::commit::{Committer, Outcome};
use treble_analyse::lake::Lake;
use treble_analyse::tables::Origin;
use treble_analyse::upkeep::{self, Day};
use treble_analyse::verify::{self, TableCheck};

/// A day behind all events of the topic.
const AFTER: Day = Day(20_000);

/// Two owners that both believe that they own both partitions; how often each was overtaken.
async fn quarrel(path: &Path) -> [u32; 2] {
    let mut owners = [
        Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap(),
        Committer::open(&folder(path), "t", Origin::Events, TOPIC).await.unwrap(),
    ];
    let mut overtaken = [0; 2];
    for to in [10, 20, 30, 40] {
        let mut slices = Vec::new();
        for owner in &mut owners {
            slices.push(read(&owner.stands(&[0, 1]).await.unwrap(), to));
        }
        let [first, second] = &mut owners;
        let outcomes = tokio::join!(
            first.commit(&slices[0], || Duration::ZERO),
            second.commit(&slices[1], || Duration::ZERO)
        );
        for (outcome, overtaken) in [outcomes.0, outcomes.1].into_iter().zip(&mut overtaken) {
            *overtaken += u32::from(matches!(outcome.unwrap(), Outcome::Overtaken { .. }));
        }
        // Where each won a table, both stopped there: the rest is read again.
        let stands = owners[0].stands(&[0, 1]).await.unwrap();
        owners[0].commit(&read(&stands, to), || Duration::ZERO).await.unwrap();
        assert_whole(path, 2, to).await;
    }
    overtaken
}

#[tokio::test]
#[ignore = "run by make buckets"]
#[expect(
    clippy::disallowed_methods,
    reason = "which stores there are is a question to whoever starts the test"
)]
async fn a_bucket_keeps_the_promises_of_a_folder() {
    let lakes = std::env::var("TREBLE_TEST_LAKES").expect("run by make buckets");
    for lake in lakes.split_whitespace() {
        let path = Path::new(lake);
        let overtaken = quarrel(path).await;
        assert!(overtaken.iter().sum::<u32>() >= 4, "{lake}: of two commits one is refused: {overtaken:?}");
        let mut opened = Lake::open(&folder(path)).await.unwrap();
        let joined = upkeep::optimize(&mut opened, AFTER).await.unwrap();
        assert!(joined[0].removed > joined[0].added, "{lake}: {joined:?}");
        upkeep::vacuum(&mut opened, false).await.unwrap();
        let opened = Lake::open(&folder(path)).await.unwrap();
        let (checks, _) = verify::verify(&opened, "t", (Origin::Events, TOPIC), 2).await.unwrap();
        assert!(checks.iter().all(TableCheck::is_sound), "{lake}: {checks:?}");
        assert_eq!(checks.iter().map(|check| check.rows).sum::<u64>(), 80);
        println!("{lake}: rows=80 lost=0 doubled=0 overtaken={overtaken:?}");
    }
}
