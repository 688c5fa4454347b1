//! Seeded simulation: the real worker, partitions and stages over ports in memory, in one thread and in virtual time.
//!
//! Every seed is a schedule: which worker, compute thread, transaction or restore moves next by one step, and where a
//! worker crashes, sleeps past its session, stops or starts, a transaction aborts, or its outcome stays unknown. Whenever
//! a transaction is settled the accounts must hold: streams gapless and single, dead letters once, positions that never
//! move back, states that tell what is out. Then everything recovers, and each stream must be what the uninterrupted run
//! gives, with nothing left in flight. Protocols broken on purpose show that the simulation sees what it is for.
//!
//! A failing seed is named; `TREBLE_SEED=n` runs that one alone.

#[path = "simulation/audit.rs"]
mod audit;
#[path = "simulation/chance.rs"]
mod chance;
#[path = "simulation/input.rs"]
mod input;
#[path = "simulation/stage.rs"]
mod stage;
#[path = "simulation/stations.rs"]
mod stations;
#[path = "simulation/verdict.rs"]
mod verdict;
#[path = "simulation/world.rs"]
mod world;

use chance::Chance;
use input::{Material, Scenario};
use stations::Protocol;
use world::World;

const SEEDS: u64 = 1_200;
/// Every so many seeds drive the real chain instead of the cheap stage.
const REAL_EVERY: u64 = 50;

fn scenario(seed: u64) -> Scenario {
    let material = if seed % REAL_EVERY == REAL_EVERY - 1 { Material::Audio } else { Material::Sums };
    Scenario::new(&mut Chance::new(seed), material)
}

/// What is wrong after the schedule of `seed`, if anything is.
fn fault_of(seed: u64, protocol: Protocol) -> Option<String> {
    let scenario = scenario(seed);
    let expected = World::undisturbed(&scenario).and_then(|world| verdict::of(&world));
    let disturbed = World::disturbed(&scenario, seed, protocol).and_then(|world| verdict::of(&world));
    match (expected, disturbed) {
        (Err(fault), _) => Some(format!("undisturbed: {fault}")),
        (_, Err(fault)) => Some(fault),
        (Ok(expected), Ok(found)) => expected.difference(&found),
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's wish to replay one seed is no configuration")]
fn wished_seed() -> Option<u64> {
    std::env::var("TREBLE_SEED").ok()?.parse().ok()
}

#[test]
fn whatever_happens_every_stream_comes_out_once_whole_and_as_if_nothing_had_happened() {
    let seeds = wished_seed().map_or(0..SEEDS, |seed| seed..seed + 1);
    let faults: Vec<String> = seeds
        .filter_map(|seed| {
            fault_of(seed, Protocol::Sound).map(|fault| format!("TREBLE_SEED={seed}: {fault}"))
        })
        .collect();
    assert!(faults.is_empty(), "{} seeds fail:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_seed_is_the_same_schedule_every_time() {
    let history = |seed| World::disturbed(&scenario(seed), seed, Protocol::Sound).unwrap().history();
    for seed in [1, 2, 3] {
        assert_eq!(history(seed), history(seed));
    }
}

#[test]
fn every_protocol_that_is_broken_on_purpose_is_noticed() {
    let unnoticed = |protocol: &Protocol| !(0..SEEDS).any(|seed| fault_of(seed, *protocol).is_some());
    let missed: Vec<Protocol> = Protocol::BROKEN.into_iter().filter(unnoticed).collect();
    assert!(missed.is_empty(), "no seed of {SEEDS} notices {missed:?}");
}

/// A worker sleeps over a submitted epoch while its session ends and another worker commits the same input; then it
/// loses its partitions, joins again, and its transaction runs. What is wrong in the end, if anything is.
fn overtaken(protocol: Protocol) -> Option<String> {
    let scenario = Scenario::new(&mut Chance::new(7), Material::Sums);
    let expected =
        World::undisturbed(&scenario).and_then(|world| verdict::of(&world)).expect("nothing happens");
    let mut world = World::new(&scenario, 7, protocol);
    world.start(0);
    world.publish_all();
    world.run_until_commit_is_asked(0);
    world.end_session(0);
    world.start(1);
    world.run_until_settled(&[1]).expect("nothing stands in the way of the other");
    world.turn_until_member(0);
    match world.run_until_settled(&[0, 1]).and_then(|()| verdict::of(&world)) {
        Ok(found) => expected.difference(&found),
        Err(fault) => Some(fault),
    }
}

#[test]
fn an_aborted_epoch_is_not_tried_again_once_its_partitions_were_lost() {
    assert_eq!(overtaken(Protocol::Sound), None);
}

#[test]
fn a_zombie_that_nobody_fences_is_noticed() {
    assert!(overtaken(Protocol::WithoutMembership).is_some());
}
