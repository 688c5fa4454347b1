//! Records of the topic of events → rows of the lake. Pure.
//!
//! Every record becomes one row of exactly one [`Table`]: an event by the schema that its frame names, resolved to ours
//! by Avro's rules, so that what older writers wrote has today's columns; anything else a row of [`Table::Unreadable`],
//! with the reason. No bytes make it panic or allocate beyond what they are.
//!
//! What an id means is looked up elsewhere: ask [`Decoder::unknown_schema`] before each [`Decoder::push`], and
//! [`Decoder::learn`].

mod lane;
mod shape;
mod unreadable;

#[cfg(test)]
mod tests;

use crate::tables::Table;
use bytes::Bytes;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::record_batch::RecordBatch;
use lane::Lane;
use std::collections::{BTreeMap, HashMap};
use treble_schemas::frame::{self, Format};
use unreadable::{Reason, Unreadable};

/// A record of the topic of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Unix time in milliseconds that it carries; −1 where it carries none.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value.
    pub value: Option<Bytes>,
}

/// Rows, by table; tables without rows are left out.
pub type Rows = BTreeMap<Table, RecordBatch>;

/// Ids whose meaning is remembered; beyond it the memory starts anew. Real registries have a handful of ours.
const MAX_REMEMBERED: usize = 1024;

/// What a schema id means.
#[derive(Debug)]
enum Meaning {
    /// Rows of a table.
    Events(Box<Lane>),
    /// Nothing that is read here.
    Refused(Reason),
}

/// Turns records into rows.
#[derive(Debug, Default)]
pub struct Decoder {
    meanings: HashMap<u32, Meaning>,
    unreadable: Vec<Unreadable>,
    done: BTreeMap<Table, Vec<RecordBatch>>,
    rows: usize,
    bytes: usize,
}

impl Decoder {
    /// A decoder that knows no schema yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id that `value` names, where it is to be learned before the record is pushed.
    #[must_use]
    pub fn unknown_schema(&self, value: Option<&Bytes>) -> Option<u32> {
        let id = frame::split(value?, Format::Avro).ok()?.schema_id;
        (!self.meanings.contains_key(&id)).then_some(id)
    }

    /// What `id` means: the text of its schema, or `None` where the registry knows none.
    pub fn learn(&mut self, id: u32, schema: Option<&str>) {
        if self.meanings.len() >= MAX_REMEMBERED {
            self.settle();
            self.meanings.clear();
        }
        let meaning = match schema {
            None => Meaning::Refused(Reason::UnknownSchema),
            Some(text) => match Lane::new(id, text) {
                Ok(lane) => Meaning::Events(Box::new(lane)),
                Err(reason) => Meaning::Refused(reason),
            },
        };
        self.meanings.insert(id, meaning);
    }

    /// Takes a record; it is one row of what the next [`flush`](Self::flush) gives.
    pub fn push(&mut self, record: Record) {
        self.rows += 1;
        self.bytes += record.value.as_ref().map_or(0, Bytes::len);
        if let Some(unreadable) = self.route(record) {
            self.unreadable.push(unreadable);
        }
    }

    /// Gives `record` to those who can read it, or says why nobody can.
    fn route(&mut self, record: Record) -> Option<Unreadable> {
        let Some(value) = &record.value else { return Some(Unreadable::new(record, None, Reason::NoValue)) };
        let frame = match frame::split(value, Format::Avro) {
            Ok(frame) => frame,
            Err(error) => return Some(Unreadable::new(record, None, Reason::Frame(error))),
        };
        let id = frame.schema_id;
        match self.meanings.get_mut(&id) {
            None => Some(Unreadable::new(record, Some(id), Reason::UnknownSchema)),
            Some(Meaning::Refused(reason)) => Some(Unreadable::new(record, Some(id), reason.clone())),
            Some(Meaning::Events(lane)) => {
                if lane.push(record) {
                    let table = lane.table();
                    self.done.entry(table).or_default().extend(lane.settle(&mut self.unreadable));
                }
                None
            }
        }
    }

    /// Drops all records since the last [`flush`](Self::flush); what ids mean is kept.
    pub fn discard(&mut self) {
        for meaning in self.meanings.values_mut() {
            if let Meaning::Events(lane) = meaning {
                lane.discard();
            }
        }
        self.unreadable.clear();
        self.done.clear();
        (self.rows, self.bytes) = (0, 0);
    }

    /// Rows that the next [`flush`](Self::flush) will give.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of the records behind them.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// All rows since the last call.
    ///
    /// # Errors
    /// Only where columns of one table do not fit together: a defect.
    pub fn flush(&mut self) -> Result<Rows, ArrowError> {
        self.settle();
        (self.rows, self.bytes) = (0, 0);
        let mut rows = Rows::new();
        for (table, batches) in std::mem::take(&mut self.done) {
            if !batches.is_empty() {
                rows.insert(table, concat_batches(&table.schema(), &batches)?);
            }
        }
        let unreadable = std::mem::take(&mut self.unreadable);
        if !unreadable.is_empty() {
            rows.insert(Table::Unreadable, unreadable::batch(&unreadable)?);
        }
        Ok(rows)
    }

    /// Decodes what lanes still hold.
    fn settle(&mut self) {
        for meaning in self.meanings.values_mut() {
            if let Meaning::Events(lane) = meaning {
                let batches = lane.settle(&mut self.unreadable);
                self.done.entry(lane.table()).or_default().extend(batches);
            }
        }
    }
}
