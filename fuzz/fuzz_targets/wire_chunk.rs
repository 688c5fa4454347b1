//! A chunk is refused, or says the same again after it was written and read.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_schemas::AudioChunk;

fuzz_target!(|input: &[u8]| {
    match AudioChunk::decode(Bytes::copy_from_slice(input)) {
        Ok(chunk) => assert_eq!(AudioChunk::decode(chunk.encode_to_vec().into()), Ok(chunk)),
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
});
