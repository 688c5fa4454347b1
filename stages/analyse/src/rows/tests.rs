//! What becomes of records.

use super::*;
use crate::tables::{EVENT_DATE, KAFKA_OFFSET};
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Date32Type, Float64Type, Int64Type};
use proptest::prelude::*;
use treble_schemas::event::{Event, Mode, StageEvent, Status, StreamReport};
use treble_schemas::frame::write_header;
use treble_schemas::{Contract, frame::Format};

const EVENT: u32 = 7;
const REPORT: u32 = 9;
const OLD: u32 = 11;
const FOREIGN: u32 = 13;

fn framed(id: u32, datum: &[u8]) -> Bytes {
    let mut value = Vec::new();
    write_header(&mut value, id, Format::Avro);
    value.extend_from_slice(datum);
    value.into()
}

fn record(offset: i64, value: Option<Bytes>) -> Record {
    Record {
        partition: 2,
        offset,
        timestamp_ms: 1_700_000_000_000,
        key: Some(Bytes::from_static(b"s")),
        value,
    }
}

fn event(stream: &str) -> StageEvent {
    StageEvent {
        event_time_us: 1_700_000_000_123_456,
        stream_id: stream.to_owned(),
        stage: "decode".to_owned(),
        status: Status::Finished,
        mode: Mode::Ai,
        audio_seconds: 1.5,
        ..StageEvent::default()
    }
}

/// Our schema before `model_version` came.
fn older() -> String {
    let mut schema: serde_json::Value = serde_json::from_str(Contract::StageEvent.text()).unwrap();
    schema["fields"].as_array_mut().unwrap().retain(|field| field["name"] != "model_version");
    schema.to_string()
}

