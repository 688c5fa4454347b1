//! An event is refused, or says the same again after it was written and read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use treble_schemas::{Event, StageEvent, StreamReport};

fn check<E: Event>(input: &[u8]) {
    match E::decode(input) {
        Ok(event) => {
            let datum = event.encode().expect("what was read can be written");
            let again = E::decode(&datum).expect("what was written can be read");
            // By their bytes: a NaN is not equal to itself.
            assert_eq!(again.encode().expect("as before"), datum);
        }
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
}

fuzz_target!(|input: &[u8]| {
    check::<StageEvent>(input);
    check::<StreamReport>(input);
});
