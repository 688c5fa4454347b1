//! The lake's tables, as Arrow schemas. Pure.
//!
//! The columns of events are the fields of their Avro schemas, derived from the very texts that writers register: a field
//! that is added there is a column here, with the documentation that it has there. Symbols of enums become lower-case
//! text. The columns of lines of the log are the fields of a line. Behind them stand where the record was on Kafka, and the day
//! that rows are filed under.

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use treble_schemas::Contract;
use treble_schemas::line::{self, Kind};

/// The time zone of every time in the lake.
pub const UTC: &str = "UTC";
/// The column that tables are partitioned by: the UTC day of the event.
pub const EVENT_DATE: &str = "event_date";
/// The column that holds the record's partition.
pub const KAFKA_PARTITION: &str = "kafka_partition";
/// The column that holds the record's offset; with the partition it names the row.
pub const KAFKA_OFFSET: &str = "kafka_offset";
/// The column that holds the record's time.
pub const KAFKA_TIMESTAMP: &str = "kafka_timestamp";
/// The key of a field's metadata under which its documentation stands, as Delta and Spark have it.
pub const COMMENT: &str = "comment";

/// A topic that the lake stores: every record of it is one row of exactly one of its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// What stages tell of their work.
    Events,
    /// Lines of the log, which collectors publish. Not every lake has them.
    Logs,
}

impl Origin {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Events, Self::Logs];

    /// The tables that its records are rows of.
    #[must_use]
    pub const fn tables(self) -> &'static [Table] {
        match self {
            Self::Events => &[Table::StageEvents, Table::StreamReports, Table::Unreadable],
            Self::Logs => &[Table::Logs],
        }
    }
}

/// A table of rows that come from a topic, each stored once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// What one stage did for one stream in one commit.
    StageEvents,
    /// The account of each stream that came to its end.
    StreamReports,
    /// Records of the topic that are no events that can be read: nothing is dropped in silence.
    Unreadable,
    /// Lines of the log.
    Logs,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::StageEvents, Self::StreamReports, Self::Unreadable, Self::Logs];

    /// The topic that its rows come from.
    #[must_use]
    pub const fn origin(self) -> Origin {
        match self {
            Self::StageEvents | Self::StreamReports | Self::Unreadable => Origin::Events,
            Self::Logs => Origin::Logs,
        }
    }

    /// Its name in SQL, and of its folder in the lake.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StageEvents => "stage_events",
            Self::StreamReports => "stream_reports",
            Self::Unreadable => "unreadable",
            Self::Logs => "logs",
        }
    }

    /// One line about it.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::StageEvents => "What one stage did for one stream in one committed transaction.",
            Self::StreamReports => "The account of each stream that came to its end.",
            Self::Unreadable => "Records of the events topic that could not be read, as they came.",
            Self::Logs => "Lines of the log of every process, for those who have the role logs.",
        }
    }

    /// The contract in Avro that its rows follow, where they have one.
    #[must_use]
    pub const fn contract(self) -> Option<Contract> {
        match self {
            Self::StageEvents => Some(Contract::StageEvent),
            Self::StreamReports => Some(Contract::StreamReport),
            Self::Unreadable | Self::Logs => None,
        }
    }

    /// The table of the records whose writer's schema has the full name `record`.
    #[must_use]
    pub fn of_record(record: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.contract().is_some_and(|contract| contract.name() == record))
    }

    /// Its columns.
    #[must_use]
    pub fn schema(self) -> SchemaRef {
        static STAGE_EVENTS: LazyLock<SchemaRef> = LazyLock::new(|| event_table(Contract::StageEvent));
        static STREAM_REPORTS: LazyLock<SchemaRef> = LazyLock::new(|| event_table(Contract::StreamReport));
        static UNREADABLE: LazyLock<SchemaRef> = LazyLock::new(unreadable_table);
        static LOGS: LazyLock<SchemaRef> = LazyLock::new(log_table);
        Arc::clone(match self {
            Self::StageEvents => &STAGE_EVENTS,
            Self::StreamReports => &STREAM_REPORTS,
            Self::Unreadable => &UNREADABLE,
            Self::Logs => &LOGS,
        })
    }

    /// The columns that files are sorted by: those that questions are narrowed by most often come first.
    #[must_use]
    pub const fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Self::StageEvents => &["stage", "event_time"],
            Self::StreamReports => &["event_time"],
            Self::Unreadable => &[KAFKA_PARTITION, KAFKA_OFFSET],
            Self::Logs => &["time"],
        }
    }

    /// The columns whose least and greatest values the log keeps of each file, so that a query can leave files out.
    #[must_use]
    pub const fn statistics_columns(self) -> &'static [&'static str] {
        match self {
            Self::StageEvents => &[
                "event_time",
                "stage",
                "stream_id",
                "status",
                "live",
                "audio_seconds",
                "processing_seconds",
                "queue_wait_seconds",
                KAFKA_PARTITION,
                KAFKA_OFFSET,
                KAFKA_TIMESTAMP,
            ],
            Self::StreamReports => &[
                "event_time",
                "stream_id",
                "status",
                "live",
                "duration_seconds",
                "end_to_end_latency_seconds",
                KAFKA_PARTITION,
                KAFKA_OFFSET,
                KAFKA_TIMESTAMP,
            ],
            Self::Unreadable => &[KAFKA_PARTITION, KAFKA_OFFSET, KAFKA_TIMESTAMP],
            Self::Logs => &[
                "time",
                "level",
                "component",
                "stage",
                "event",
                "stream_id",
                "trace_id",
                KAFKA_PARTITION,
                KAFKA_OFFSET,
                KAFKA_TIMESTAMP,
            ],
        }
    }
}

