//! Any bytes, in any cut, end in output or in a typed error, alike for each cut.
#![no_main]

mod stream;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_core::{Assets, EncodedChunk, laws};
use treble_decode::DecodeStage;

fuzz_target!(|input: &[u8]| {
    let Some(pieces) = stream::stream(input) else { return };
    let whole = EncodedChunk { data: Bytes::copy_from_slice(input), ..pieces[0].clone() };
    let (config, assets) = (stream::config(), Assets::default());
    laws::total::<DecodeStage>(&config, &assets, &pieces);
    laws::blind_to_cuts::<DecodeStage>(&config, &assets, &[whole], &pieces);
});
