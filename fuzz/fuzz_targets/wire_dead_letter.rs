//! Headers are no dead letter, or one that says the same again after it was written and read; the original's headers
//! are kept as they are.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_schemas::dead_letter::{DeadLetter, Header, attempts, original_headers, replay_headers};

/// Lines of `name:value`, or of `name` alone for a header without a value.
fn headers(input: &[u8]) -> Vec<Header> {
    let lines = input.split(|byte| *byte == b'\n').map(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let name = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
        Header { name, value: parts.next().map(Bytes::copy_from_slice) }
    });
    lines.collect()
}

fuzz_target!(|input: &[u8]| {
    let headers = headers(input);
    let original = original_headers(&headers);
    let _count = attempts(&replay_headers(&headers));
    if let Ok(letter) = DeadLetter::from_headers(&headers) {
        let again = letter.headers(&original);
        let read = DeadLetter::from_headers(&again).expect("what was written is read");
        assert_eq!(read.headers(&original), again, "the second time nothing is shortened any more");
        assert_eq!(original_headers(&again), original);
    }
});
