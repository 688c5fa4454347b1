//! Arrow Flight SQL: columns as they are, for ADBC, JDBC, ODBC and pyarrow.
//!
//! Data flow: a call is admitted ([`admission`]) → its command is either a statement ([`statement`]) or asks what there is
//! ([`catalog`], [`info`]) → rows are encoded ([`encode`]). Nothing is kept between calls: a ticket holds its statement, so does the
//! handle of a prepared one, and both are checked by the engine each time. Only what runs is known, so that it can be stopped
//! ([`running`]). Deliberately absent: transactions, updates, ingestion and Substrait, which are refused by name.
//!
//! The protocol: Apache Arrow, `FlightSql.proto`.

mod actions;
mod admission;
mod catalog;
mod encode;
mod info;
mod running;
mod statement;
mod status;

#[cfg(test)]
mod tests;

use self::admission::Caller;
use self::running::Running;
use super::serve::{House, Stop};
use crate::tls::TlsListener;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::{Any, Command, ProstMessageExt};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use prost::Message;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};
use treble_analyse::arrow::datatypes::Schema;

/// The most that a message may have beside a statement: parameters, and what wraps them.
const BESIDE_BYTES: usize = 256 << 10;
/// How long a client may be silent before it is asked whether it is there. What it asked for ends with it.
const SILENCE: Duration = Duration::from_secs(30);

type Reply<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers until `stop` says that nobody else is let in, and then those who are in.
///
/// # Errors
/// Where the system refuses the port after all.
pub async fn serve(listener: std::net::TcpListener, house: House, stop: Stop) -> io::Result<()> {
    let mut server =
        Server::builder().http2_keepalive_interval(Some(SILENCE)).http2_keepalive_timeout(Some(SILENCE));
    let tls = house.tls.as_ref().map(|tls| Arc::clone(&tls.grpc));
    let most = house.service.engine().limits().statement_bytes + BESIDE_BYTES;
    let door =
        FlightServiceServer::new(Door { house, running: Arc::default() }).max_decoding_message_size(most);
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let router = server.add_service(door);
    let served = match tls {
        None => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming_shutdown(incoming, stop.asked()).await
        }
        Some(tls) => {
            let incoming = TlsListener::new(listener, tls)?.into_stream();
            router.serve_with_incoming_shutdown(incoming, stop.asked()).await
        }
    };
    served.map_err(io::Error::other)
}

/// The service.
#[derive(Debug)]
struct Door {
    house: House,
    running: Arc<Running>,
}

impl Door {
    fn admit<T>(&self, request: &Request<T>) -> Result<Caller, Status> {
        admission::admit(&self.house.gate, request.metadata(), request.remote_addr())
    }

    /// What a command will answer, and how to get it.
    async fn describe(&self, caller: &Caller, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
        let (schema, ticket) = match command(&descriptor.cmd)? {
            Command::CommandStatementQuery(query) => {
                statement::described(&self.house, caller, query.query, self.running.number()).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                let handle = &query.prepared_statement_handle;
                statement::prepared(&self.house, caller, handle, self.running.number()).await?
            }
            other => (catalog::shape(&other)?, descriptor.cmd.clone()),
        };
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let info = FlightInfo::new().try_with_schema(&schema).map_err(|error| status::defect(&error))?;
        Ok(info.with_endpoint(endpoint).with_descriptor(descriptor).with_ordered(true))
    }
}

/// The command that `message` is.
fn command(message: &[u8]) -> Result<Command, Status> {
    let any = Any::decode(message).map_err(|error| status::garbled(&error))?;
    Command::try_from(any).map_err(|error| status::garbled(&error))
}

/// `message` as commands and tickets travel.
fn packed(message: &impl ProstMessageExt) -> Bytes {
    message.as_any().encode_to_vec().into()
}

/// A schema as an IPC message.
fn ipc(schema: &Schema) -> Result<Bytes, Status> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(|error| status::defect(&error))?;
    Ok(info.schema)
}

fn one<T: Send + 'static>(item: T) -> Reply<T> {
    stream::iter([Ok(item)]).boxed()
}

#[tonic::async_trait]
impl FlightService for Door {
    type HandshakeStream = Reply<HandshakeResponse>;
    type ListFlightsStream = Reply<FlightInfo>;
    type DoGetStream = Reply<FlightData>;
    type DoPutStream = Reply<PutResult>;
    type DoExchangeStream = Reply<FlightData>;
    type DoActionStream = Reply<arrow_flight::Result>;
    type ListActionsStream = Reply<ActionType>;

    async fn handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        admission::handshake(&self.house.gate, request.metadata(), request.remote_addr())
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let caller = self.admit(&request)?;
        self.describe(&caller, request.into_inner()).await.map(Response::new)
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let caller = self.admit(&request)?;
        let info = self.describe(&caller, request.into_inner()).await?;
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let caller = self.admit(&request)?;
        let reply = match command(&request.into_inner().ticket)? {
            Command::TicketStatementQuery(ticket) => {
                statement::rows(&self.house, &self.running, caller, &ticket.statement_handle).await?
            }
            Command::CommandPreparedStatementQuery(query) => {
                statement::rows(&self.house, &self.running, caller, &query.prepared_statement_handle).await?
            }
            other => encode::batch(catalog::rows(&self.house, other).await?)?,
        };
        Ok(Response::new(reply))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        let caller = self.admit(&request)?;
        let mut messages = request.into_inner();
        let first = messages.message().await?.ok_or_else(|| Status::invalid_argument("nothing was put"))?;
        let descriptor =
            first.flight_descriptor.clone().ok_or_else(|| Status::invalid_argument("no descriptor"))?;
        let handle = match command(&descriptor.cmd)? {
            Command::CommandPreparedStatementQuery(query) => {
                statement::bound(&query.prepared_statement_handle, first, messages).await?
            }
            Command::CommandStatementUpdate(update) => {
                return Err(statement::refused_update(&self.house, &caller, &update.query).await);
            }
            other => return Err(status::refused(&other)),
        };
        Ok(Response::new(one(PutResult { app_metadata: handle })))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let caller = self.admit(&request)?;
        let answer = actions::act(self, &caller, request.into_inner()).await?;
        let results = answer.map(|body| Ok(arrow_flight::Result { body }));
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<Self::ListActionsStream>, Status> {
        self.admit(&request)?;
        Ok(Response::new(stream::iter(actions::list().map(Ok)).boxed()))
    }

    async fn list_flights(
        &self,
        request: Request<Criteria>,
    ) -> Result<Response<Self::ListFlightsStream>, Status> {
        self.admit(&request)?;
        Err(Status::unimplemented("flights are not listed; ask for tables with CommandGetTables"))
    }

    async fn poll_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<PollInfo>, Status> {
        self.admit(&request)?;
        Err(Status::unimplemented("queries are not polled; get their flight info"))
    }

    async fn do_exchange(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        self.admit(&request)?;
        Err(Status::unimplemented("nothing is exchanged; this door only reads"))
    }
}
