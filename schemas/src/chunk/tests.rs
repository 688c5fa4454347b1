use super::*;
use proptest::prelude::*;

fn message() -> proto::AudioChunk {
    proto::AudioChunk {
        stream_id: "clip".into(),
        seq: 3,
        kind: ChunkKind::Data.into(),
        data: Bytes::from_static(b"123456789"),
        ..proto::AudioChunk::default()
    }
}

fn check(change: impl FnOnce(&mut proto::AudioChunk), expected: &str) {
    let mut message = message();
    change(&mut message);
    let outcome = AudioChunk::decode_within(message.encode_to_vec().into(), 9);
    assert_eq!(outcome.as_ref().map_or_else(ChunkError::code, |_| "ok"), expected, "{outcome:?}");
}

#[test]
fn each_fault_has_its_own_code() {
    check(|_| {}, "ok");
    check(|m| m.stream_id.clear(), "chunk_stream_id");
    check(|m| m.kind = 0, "chunk_unknown_kind");
    check(|m| m.kind = 99, "chunk_unknown_kind");
    check(|m| m.encoding = 99, "chunk_unknown_encoding");
    check(|m| m.kind = ChunkKind::Start.into(), "chunk_missing_format");
    check(|m| m.kind = ChunkKind::End.into(), "chunk_unexpected_data");
    check(|m| m.kind = ChunkKind::Abort.into(), "chunk_unexpected_data");
    check(|m| m.data = Bytes::from_static(b"1234567890"), "chunk_too_large");
    // The check value of CRC-32C (RFC 3720, appendix B.4; the catalogue's "123456789").
    check(|m| m.crc32c = Some(0xe306_9283), "ok");
    check(|m| m.crc32c = Some(0xe306_9284), "chunk_crc");
}

#[test]
fn end_and_abort_without_detail_are_read() {
    let clear = |m: &mut proto::AudioChunk| m.data.clear();
    check(|m| (clear(m), m.kind = ChunkKind::End.into()).1, "ok");
    check(|m| (clear(m), m.kind = ChunkKind::Abort.into()).1, "ok");
}

#[test]
fn the_data_is_a_slice_of_the_record() {
    let record = Bytes::from(message().encode_to_vec());
    let chunk = AudioChunk::decode(record.clone()).unwrap();
    let ChunkBody::Data { segment, .. } = chunk.body else { panic!("a DATA chunk") };
    assert!(record.as_ptr_range().contains(&segment.data.as_ptr()), "copied");
}

#[test]
fn the_key_is_the_stream_id() {
    let chunk = AudioChunk::decode(message().encode_to_vec().into()).unwrap();
    assert_eq!(chunk.check_key(b"clip"), Ok(()));
    assert_eq!(chunk.check_key(b"other").unwrap_err().code(), "chunk_key_mismatch");
}

fn segments() -> impl Strategy<Value = Segment> {
    let data = proptest::collection::vec(any::<u8>(), 0..64);
    (any::<(u64, u64, bool, u32, u32)>(), 0..4_i32, data).prop_map(|(numbers, encoding, data)| Segment {
        pts_samples: numbers.0,
        n_samples: numbers.1,
        discontinuity: numbers.2,
        trim_start: numbers.3,
        trim_end: numbers.4,
        encoding: Encoding::try_from(encoding).unwrap(),
        data: data.into(),
    })
}

fn formats() -> impl Strategy<Value = AudioFormat> {
    (".{0,20}", any::<(u32, u32, bool)>()).prop_map(|(codec, (sample_rate_hz, channels, live))| AudioFormat {
        codec,
        sample_rate_hz,
        channels,
        live,
        ..AudioFormat::default()
    })
}

fn bodies() -> impl Strategy<Value = ChunkBody> {
    prop_oneof![
        (formats(), segments()).prop_map(|(format, segment)| ChunkBody::Start { format, segment }),
        (proptest::option::of(formats()), segments())
            .prop_map(|(format, segment)| ChunkBody::Data { format, segment }),
        any::<(u64, u64, Option<u32>)>().prop_map(|(samples, bytes, crc32c)| ChunkBody::End(Totals {
            samples,
            bytes,
            crc32c
        })),
        (".{0,20}", ".{0,20}", ".{0,20}")
            .prop_map(|(code, message, stage)| { ChunkBody::Abort(AbortReason { code, message, stage }) }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        id in "[a-zA-Z0-9 äö/.-]{1,40}", seq: u64, capture_time_us: i64, body in bodies(),
    ) {
        let chunk =
            AudioChunk { stream_id: StreamId::new(id).unwrap(), seq, capture_time_us, source: None, body };
        let mut wire = b"frame".to_vec();
        chunk.encode(&mut wire);
        prop_assert_eq!(&wire[5..], &chunk.encode_to_vec()[..]);
        prop_assert_eq!(AudioChunk::decode(Bytes::from(wire).slice(5..)), Ok(chunk));
    }

    #[test]
    fn hostile_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
        if let Ok(chunk) = AudioChunk::decode(body.into()) {
            prop_assert_eq!(AudioChunk::decode(chunk.encode_to_vec().into()), Ok(chunk));
        }
    }

    #[test]
    fn a_damaged_message_never_panics(at: prop::sample::Index, bit in 0..8_u8) {
        let mut wire = message().encode_to_vec();
        let at = at.index(wire.len());
        wire[at] ^= 1 << bit;
        drop(AudioChunk::decode(wire.into()));
    }
}
