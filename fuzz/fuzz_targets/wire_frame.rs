//! A frame is refused, or taken apart to what can be put together again.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use treble_schemas::frame::{Format, split, write_header};

fuzz_target!(|input: &[u8]| {
    let value = Bytes::copy_from_slice(input);
    for format in [Format::Protobuf, Format::Avro] {
        let Ok(frame) = split(&value, format) else { continue };
        assert!(value.ends_with(&frame.body));
        let mut again = Vec::new();
        write_header(&mut again, frame.schema_id, format);
        again.extend_from_slice(&frame.body);
        assert_eq!(split(&Bytes::from(again), format), Ok(frame));
    }
});
