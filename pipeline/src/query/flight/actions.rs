//! What a client can have done: statements prepared, and what runs stopped.

use super::admission::Caller;
use super::{Door, command, packed, statement, status};
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
};
use bytes::Bytes;
use prost::Message;
use tonic::Status;

const CREATE: &str = "CreatePreparedStatement";
const CLOSE: &str = "ClosePreparedStatement";
const CANCEL_FLIGHT: &str = "CancelFlightInfo";
const CANCEL_QUERY: &str = "CancelQuery";

/// What is offered.
pub(super) fn list() -> impl Iterator<Item = ActionType> + Send {
    let offered = [
        (CREATE, "Plans a statement and gives a handle that holds it."),
        (CLOSE, "Nothing: a handle is not kept here."),
        (CANCEL_FLIGHT, "Stops what fetches a flight."),
        (CANCEL_QUERY, "As CancelFlightInfo, for older clients."),
    ];
    offered
        .into_iter()
        .map(|(name, text)| ActionType { r#type: name.to_owned(), description: text.to_owned() })
}

/// Carries out `action`; gives the body of its result, where it has one.
///
/// # Errors
/// Another action is asked for, it is garbled, or planning fails.
pub(super) async fn act(
    door: &Door,
    caller: &Caller,
    action: Action,
) -> Result<std::option::IntoIter<Bytes>, Status> {
    let body = &action.body;
    let answer = match action.r#type.as_str() {
        CREATE => {
            let request: ActionCreatePreparedStatementRequest = unpacked(body)?;
            Some(statement::create(&door.house, caller, request.query).await?)
        }
        CLOSE => {
            let _: ActionClosePreparedStatementRequest = unpacked(body)?;
            None
        }
        CANCEL_FLIGHT => {
            let request =
                CancelFlightInfoRequest::decode(&**body).map_err(|error| status::garbled(&error))?;
            let outcome = cancel(door, caller, &request.info.unwrap_or_default())?;
            Some(CancelFlightInfoResult::new(outcome).encode_to_vec().into())
        }
        CANCEL_QUERY => {
            let request: ActionCancelQueryRequest = unpacked(body)?;
            let info = FlightInfo::decode(&*request.info).map_err(|error| status::garbled(&error))?;
            // Both enumerations have the same values.
            let result = cancel(door, caller, &info)?.into();
            Some(packed(&ActionCancelQueryResult { result }))
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            return Err(Status::unimplemented("there are no transactions: this door only reads"));
        }
        other => {
            return Err(Status::unimplemented(format!("{other:?} is no action; list them with ListActions")));
        }
    };
    Ok(answer.into_iter())
}

fn unpacked<M: ProstMessageExt>(body: &[u8]) -> Result<M, Status> {
    let any = Any::decode(body).map_err(|error| status::garbled(&error))?;
    let message = any.unpack().map_err(|error| status::garbled(&error))?;
    message.ok_or_else(|| status::garbled(&format!("{} is not asked for here", any.type_url)))
}

fn cancel(door: &Door, caller: &Caller, info: &FlightInfo) -> Result<CancelStatus, Status> {
    let mut found = false;
    for ticket in info.endpoint.iter().filter_map(|endpoint| endpoint.ticket.as_ref()) {
        if let Command::TicketStatementQuery(ticket) = command(&ticket.ticket)? {
            found |= door.running.stop(caller, statement::flight_number(&ticket.statement_handle)?);
        }
    }
    match found {
        true => Ok(CancelStatus::Cancelled),
        false => Err(Status::not_found("nothing of yours runs for this flight")),
    }
}
