//! A state record is bytes from outside: any checkpoint is refused, or goes on with any bytes to output or an error.
#![no_main]

mod stream;

use libfuzzer_sys::fuzz_target;
use treble_core::{Assets, Outbox, Stage, StageError};
use treble_decode::DecodeStage;

fuzz_target!(|input: &[u8]| {
    let Some((length, rest)) = input.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (checkpoint, bytes) = rest.split_at(length);
    let Some(pieces) = stream::stream(bytes) else { return };
    let mut stage = DecodeStage::new(&stream::config(), &Assets::default()).expect("the limits are positive");
    let mut out = Outbox::default();
    let mut result = stage.restore(checkpoint);
    for piece in pieces {
        result = result.and_then(|()| stage.push(piece, &mut out));
    }
    let result = result.and_then(|()| stage.finish(&mut out));
    assert!(!matches!(result, Err(StageError::Panicked { .. })), "{result:?}");
});