fn decoder() -> Decoder {
    let mut decoder = Decoder::new();
    decoder.learn(EVENT, Some(Contract::StageEvent.text()));
    decoder.learn(REPORT, Some(Contract::StreamReport.text()));
    decoder.learn(OLD, Some(&older()));
    decoder.learn(FOREIGN, Some(r#"{"type":"record","name":"Order","namespace":"acme","fields":[]}"#));
    decoder
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_string::<i32>();
    column.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
}

fn offsets(rows: &Rows, table: Table) -> Vec<i64> {
    let Some(batch) = rows.get(&table) else { return Vec::new() };
    batch.column_by_name(KAFKA_OFFSET).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn events_and_reports_are_told_apart_by_their_schema() {
    let mut decoder = decoder();
    decoder.push(record(0, Some(framed(EVENT, &event("a").encode().unwrap()))));
    let report = StreamReport { stream_id: "a".into(), event_time_us: 5, gaps: 3, ..StreamReport::default() };
    decoder.push(record(1, Some(framed(REPORT, &report.encode().unwrap()))));
    assert_eq!(decoder.rows(), 2);
    let rows = decoder.flush().unwrap();
    let events = &rows[&Table::StageEvents];
    assert_eq!(events.schema(), Table::StageEvents.schema());
    assert_eq!(
        ["stream_id", "status", "mode", "error_type"].map(|name| texts(events, name)[0].clone()),
        ["a", "finished", "ai", "-"]
    );
    assert_eq!(events.column_by_name("audio_seconds").unwrap().as_primitive::<Float64Type>().value(0), 1.5);
    assert_eq!(events.column_by_name(EVENT_DATE).unwrap().as_primitive::<Date32Type>().value(0), 19_675);
    assert_eq!(offsets(&rows, Table::StreamReports), [1]);
    assert_eq!((decoder.rows(), decoder.flush().unwrap().len()), (0, 0), "once");
}

#[test]
fn an_older_writer_is_resolved_to_todays_columns() {
    let mut decoder = decoder();
    let full = event("old").encode().unwrap();
    let named = StageEvent { model_version: Some("1".into()), ..event("old") }.encode().unwrap();
    // The byte that says whether there is a model_version.
    let at = full.iter().zip(&named).position(|(none, some)| none != some).unwrap();
    let older_event = [&full[..at], &full[at + 1..]].concat();
    decoder.push(record(4, Some(framed(OLD, &older_event))));
    decoder.push(record(5, Some(framed(EVENT, &full))));
    let rows = decoder.flush().unwrap();
    let events = &rows[&Table::StageEvents];
    assert_eq!(texts(events, "stream_id"), ["old", "old"]);
    assert_eq!(texts(events, "model_version"), ["-", "-"]);
}

#[test]
fn what_cannot_be_read_is_a_row_with_the_reason_and_its_neighbours_are_rows_too() {
    let mut decoder = decoder();
    let good = event("good").encode().unwrap();
    let cut = &good[..good.len() - 3];
    let long = [&good[..], b"xx"].concat();
    let late = StageEvent { event_time_us: i64::MAX, ..event("late") }.encode().unwrap();
    let values = [
        (Some(framed(EVENT, &good)), ""),
        (Some(framed(EVENT, cut)), "event_avro"),
        (None, "no_value"),
        (Some(Bytes::from_static(b"{}")), "not_framed"),
        (Some(Bytes::from_static(b"\0\0")), "frame_truncated"),
        (Some(framed(99, &good)), "schema_unknown"),
        (Some(framed(FOREIGN, &good)), "schema_foreign"),
        (Some(framed(EVENT, &long)), "event_trailing_bytes"),
        (Some(framed(EVENT, &late)), "event_time"),
        (Some(framed(EVENT, &vec![0; 70_000])), "event_too_large"),
        (Some(framed(EVENT, &good)), ""),
    ];
    for (offset, (value, _)) in values.iter().enumerate() {
        decoder.push(record(offset as i64, value.clone()));
    }
    let rows = decoder.flush().unwrap();
    assert_eq!(offsets(&rows, Table::StageEvents), [0, 10]);
    let unreadable = &rows[&Table::Unreadable];
    let found: std::collections::BTreeMap<i64, String> =
        offsets(&rows, Table::Unreadable).into_iter().zip(texts(unreadable, "reason")).collect();
    for (offset, (value, reason)) in values.iter().enumerate() {
        let expect = (!reason.is_empty()).then(|| (*reason).to_owned());
        assert_eq!(found.get(&(offset as i64)), expect.as_ref(), "{offset}: {value:?}");
    }
    let kept = unreadable.column_by_name("value").unwrap().as_binary::<i32>();
    let whole = offsets(&rows, Table::Unreadable).iter().position(|offset| *offset == 1).unwrap();
    assert_eq!(kept.value(whole), &framed(EVENT, cut)[..], "as it came");
    assert!(texts(unreadable, "detail").iter().all(|detail| !detail.is_empty()));
}

#[test]
fn an_id_is_asked_for_once() {
    let decoder = decoder();
    assert_eq!(decoder.unknown_schema(Some(&framed(EVENT, b""))), None);
    assert_eq!(decoder.unknown_schema(Some(&framed(1, b""))), Some(1));
    assert_eq!(decoder.unknown_schema(Some(&Bytes::from_static(b"RIFF"))), None);
    assert_eq!(decoder.unknown_schema(None), None);
}

#[test]
fn more_records_than_are_decoded_at_once_keep_their_order() {
    let mut decoder = decoder();
    for offset in 0..3000 {
        decoder.push(record(offset, Some(framed(EVENT, &event("many").encode().unwrap()))));
    }
    let rows = decoder.flush().unwrap();
    assert_eq!(offsets(&rows, Table::StageEvents), (0..3000).collect::<Vec<_>>());
}

#[test]
fn a_memory_full_of_foreign_ids_loses_no_record() {
    let mut decoder = decoder();
    decoder.push(record(0, Some(framed(EVENT, &event("kept").encode().unwrap()))));
    for id in 100..2000 {
        decoder.learn(id, None);
    }
    assert_eq!(offsets(&decoder.flush().unwrap(), Table::StageEvents), [0]);
    assert_eq!(decoder.unknown_schema(Some(&framed(EVENT, b""))), Some(EVENT), "it is asked for again");
}

proptest! {
    #[test]
    fn any_bytes_are_one_row(values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20)) {
        let mut decoder = decoder();
        for (offset, datum) in values.iter().enumerate() {
            let id = [EVENT, REPORT, OLD][offset % 3];
            decoder.push(record(offset as i64, Some(framed(id, datum))));
        }
        let rows = decoder.flush().unwrap();
        let mut all: Vec<i64> = Table::ALL.iter().flat_map(|table| offsets(&rows, *table)).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..values.len() as i64).collect::<Vec<_>>());
    }

    #[test]
    fn an_event_with_a_byte_changed_is_one_row(at in 0..80_usize, to: u8) {
        let mut datum = event("changed").encode().unwrap();
        let at = at % datum.len();
        datum[at] = to;
        let mut decoder = decoder();
        decoder.push(record(0, Some(framed(EVENT, &datum))));
        let rows = decoder.flush().unwrap();
        prop_assert_eq!(rows.values().map(RecordBatch::num_rows).sum::<usize>(), 1);
    }
}
