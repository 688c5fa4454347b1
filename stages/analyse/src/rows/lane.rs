//! The records of one writer's schema.

use super::unreadable::{Reason, Unreadable};
use super::{Record, shape};
use crate::tables::Table;
use arrow_avro::codec::Tz;
use arrow_avro::reader::{Decoder as AvroDecoder, ReaderBuilder};
use arrow_avro::schema::{AvroSchema, Fingerprint, FingerprintAlgorithm, SchemaStore};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use serde_json::Value;
use treble_schemas::event::MAX_EVENT_BYTES;

/// Records decoded at once. Where one of them is bad, all of them are decoded again, one by one.
const CHUNK: usize = 1024;

/// Decodes the records of one writer's schema.
pub(super) struct Lane {
    table: Table,
    id: u32,
    writer: AvroSchema,
    decoder: AvroDecoder,
    waiting: Vec<Record>,
}

impl std::fmt::Debug for Lane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lane").field("table", &self.table).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Lane {
    /// For what was written with the schema `text`, whose id is `id`.
    pub(super) fn new(id: u32, text: &str) -> Result<Self, Reason> {
        let record = full_name(text).ok_or(Reason::ForeignSchema)?;
        let table = Table::of_record(&record).ok_or(Reason::ForeignSchema)?;
        let writer = AvroSchema::new(text.to_owned());
        let decoder = decoder(table, id, &writer, CHUNK);
        let decoder = decoder.map_err(|error| Reason::Unresolvable(error.to_string()))?;
        Ok(Self { table, id, writer, decoder, waiting: Vec::with_capacity(CHUNK) })
    }

    pub(super) const fn table(&self) -> Table {
        self.table
    }

    /// Takes a record that is framed with this lane's id; whether it is time to [`settle`](Self::settle).
    pub(super) fn push(&mut self, record: Record) -> bool {
        self.waiting.push(record);
        self.waiting.len() >= CHUNK
    }

    pub(super) fn discard(&mut self) {
        self.waiting.clear();
    }

    /// The rows of all records that wait; those that cannot be read go to `unreadable`.
    pub(super) fn settle(&mut self, unreadable: &mut Vec<Unreadable>) -> Vec<RecordBatch> {
        let records = std::mem::take(&mut self.waiting);
        if records.is_empty() {
            return Vec::new();
        }
        match self.decode(&records) {
            Ok(batch) => vec![batch],
            Err(_) => self.one_by_one(records, unreadable),
        }
    }

    fn one_by_one(&mut self, records: Vec<Record>, unreadable: &mut Vec<Unreadable>) -> Vec<RecordBatch> {
        let mut batches = Vec::with_capacity(records.len());
        for record in records {
            // A decoder that has room for one record leaves what follows it.
            self.renew(1);
            match self.decode(std::slice::from_ref(&record)) {
                Ok(batch) => batches.push(batch),
                Err(reason) => unreadable.push(Unreadable::new(record, Some(self.id), reason)),
            }
        }
        self.renew(CHUNK);
        batches
    }

    /// Begins anew: a decoder that refused a record holds the columns that it had read of it.
    fn renew(&mut self, rows: usize) {
        self.decoder =
            decoder(self.table, self.id, &self.writer, rows).expect("it was built of the same before");
    }

    fn decode(&mut self, records: &[Record]) -> Result<RecordBatch, Reason> {
        for (index, record) in records.iter().enumerate() {
            let value: &[u8] = record.value.as_ref().map_or(&[], |value| value);
            if value.len() > MAX_EVENT_BYTES {
                return Err(Reason::TooLarge(value.len()));
            }
            let used = self.decoder.decode(value).map_err(|error| Reason::Avro(error.to_string()))?;
            if self.decoder.batch_size() - self.decoder.capacity() != index + 1 {
                return Err(Reason::Avro("the datum ends early, or another one follows it".to_owned()));
            }
            if used < value.len() {
                return Err(Reason::TrailingBytes(value.len() - used));
            }
        }
        let avro = |error: &dyn std::fmt::Display| Reason::Avro(error.to_string());
        let batch = self.decoder.flush().map_err(|error| avro(&error))?;
        let batch = batch.ok_or_else(|| Reason::Avro("no row came of it".to_owned()))?;
        shape::rows(self.table, &batch, records)
    }
}

/// A decoder of at most `rows` records from the writer's schema to ours. It has one writer only: with several it would begin a new batch wherever
/// the writer changes.
fn decoder(table: Table, id: u32, writer: &AvroSchema, rows: usize) -> Result<AvroDecoder, ArrowError> {
    let mut store = SchemaStore::new_with_type(FingerprintAlgorithm::Id);
    store.set(Fingerprint::Id(id), writer.clone())?;
    let contract = table.contract().expect("only tables of events have lanes");
    ReaderBuilder::new()
        .with_writer_schema_store(store)
        .with_reader_schema(AvroSchema::new(contract.text().to_owned()))
        .with_batch_size(rows)
        .with_tz(Tz::Utc)
        .build_decoder()
}

/// The full name of the record that `text` describes.
fn full_name(text: &str) -> Option<String> {
    let schema: Value = serde_json::from_str(text).ok()?;
    if schema["type"] != "record" {
        return None;
    }
    let name = schema["name"].as_str()?;
    match schema["namespace"].as_str() {
        Some(namespace) if !name.contains('.') => Some(format!("{namespace}.{name}")),
        _ => Some(name.to_owned()),
    }
}
