use super::*;
use crate::runtime::fakes::{GRID3, GRID4, blueprint, payload};
use bytes::Bytes;

/// Pieces that meet a grid of 4 after the second and the fourth, and a grid of 3 rarely.
const PIECES: [&str; 6] = ["ab", "cd", "efghi", "jkl", "m", "nopqrs"];

fn data(output: ChainOutput) -> Vec<Bytes> {
    let bytes = |item| match item {
        AnyPayload::Encoded(chunk) => chunk.data,
        AnyPayload::Pcm(_) => panic!("the fakes emit bytes"),
    };
    output.items.into_iter().map(bytes).collect()
}

fn drive(chain: &mut Chain, pieces: &[&str]) -> Vec<Bytes> {
    let mut items = Vec::new();
    for piece in pieces {
        items.extend(data(chain.push(payload(piece)).unwrap()));
    }
    items.extend(data(chain.finish().unwrap()));
    items
}

fn fused() -> Blueprint {
    blueprint(&[&GRID4, &GRID3])
}

#[test]
fn fused_stages_emit_what_they_emit_one_after_the_other() {
    let whole = drive(&mut Chain::resume(&fused(), &ChainRestart::default()).unwrap(), &PIECES);
    assert_eq!(whole.concat(), b"cdefghijklmnopqrstu", "each of the two stages adds 1");
    assert_eq!(whole[0], "", "the first item announces the format");
    assert!(whole[1..whole.len() - 1].iter().all(|item| item.len() == 3));
}

#[test]
fn a_chain_resumed_at_any_moment_continues_with_the_item_that_is_needed() {
    let blueprint = fused();
    let whole = drive(&mut Chain::resume(&blueprint, &ChainRestart::default()).unwrap(), &PIECES);
    let mut chain = Chain::resume(&blueprint, &ChainRestart::default()).unwrap();
    let mut moved = false;
    for (pushed, piece) in PIECES.iter().enumerate() {
        chain.push(payload(piece)).unwrap();
        chain.note_restarts();
        let needed = chain.emitted();
        let restart = chain.restart(needed);
        assert!(restart.input() <= pushed as u64 + 1 && restart.output() <= needed);
        moved |= restart.input() > 0;
        let mut successor = Chain::resume(&blueprint, &restart).unwrap();
        let again = drive(&mut successor, &PIECES[restart.input() as usize..]);
        assert_eq!(again, whole[restart.output() as usize..], "after piece {pushed}, from {restart:?}");
    }
    assert!(moved, "the restart point moves forward");
}

#[test]
fn an_operator_skips_what_its_restart_point_has_consumed_already() {
    let at = |input, output| Restart { input, output, checkpoint: Bytes::new() };
    let check = |points: Vec<Restart>, expect: &[u64]| {
        let restart = ChainRestart { operators: points };
        assert_eq!(inputs_to_skip(restart.operators.len(), &restart), expect);
    };
    check(vec![at(5, 10), at(10, 3)], &[0, 0]);
    check(vec![at(5, 10), at(14, 3), at(3, 9)], &[0, 4, 0]);
    assert_eq!(inputs_to_skip(3, &ChainRestart::default()), [0, 0, 0]);
}

#[test]
fn each_operator_restarts_where_its_successor_still_finds_what_it_needs() {
    let mut chain = Chain::resume(&fused(), &ChainRestart::default()).unwrap();
    for piece in ["abcd", "efgh", "ijkl"] {
        chain.push(payload(piece)).unwrap();
        chain.note_restarts();
    }
    let early = chain.restart(1);
    assert_eq!((early.input(), early.output()), (0, 1), "only the beginning yields the first stage's item 1");
    assert_eq!(inputs_to_skip(2, &early), [0, 1], "the announcement was consumed");
    let late = chain.restart(5);
    let points: Vec<_> = late.operators.iter().map(|point| (point.input, point.output)).collect();
    assert_eq!(points, [(3, 4), (4, 5)], "twelve bytes lie on both grids");
}

#[test]
fn a_panic_in_a_stage_is_an_error_of_that_stage() {
    let mut chain = Chain::resume(&fused(), &ChainRestart::default()).unwrap();
    let error = chain.push(payload("!")).unwrap_err();
    assert_eq!((error.stage, error.error.code()), ("grid4", "panicked"));
}
