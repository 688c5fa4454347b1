//! Statements: planned for their columns, bound to parameters, and run.
//!
//! A handle holds all there is to know about a statement. Nothing is kept here for a client that may never come back, and any
//! process of a service can answer for any other.

use super::admission::Caller;
use super::running::Running;
use super::{Reply, encode, ipc, packed, status};
use crate::query::serve::House;
use crate::telemetry::labels::Protocol;
use arrow_flight::FlightData;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{
    ActionCreatePreparedStatementResult, DoPutPreparedStatementResult, ProstMessageExt, TicketStatementQuery,
};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use prost::Message;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;
use tonic::{Status, Streaming};
use treble_analyse::arrow::array::ArrayRef;
use treble_analyse::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use treble_analyse::arrow::ipc::reader::StreamReader;
use treble_analyse::arrow::ipc::writer::StreamWriter;
use treble_analyse::arrow::record_batch::RecordBatch;
use treble_analyse::query::{Asker, ParamValues, Planned, ScalarValue};

/// The most bytes that the parameters of a statement have, as they come.
const PARAMETER_BYTES: usize = 64 << 10;

/// A statement, as tickets and the handles of prepared statements hold it.
#[derive(Clone, PartialEq, Message)]
struct Handle {
    /// The text.
    #[prost(string, tag = "1")]
    sql: String,
    /// An Arrow stream of one row: what stands for `$1`, `$2` and so on. Empty: nothing does.
    #[prost(bytes = "bytes", tag = "2")]
    parameters: Bytes,
    /// Names the flight, so that it can be stopped.
    #[prost(uint64, tag = "3")]
    flight: u64,
}

impl Handle {
    fn read(bytes: &[u8]) -> Result<Self, Status> {
        Self::decode(bytes).map_err(|error| status::garbled(&error))
    }

    fn bytes(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    fn parameters(&self) -> Result<Option<ParamValues>, Status> {
        if self.parameters.is_empty() {
            return Ok(None);
        }
        let garbled = |error| status::garbled(&error);
        let mut reader = StreamReader::try_new(Cursor::new(&self.parameters), None).map_err(garbled)?;
        let row = reader.next().ok_or_else(|| Status::invalid_argument("there is no row of parameters"))?;
        values(&row.map_err(garbled)?).map(|values| Some(ParamValues::from(values)))
    }

    async fn planned(&self, house: &House, caller: &Caller) -> Result<Planned, Status> {
        let planned = house.service.plan(asker(house, caller), &self.sql).await;
        let planned = planned.map_err(|error| status::of(&error))?;
        match self.parameters()? {
            Some(parameters) => planned.with(parameters).map_err(|error| status::of(&error)),
            None => Ok(planned),
        }
    }
}

fn asker(house: &House, caller: &Caller) -> Asker<'static> {
    Asker { grants: house.gate.grants(caller.as_deref()), dialect: None }
}

/// The only row of `batch`.
fn values(batch: &RecordBatch) -> Result<Vec<ScalarValue>, Status> {
    if batch.num_rows() != 1 {
        let rows = batch.num_rows();
        return Err(Status::invalid_argument(format!(
            "{rows} rows of parameters; bind one, and ask for each"
        )));
    }
    let value =
        |column: &ArrayRef| ScalarValue::try_from_array(column, 0).map_err(|error| status::garbled(&error));
    batch.columns().iter().map(value).collect()
}

/// The columns of `sql`, and a ticket for its rows.
///
/// # Errors
/// What planning says.
pub(super) async fn described(
    house: &House,
    caller: &Caller,
    sql: String,
    flight: u64,
) -> Result<(SchemaRef, Bytes), Status> {
    flight_of(house, caller, Handle { sql, parameters: Bytes::new(), flight }).await
}

/// The columns of the prepared statement `handle`, and a ticket for its rows.
///
/// # Errors
/// What planning says.
pub(super) async fn prepared(
    house: &House,
    caller: &Caller,
    handle: &[u8],
    flight: u64,
) -> Result<(SchemaRef, Bytes), Status> {
    flight_of(house, caller, Handle { flight, ..Handle::read(handle)? }).await
}

async fn flight_of(house: &House, caller: &Caller, handle: Handle) -> Result<(SchemaRef, Bytes), Status> {
    let planned = handle.planned(house, caller).await?;
    let ticket = TicketStatementQuery { statement_handle: handle.bytes() };
    Ok((encode::plain(&planned.schema()), packed(&ticket)))
}

