//! A lake of fifty million rows, written by the product's own committer.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Date32Type, Int64Type, TimestampMicrosecondType};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use treble_analyse::commit::{Committer, Move, Outcome, Slice};
use treble_analyse::lake::Location;
use treble_analyse::rows::{Decoder, Record, Rows};
use treble_analyse::tables::{EVENT_DATE, KAFKA_OFFSET, Origin, Table};
use treble_bench_support::events::stage_event;
use treble_schemas::Contract;
use treble_schemas::event::Event;
use treble_schemas::frame::{Format, write_header};

/// Rows of one commit, and of one day.
const ROWS_EACH: u32 = 1_000_000;
const COMMITS: u32 = 50;
/// Rows in all.
pub(crate) const ROWS: u64 = ROWS_EACH as u64 * COMMITS as u64;
const DAY_US: i64 = 86_400_000_000;
const TOPIC: &str = "bench.events";
const PARTITION: i32 = 0;

/// Writes them to `folder`: what a pipeline tells in a quarter of an hour, on fifty days.
pub(crate) async fn fill(folder: &Path) -> Result<()> {
    let first = first_day()?;
    let location = Location::parse(&folder.to_string_lossy())?;
    let mut committer = Committer::open(&location, "bench", Origin::Events, TOPIC).await?;
    for day in 0..COMMITS {
        let from = committer.stands(&[PARTITION]).await?.remove(&PARTITION).context("asked for")?;
        let rows = Rows::from([(Table::StageEvents, on_day(&first, day)?)]);
        let moved = Move { from, to: i64::from(ROWS_EACH) * i64::from(day + 1) };
        let slice = Slice { rows, moves: BTreeMap::from([(PARTITION, moved)]) };
        let outcome = committer.commit(&slice, || Duration::ZERO).await?;
        ensure!(matches!(outcome, Outcome::Committed(_)), "{outcome:?}");
    }
    Ok(())
}

fn first_day() -> Result<RecordBatch> {
    const SCHEMA: u32 = 1;
    let mut decoder = Decoder::new();
    decoder.learn(SCHEMA, Some(Contract::StageEvent.text()));
    for number in 0..ROWS_EACH {
        let event = stage_event(number);
        let mut value = Vec::with_capacity(256);
        write_header(&mut value, SCHEMA, Format::Avro);
        value.extend(event.encode()?);
        decoder.push(Record {
            partition: PARTITION,
            offset: i64::from(number),
            timestamp_ms: event.event_time_us / 1_000,
            key: Some(Bytes::from(event.stream_id)),
            value: Some(Bytes::from(value)),
        });
    }
    decoder.flush()?.remove(&Table::StageEvents).context("every record is an event")
}

/// `first` as of so many days later.
fn on_day(first: &RecordBatch, day: u32) -> Result<RecordBatch> {
    let (days, behind) = (i64::from(day), i64::from(day) * i64::from(ROWS_EACH));
    let mut columns = first.columns().to_vec();
    let mut change = |name: &str, change: &dyn Fn(&ArrayRef) -> ArrayRef| -> Result<()> {
        let index = first.schema().index_of(name)?;
        columns[index] = change(&columns[index]);
        Ok(())
    };
    change("event_time", &|column| {
        let times = column.as_primitive::<TimestampMicrosecondType>();
        let later = times.unary::<_, TimestampMicrosecondType>(|time| time + days * DAY_US);
        Arc::new(later.with_data_type(column.data_type().clone()))
    })?;
    change(EVENT_DATE, &|column| {
        Arc::new(column.as_primitive::<Date32Type>().unary::<_, Date32Type>(|date| date + day.cast_signed()))
    })?;
    change(KAFKA_OFFSET, &|column| {
        Arc::new(column.as_primitive::<Int64Type>().unary::<_, Int64Type>(|offset| offset + behind))
    })?;
    Ok(RecordBatch::try_new(first.schema(), columns)?)
}
