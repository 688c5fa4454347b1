//! A state record is refused, or says the same again after it was written and read.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_schemas::StreamState;

fuzz_target!(|input: &[u8]| {
    match StreamState::from_wire(Bytes::copy_from_slice(input)) {
        Ok(state) => {
            let again = state.to_wire().expect("what was accepted can be written");
            assert_eq!(StreamState::from_wire(again.into()), Ok(state));
        }
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
});