/// The number of the flight that the message in a ticket names.
pub(super) fn flight_number(handle: &[u8]) -> Result<u64, Status> {
    Handle::read(handle).map(|handle| handle.flight)
}

/// The rows of the statement `handle`.
///
/// # Errors
/// What the engine says before the first row.
pub(super) async fn rows(
    house: &House,
    running: &Arc<Running>,
    caller: Caller,
    handle: &[u8],
) -> Result<Reply<FlightData>, Status> {
    let handle = Handle::read(handle)?;
    let parameters = handle.parameters()?;
    let session = house.service.observer().session(Protocol::Flight);
    let asker = asker(house, &caller);
    let mut stopper = running.enter(caller, handle.flight);
    let rows = tokio::select! {
        () = stopper.stopped() => return Err(Status::cancelled("stopped, as was asked")),
        rows = house.service.ask(asker, &handle.sql, parameters) => rows.map_err(|error| status::of(&error))?,
    };
    Ok(encode::rows(rows, stopper, session))
}

/// A handle for `sql`, with its columns and its parameters.
///
/// # Errors
/// What planning says.
pub(super) async fn create(house: &House, caller: &Caller, sql: String) -> Result<Bytes, Status> {
    let handle = Handle { sql, parameters: Bytes::new(), flight: 0 };
    let planned = handle.planned(house, caller).await?;
    Ok(packed(&ActionCreatePreparedStatementResult {
        prepared_statement_handle: handle.bytes(),
        dataset_schema: ipc(&encode::plain(&planned.schema()))?,
        parameter_schema: ipc(&parameter_schema(&planned)?)?,
    }))
}

/// The placeholders in order; one whose type nothing tells is of the type `Null`.
fn parameter_schema(planned: &Planned) -> Result<Schema, Status> {
    let types = planned.plan().get_parameter_types().map_err(|error| status::defect(&error))?;
    let number = |name: &str| name.trim_start_matches('$').parse::<u32>().unwrap_or(u32::MAX);
    let fields: BTreeMap<(u32, String), DataType> = types
        .into_iter()
        .map(|(name, kind)| ((number(&name), name), kind.unwrap_or(DataType::Null)))
        .collect();
    let fields = fields.into_iter().map(|((_, name), kind)| Field::new(name, kind, true));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// The statement `handle` with the parameters that were put: the answer to the put, a handle that holds them.
///
/// # Errors
/// What was put is not one row, or too much.
pub(super) async fn bound(
    handle: &[u8],
    first: FlightData,
    messages: Streaming<FlightData>,
) -> Result<Bytes, Status> {
    let mut handle = Handle::read(handle)?;
    let mut bytes = 0;
    let counted = stream::iter([Ok(first)]).chain(messages).map(move |message| {
        let message = message?;
        bytes += message.data_header.len() + message.data_body.len();
        if bytes > PARAMETER_BYTES {
            return Err(Status::invalid_argument(format!("parameters of more than {PARAMETER_BYTES} bytes")));
        }
        Ok(message)
    });
    let batches = FlightRecordBatchStream::new_from_flight_data(counted.map_err(FlightError::from));
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Status::from)?;
    let batches: Vec<RecordBatch> = batches.into_iter().filter(|batch| batch.num_rows() > 0).collect();
    handle.parameters = match batches.as_slice() {
        [] => Bytes::new(),
        [row] => {
            values(row)?;
            written(row)?
        }
        _ => return Err(Status::invalid_argument("several rows of parameters; bind one, and ask for each")),
    };
    let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.bytes()) };
    Ok(wire(&result))
}

fn wire(message: &impl ProstMessageExt) -> Bytes {
    message.encode_to_vec().into()
}

fn written(row: &RecordBatch) -> Result<Bytes, Status> {
    let mut bytes = Vec::new();
    let written = StreamWriter::try_new(&mut bytes, &row.schema()).and_then(|mut writer| {
        writer.write(row)?;
        writer.finish()
    });
    written.map_err(|error| status::defect(&error))?;
    Ok(bytes.into())
}

/// Why the update `sql` is not carried out: what is wrong with it, or that it is none.
pub(super) async fn refused_update(house: &House, caller: &Caller, sql: &str) -> Status {
    match house.service.plan(asker(house, caller), sql).await {
        Err(error) => status::of(&error),
        Ok(_) => Status::invalid_argument("this is a query; execute it as one"),
    }
}
