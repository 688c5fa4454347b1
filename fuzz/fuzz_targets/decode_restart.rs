//! Whatever plays is continued exactly by a successor, wherever its predecessor was lost.
#![no_main]

mod stream;

use libfuzzer_sys::fuzz_target;
use treble_core::{Assets, Outbox, Stage, laws};
use treble_decode::DecodeStage;

fuzz_target!(|input: &[u8]| {
    let Some(pieces) = stream::stream(input) else { return };
    let (config, assets) = (stream::config(), Assets::default());
    let Ok(whole) = laws::run::<DecodeStage>(&config, &assets, &pieces) else { return };
    let stage = || DecodeStage::new(&config, &assets).expect("the limits are positive");
    let mut lost = stage();
    let upto = pieces.len() - input.len() % pieces.len();
    for piece in &pieces[..upto] {
        lost.push(piece.clone(), &mut Outbox::default()).expect("the stream plays");
    }
    let restart = lost.restart();
    let mut successor = stage();
    successor.restore(&restart.checkpoint).expect("its own checkpoint is usable");
    let rest = &pieces[restart.input as usize..];
    let again = laws::run_on(&mut successor, &assets, rest).expect("what plays goes on");
    assert!(again == whole[restart.output as usize..], "lost after {upto} pieces");
});
