//! A topic of events that was never on a Kafka, and lakes that it is stored in.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::prelude::SessionContext;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use treble_analyse::commit::{Move, Slice, Stand};
use treble_analyse::lake::{Lake, Location};
use treble_analyse::rows::{Decoder, Record};
use treble_analyse::tables::{Origin, Table};
use treble_schemas::Contract;
use treble_schemas::event::{Event, StageEvent, StreamReport};
use treble_schemas::frame::{Format, write_header};

pub(crate) const TOPIC: &str = "t.events";

/// The record at `offset`: mostly an event, sometimes a report, sometimes nonsense; three days in turn.
fn record(partition: i32, offset: i64) -> Record {
    let event_time_us = 1_700_000_000_000_000 + (offset % 3) * 86_400_000_000;
    let stream_id = format!("s{partition}");
    let (id, datum) = match offset % 7 {
        3 => (2, StreamReport { event_time_us, stream_id, ..StreamReport::default() }.encode()),
        5 => (3, Ok(b"nonsense".to_vec())),
        _ => (1, StageEvent { event_time_us, stream_id, ..StageEvent::default() }.encode()),
    };
    let mut value = Vec::new();
    write_header(&mut value, id, Format::Avro);
    value.extend(datum.unwrap());
    Record { partition, offset, timestamp_ms: 1_700_000_000_000, key: None, value: Some(Bytes::from(value)) }
}

/// What is read of partitions that stand at `stands`, each up to the offset `to`.
pub(crate) fn read(stands: &BTreeMap<i32, Stand>, to: i64) -> Slice {
    let mut decoder = Decoder::new();
    decoder.learn(1, Some(Contract::StageEvent.text()));
    decoder.learn(2, Some(Contract::StreamReport.text()));
    decoder.learn(3, None);
    let mut moves = BTreeMap::new();
    for (&partition, stand) in stands {
        let stored = |table: &Table| stand.get(table).copied().unwrap_or(0);
        let from = Origin::Events.tables().iter().map(stored).min().unwrap();
        (from..to).for_each(|offset| decoder.push(record(partition, offset)));
        moves.insert(partition, Move { from: stand.clone(), to });
    }
    Slice { rows: decoder.flush().unwrap(), moves }
}

/// The lake in the folder `path`.
pub(crate) fn folder(path: &Path) -> Location {
    Location::parse(&path.to_string_lossy()).unwrap()
}

/// All rows of the lake, by partition and offset; a row that is there twice is a panic.
pub(crate) async fn stored(path: &Path) -> BTreeMap<Table, BTreeSet<(i32, i64)>> {
    let lake = Lake::open(&folder(path)).await.unwrap();
    let mut all = BTreeMap::new();
    for table in lake.tables() {
        let provider = lake.table(table).table_provider().await.unwrap();
        let rows: &mut BTreeSet<(i32, i64)> = all.entry(table).or_default();
        for batch in SessionContext::new().read_table(provider).unwrap().collect().await.unwrap() {
            let partitions = batch.column_by_name("kafka_partition").unwrap().as_primitive::<Int32Type>();
            let offsets = batch.column_by_name("kafka_offset").unwrap().as_primitive::<Int64Type>();
            for (partition, offset) in partitions.values().iter().zip(offsets.values()) {
                assert!(rows.insert((*partition, *offset)), "{}: {partition} {offset} twice", table.name());
            }
        }
    }
    all
}

pub(crate) async fn assert_whole(path: &Path, partitions: i32, to: i64) {
    let stored = stored(path).await;
    let expect: BTreeSet<(i32, i64)> =
        (0..partitions).flat_map(|partition| (0..to).map(move |offset| (partition, offset))).collect();
    let all: Vec<(i32, i64)> = stored.values().flatten().copied().collect();
    assert_eq!(all.len(), expect.len(), "each row is in one table");
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), expect);
    let unreadable = expect.iter().filter(|(_, offset)| offset % 7 == 5).count();
    assert_eq!(stored[&Table::Unreadable].len(), unreadable);
}
