//! A house to test doors with: rows in memory, tokens in a file.

use super::gate::Gate;
use super::serve::{House, Stop};
use super::service::Service;
use crate::config::{self, Request, SqlConfig, Surroundings};
use crate::memory::ManualClock;
use crate::telemetry::sql::SqlObserver;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::watch;
use treble_analyse::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use treble_analyse::arrow::datatypes::{DataType, Field};
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::live::{Live, Reading};
use treble_analyse::query::{Engine, Limits};
use treble_analyse::tables::Table;

const NOW_US: i64 = 1_800_000_000_000_000;

/// A house, and what must live as long as it.
pub(super) struct Model {
    pub(super) house: House,
    asker: watch::Sender<bool>,
    _folder: TempDir,
}

impl Model {
    /// Ada, whose token is `1815` and who may read lines of the log, and Grace, whose token is `1906`, may ask; four streams are
    /// done.
    pub(super) fn guarded(limits: Limits) -> Self {
        Self::new(limits, Some("ada 1815 logs\ngrace 1906\n"))
    }

    /// Everyone may ask.
    pub(super) fn open(limits: Limits) -> Self {
        Self::new(limits, None)
    }

    fn new(limits: Limits, tokens: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = tokens.map(|text| {
            let path = folder.path().join("tokens");
            std::fs::write(&path, text).unwrap();
            path
        });
        let live = Arc::new(Live::new("treble.events".to_owned(), Arc::new(|| NOW_US)));
        let reports = rows(Table::StreamReports, 4);
        let reading = Reading { position: 4, end: Some(4), caught_up_us: NOW_US };
        live.append(0, vec![(Table::StreamReports, reports)], reading).unwrap();
        let clock = Arc::new(ManualClock::default());
        let observer = Arc::new(SqlObserver::new(clock.clone()).unwrap());
        let gate =
            Gate::new(path, tokens.is_none(), Arc::clone(&live), clock, Arc::clone(&observer)).unwrap();
        let engine = Engine::new(live, limits).unwrap();
        let house = House {
            service: Arc::new(Service::new(engine, observer)),
            gate: Arc::new(gate),
            tls: None,
            config: Arc::new(SqlConfig { max_sessions: 4, ..defaults() }),
        };
        Self { house, asker: watch::channel(false).0, _folder: folder }
    }

    /// A port, and what tells a door when to close.
    pub(super) fn port(&self) -> (TcpListener, SocketAddr, Stop) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address, Stop::on(self.asker.subscribe()))
    }

    /// Tells all doors to close.
    pub(super) fn close(&self) {
        self.asker.send(true).unwrap();
    }
}

fn defaults() -> SqlConfig {
    let surroundings = Surroundings { host_name: "test".to_owned(), ..Surroundings::default() };
    config::load(&Request::default(), &surroundings).unwrap_or_else(|faults| panic!("{faults}")).config.sql
}

/// As many rows of `table`: every column has a value of its type, or null where it may.
fn rows(table: Table, count: usize) -> RecordBatch {
    let schema = table.schema();
    let column = |field: &Arc<Field>| -> ArrayRef {
        match (field.name().as_str(), field.data_type()) {
            ("kafka_offset", _) => Arc::new(Int64Array::from_iter_values(0..i64::try_from(count).unwrap())),
            ("status", _) => Arc::new(StringArray::from(vec!["finished"; count])),
            ("stream_id", _) => {
                Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("stream-{row}"))))
            }
            (_, kind) if field.is_nullable() => new_null_array(kind, count),
            (_, DataType::Utf8) => Arc::new(StringArray::from(vec!["decode"; count])),
            (_, DataType::Int32) => Arc::new(Int32Array::from(vec![0; count])),
            (_, DataType::Int64) => Arc::new(Int64Array::from(vec![0; count])),
            (_, DataType::Float64) => Arc::new(Float64Array::from(vec![1.5; count])),
            (_, DataType::Boolean) => Arc::new(BooleanArray::from(vec![false; count])),
            (_, DataType::Date32) => Arc::new(Date32Array::from(vec![20_000; count])),
            (_, DataType::Timestamp(..)) => {
                Arc::new(TimestampMicrosecondArray::from(vec![NOW_US; count]).with_timezone("UTC"))
            }
            (_, kind) => panic!("{kind} has no value here"),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}