/// Names the position of one partition in a table's transaction log (Delta's `txn.appId`). Its version is the offset that
/// is to be read next.
#[must_use]
pub fn app_id(pipeline: &str, table: Table, topic: &str, partition: i32) -> String {
    format!("{}{partition}", app_id_stem(pipeline, table, topic))
}

/// What the names of all partitions of `topic` begin with; the partition's number follows.
#[must_use]
pub fn app_id_stem(pipeline: &str, table: Table, topic: &str) -> String {
    format!("{pipeline}/{}/{topic}-", table.name())
}

fn event_table(contract: Contract) -> SchemaRef {
    let record: Value =
        serde_json::from_str(contract.text()).expect("a contract is JSON, its tests parse it");
    let fields = record["fields"].as_array().expect("a contract is a record");
    let columns = fields.iter().map(event_column);
    Arc::new(Schema::new(columns.chain(kafka_columns()).collect::<Vec<_>>()))
}

fn event_column(field: &Value) -> Field {
    let name = field["name"].as_str().expect("a field has a name");
    let (schema, nullable) = match field["type"].as_array() {
        Some(union) => (union.iter().find(|member| **member != "null").unwrap_or(&Value::Null), true),
        None => (&field["type"], false),
    };
    let data_type = column_type(schema).expect("contracts use types that the lake has, a test says so");
    column(name, data_type, nullable, field["doc"].as_str().unwrap_or_default())
}

/// The type of the column of a field; `None` where the lake has none.
fn column_type(schema: &Value) -> Option<DataType> {
    let (kind, logical) =
        (schema["type"].as_str().or_else(|| schema.as_str())?, schema["logicalType"].as_str());
    match (kind, logical) {
        ("long", Some("timestamp-micros")) => Some(time()),
        ("long", None) => Some(DataType::Int64),
        ("int", None) => Some(DataType::Int32),
        ("double", None) => Some(DataType::Float64),
        ("boolean", None) => Some(DataType::Boolean),
        ("string" | "enum", None) => Some(DataType::Utf8),
        _ => None,
    }
}

/// The type of every time in the lake.
#[must_use]
pub fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))
}

pub(crate) fn column(name: &str, data_type: DataType, nullable: bool, doc: &str) -> Field {
    let comment = HashMap::from([(COMMENT.to_owned(), doc.to_owned())]);
    Field::new(name, data_type, nullable).with_metadata(comment)
}

fn kafka_columns() -> [Field; 4] {
    [
        column(KAFKA_PARTITION, DataType::Int32, false, "Partition of the record on its topic."),
        column(
            KAFKA_OFFSET,
            DataType::Int64,
            false,
            "Offset of the record; with kafka_partition it names the row.",
        ),
        column(
            KAFKA_TIMESTAMP,
            time(),
            false,
            "Time that the record carries on Kafka: when it was produced.",
        ),
        column(EVENT_DATE, DataType::Date32, false, "UTC day of event_time; files are partitioned by it."),
    ]
}

