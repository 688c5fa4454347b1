use super::*;
use crate::tables::{KAFKA_OFFSET, RAW, comment};
use bytes::Bytes;
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;

const PUBLISHED_MS: i64 = 1_800_000_000_000;

fn record(offset: i64, value: &[u8]) -> Record {
    let value = Some(Bytes::copy_from_slice(value));
    Record { partition: 3, offset, timestamp_ms: PUBLISHED_MS, key: None, value }
}

fn rows(values: &[&str]) -> RecordBatch {
    let mut decoder = Decoder::default();
    for (offset, value) in values.iter().enumerate() {
        decoder.push(record(offset as i64, value.as_bytes())).unwrap();
    }
    assert_eq!(decoder.rows(), values.len());
    decoder.flush().unwrap().rows
}

/// Row 0 of the column `name`, as text; `-` where there is nothing.
fn cell(rows: &RecordBatch, name: &str) -> String {
    let column = rows.column_by_name(name).unwrap();
    if column.is_null(0) {
        return "-".to_owned();
    }
    if let Some(texts) = column.as_string_opt::<i32>() {
        return texts.value(0).to_owned();
    }
    if let Some(numbers) = column.as_primitive_opt::<Int64Type>() {
        return numbers.value(0).to_string();
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return numbers.value(0).to_string();
    }
    column.as_primitive::<TimestampMicrosecondType>().value(0).to_string()
}

#[test]
fn a_line_is_a_row_with_its_fields_as_columns() {
    let line = r#"{"time":"2026-11-26T22:15:00.123456Z","level":"WARN","target":"treble_pipeline::lag","message":"m","component":"decode",
        "instance":"a","pipeline":"treble","event":"dead_letter","duration_seconds":2,"record_partition":4,"record_offset":17,
        "trace_id":"0af7651916cd43dd8448eb211c80319c","attributes":{"group":"treble.decode"}}"#;
    let rows = rows(&[line]);
    for (name, expect) in [
        ("time", "1795731300123456"),
        ("level", "WARN"),
        ("event", "dead_letter"),
        ("duration_seconds", "2"),
        ("record_offset", "17"),
        ("stage", "-"),
        ("attributes", r#"{"group":"treble.decode"}"#),
        (RAW, "-"),
        (KAFKA_OFFSET, "0"),
        ("kafka_timestamp", "1800000000000000"),
    ] {
        assert_eq!(cell(&rows, name), expect, "{name}");
    }
}

#[test]
fn what_no_field_can_hold_is_kept_among_the_attributes() {
    let line = r#"{"time":"2026-11-26T22:15:00Z","level":5,"record_offset":"17","attributes":{"place":"x"},"pod":"decode-0"}"#;
    let rows = rows(&[line]);
    assert_eq!((cell(&rows, "level"), cell(&rows, "record_offset")), ("-".to_owned(), "-".to_owned()));
    let kept = r#"{"level":5,"place":"x","pod":"decode-0","record_offset":"17"}"#;
    assert_eq!(cell(&rows, "attributes"), kept);
}

#[test]
fn what_is_no_line_is_kept_as_it_came() {
    for value in [
        "",
        "plain text",
        "[1]",
        "{}",
        r#"{"time":"yesterday","level":"INFO"}"#,
        r#"{"time":"9999-01-01T00:00:00Z"}"#,
    ] {
        let rows = rows(&[value]);
        assert_eq!((cell(&rows, RAW).as_str(), cell(&rows, "level").as_str()), (value, "-"));
        assert_eq!(cell(&rows, "time"), "1800000000000000", "when it was published");
    }
}

#[test]
fn the_newest_canary_is_told_once() {
    let mut decoder = Decoder::default();
    for (offset, second) in [5, 9, 7].into_iter().enumerate() {
        let line = format!(r#"{{"time":"2026-11-26T22:15:0{second}Z","event":"log_canary"}}"#);
        decoder.push(record(offset as i64, line.as_bytes())).unwrap();
    }
    assert_eq!(decoder.flush().unwrap().newest_canary_us, Some(1_795_731_309_000_000));
    decoder.push(record(3, br#"{"time":"2026-11-26T22:15:00Z","event":"started"}"#)).unwrap();
    assert_eq!(decoder.flush().unwrap().newest_canary_us, None);
    decoder.push(record(4, b"dropped")).unwrap();
    decoder.discard();
    assert_eq!((decoder.rows(), decoder.bytes(), decoder.flush().unwrap().rows.num_rows()), (0, 0, 0));
}

#[test]
fn every_field_of_a_line_is_a_documented_column() {
    let schema = Table::Logs.schema();
    for (at, field) in FIELDS.iter().enumerate() {
        assert_eq!(schema.field(at).name(), field.name);
        assert!(comment(schema.field(at)).is_some());
    }
    assert_eq!(schema.field(FIELDS.len()).name(), RAW);
}

proptest! {
    #[test]
    fn every_record_is_one_row_whatever_it_holds(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..40)) {
        let mut decoder = Decoder::default();
        for (offset, value) in values.iter().enumerate() {
            decoder.push(record(offset as i64, value)).unwrap();
        }
        let rows = decoder.flush().unwrap().rows;
        prop_assert_eq!(rows.num_rows(), values.len());
        let offsets = rows[KAFKA_OFFSET].as_primitive::<Int64Type>();
        prop_assert!(offsets.values().iter().copied().eq(0..values.len() as i64));
    }
}