fn unreadable_table() -> SchemaRef {
    let [partition, offset, timestamp, _] = kafka_columns();
    let day = "UTC day of kafka_timestamp; files are partitioned by it.";
    Arc::new(Schema::new(vec![
        column(
            "reason",
            DataType::Utf8,
            false,
            "Why it could not be read, as a stable code such as not_framed.",
        ),
        column("detail", DataType::Utf8, false, "One sentence about that for a person."),
        column(
            "schema_id",
            DataType::Int64,
            true,
            "The schema's id in the registry, where the record names one.",
        ),
        column("key", DataType::Binary, true, "The record's key."),
        column("value", DataType::Binary, true, "The record's value."),
        partition,
        offset,
        timestamp,
        column(EVENT_DATE, DataType::Date32, false, day),
    ]))
}

/// The column of a record that is no line: what it holds, as text.
pub const RAW: &str = "raw";

/// What a line lacks, or has of another kind, is absent: of a record that is no line nothing is known but the time.
fn log_table() -> SchemaRef {
    let fields = line::FIELDS.iter().map(|field| match field.kind {
        Kind::Time => column(field.name, time(), false, field.meaning),
        Kind::Text | Kind::Closed => column(field.name, DataType::Utf8, true, field.meaning),
        Kind::Integer => column(field.name, DataType::Int64, true, field.meaning),
        Kind::Number => column(field.name, DataType::Float64, true, field.meaning),
        Kind::Attributes => column(
            field.name,
            DataType::Utf8,
            true,
            "All else that is known, as JSON: attributes->>'group' is one of it.",
        ),
    });
    let raw = "The record, where it is no line; time is kafka_timestamp then.";
    let [partition, offset, timestamp, _] = kafka_columns();
    let day = column(EVENT_DATE, DataType::Date32, false, "UTC day of time; files are partitioned by it.");
    let behind = [column(RAW, DataType::Utf8, true, raw), partition, offset, timestamp, day];
    Arc::new(Schema::new(fields.chain(behind).collect::<Vec<_>>()))
}

/// What is said of a column, where something is.
#[must_use]
pub fn comment(field: &Field) -> Option<&str> {
    field.metadata().get(COMMENT).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(table: Table) -> Vec<String> {
        let shown = |field: &Arc<Field>| {
            format!("{} {}{}", field.name(), field.data_type(), if field.is_nullable() { "?" } else { "" })
        };
        table.schema().fields().iter().map(shown).collect()
    }

    #[test]
    fn columns_are_the_fields_of_the_contract_and_where_the_record_was() {
        for table in [Table::StageEvents, Table::StreamReports] {
            let contract: Value = serde_json::from_str(table.contract().unwrap().text()).unwrap();
            let fields = contract["fields"].as_array().unwrap();
            let names: Vec<&str> = fields.iter().map(|field| field["name"].as_str().unwrap()).collect();
            let columns = table.schema();
            let columns: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
            assert_eq!(columns[..names.len()], names);
            assert_eq!(columns[names.len()..], [KAFKA_PARTITION, KAFKA_OFFSET, KAFKA_TIMESTAMP, EVENT_DATE]);
        }
    }

    #[test]
    fn types_are_those_that_delta_has() {
        let events = shape(Table::StageEvents);
        for column in [
            "event_time Timestamp(µs, \"UTC\")",
            "stage Utf8",
            "status Utf8",
            "live Boolean",
            "error_type Utf8?",
            "audio_seconds Float64",
            "batch_size Float64?",
            "bytes_in Int64",
            "rate_in_hz Int32?",
            "source_offset_last Int64",
            "kafka_partition Int32",
            "kafka_offset Int64",
            "kafka_timestamp Timestamp(µs, \"UTC\")",
            "event_date Date32",
        ] {
            assert!(events.iter().any(|found| found == column), "{column} in {events:?}");
        }
    }

    #[test]
    fn every_column_is_documented_and_those_that_are_named_exist() {
        for table in Table::ALL {
            let schema = table.schema();
            for field in schema.fields() {
                assert!(
                    comment(field).is_some_and(|text| text.ends_with('.')),
                    "{}.{}",
                    table.name(),
                    field.name()
                );
            }
            for name in table.sort_columns().iter().chain(table.statistics_columns()) {
                schema.field_with_name(name).unwrap();
            }
        }
    }

    #[test]
    fn positions_are_named_by_pipeline_table_topic_and_partition() {
        let id = app_id("treble", Table::StageEvents, "treble.events", 3);
        assert_eq!(id, "treble/stage_events/treble.events-3");
        assert_eq!(Table::of_record("treble.v1.StreamReport"), Some(Table::StreamReports));
        assert_eq!(Table::of_record("acme.Event"), None);
    }
}
