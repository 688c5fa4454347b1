//! A session: one message after the other, until the client or the service ends it.

use super::cancel::Key;
use super::connect::Entered;
use super::door::Door;
use super::error::Fault;
use super::extended::{Portal, Statement};
use super::local::Local;
use super::settings::Settings;
use super::wire::Socket;
use crate::query::serve::Stop;
use crate::telemetry::labels::Protocol;
use datafusion_postgres::pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};
use datafusion_postgres::pgwire::messages::startup::ParameterStatus;
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{SinkExt, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use treble_analyse::query::Asker;

/// A session.
pub(super) struct Session {
    pub(super) door: Arc<Door>,
    name: Option<String>,
    pub(super) socket: Socket,
    pub(super) key: Key,
    pub(super) settings: Settings,
    pub(super) transaction: TransactionStatus,
    pub(super) statements: HashMap<String, Arc<Statement>>,
    pub(super) portals: HashMap<String, Portal>,
    /// After an error among extended messages, all are passed over until the client waits for an answer.
    skipping: bool,
    _place: OwnedSemaphorePermit,
    _counted: crate::telemetry::sql::Session,
}

impl Session {
    /// The session of a client that is logged in.
    pub(super) fn new(door: Arc<Door>, entered: Entered) -> Self {
        let Entered { socket, name, key, settings, place } = entered;
        Self {
            _counted: door.house.service.observer().session(Protocol::Pgwire),
            door,
            name,
            socket,
            key,
            settings,
            transaction: TransactionStatus::Idle,
            statements: HashMap::new(),
            portals: HashMap::new(),
            skipping: false,
            _place: place,
        }
    }

    /// Answers until the client leaves, or `stop` is asked for between two messages.
    ///
    /// # Errors
    /// The connection, or what ends it.
    pub(super) async fn run(mut self, stop: Stop) -> Result<(), Fault> {
        let asked = stop.asked();
        tokio::pin!(asked);
        loop {
            let message = tokio::select! {
                biased;
                message = self.socket.next() => message,
                () = &mut asked => return self.end(Fault::Ending).await,
            };
            let message = match message {
                None | Some(Ok(PgWireFrontendMessage::Terminate(_))) => return Ok(()),
                Some(Err(error)) => return self.end(error.into()).await,
                Some(Ok(message)) => message,
            };
            let extended = message.is_extended_query();
            let Err(fault) = self.handle(message).await else { continue };
            if fault.is_fatal() {
                return self.end(fault).await;
            }
            self.fail(&fault, extended).await?;
        }
    }

    async fn handle(&mut self, message: PgWireFrontendMessage) -> Result<(), Fault> {
        use PgWireFrontendMessage as Message;
        if self.skipping && !matches!(message, Message::Sync(_)) {
            return Ok(());
        }
        match message {
            Message::Query(query) => self.query(&query.query).await,
            Message::Parse(parse) => self.parse(parse).await,
            Message::Bind(bind) => self.bind(&bind).await,
            Message::Describe(describe) => self.describe(&describe).await,
            Message::Execute(execute) => self.execute(&execute).await,
            Message::Close(close) => self.close(&close).await,
            Message::Flush(_) => Ok(self.socket.flush().await?),
            Message::Sync(_) => self.sync().await,
            // A copy that was refused may be on its way already.
            Message::CopyData(_) | Message::CopyDone(_) | Message::CopyFail(_) => Ok(()),
            other => Err(Fault::Protocol(format!("this message is not awaited: {}", kind(&other)))),
        }
    }

    /// Tells what went wrong; the session goes on.
    async fn fail(&mut self, fault: &Fault, extended: bool) -> Result<(), Fault> {
        tracing::debug!(state = fault.state(), %fault, "a statement has no answer");
        if self.transaction == TransactionStatus::Transaction {
            self.transaction = TransactionStatus::Error;
        }
        self.send(PgWireBackendMessage::ErrorResponse(fault.info(false).into())).await?;
        self.skipping = extended;
        if extended { Ok(self.socket.flush().await?) } else { self.ready().await }
    }

    /// Tells why the session ends.
    async fn end(&mut self, fault: Fault) -> Result<(), Fault> {
        if !matches!(fault, Fault::Io(_)) {
            self.send(PgWireBackendMessage::ErrorResponse(fault.info(true).into())).await?;
            self.socket.close().await?;
        }
        if matches!(fault, Fault::Ending) { Ok(()) } else { Err(fault) }
    }

    /// Sends `message` with what follows, or when there is enough.
    pub(super) async fn send(&mut self, message: PgWireBackendMessage) -> Result<(), Fault> {
        Ok(self.socket.feed(message).await?)
    }

    /// The end of a statement.
    pub(super) async fn complete(&mut self, tag: String) -> Result<(), Fault> {
        self.send(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag))).await
    }

    /// The session waits for the next statement.
    pub(super) async fn ready(&mut self) -> Result<(), Fault> {
        let ready = ReadyForQuery::new(self.transaction);
        Ok(self.socket.send(PgWireBackendMessage::ReadyForQuery(ready)).await?)
    }

    /// The client waits for an answer.
    async fn sync(&mut self) -> Result<(), Fault> {
        self.skipping = false;
        // Without a transaction, this is the end of one.
        if self.transaction == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready().await
    }

    /// Who asks, as of now: a role that was taken away is no use any more.
    pub(super) fn asker(&self) -> Asker<'_> {
        let grants = self.door.house.gate.grants(self.name.as_deref());
        Asker { grants, dialect: Some(&self.door.dialect) }
    }

    /// Whether a statement may come.
    ///
    /// # Errors
    /// [`Fault::Aborted`].
    pub(super) fn admit(&self, local: Option<&Local>) -> Result<(), Fault> {
        match (self.transaction, local) {
            (TransactionStatus::Error, Some(local)) => local.in_failed_transaction(),
            (TransactionStatus::Error, None) => Err(Fault::Aborted),
            _ => Ok(()),
        }
    }

    /// Carries out what needs no engine, but for [`Local::Show`], which has a row.
    ///
    /// # Errors
    /// A setting that cannot be had, or a statement that is not there.
    pub(super) async fn carry_out(&mut self, local: &Local) -> Result<(), Fault> {
        let mut tag = local.tag();
        match local {
            Local::Begin | Local::RollbackTo => self.transaction = TransactionStatus::Transaction,
            Local::Commit | Local::Rollback => {
                if self.transaction == TransactionStatus::Error {
                    tag = "ROLLBACK";
                }
                self.transaction = TransactionStatus::Idle;
            }
            Local::Set { name, value } => {
                if let Some((name, value)) = self.settings.set(name, value)? {
                    let status = ParameterStatus::new(name.to_owned(), value);
                    self.send(PgWireBackendMessage::ParameterStatus(status)).await?;
                }
            }
            Local::Reset(name) => self.settings.reset(name.as_deref()),
            Local::Deallocate(None) => self.statements.clear(),
            Local::Deallocate(Some(name)) => {
                let absent = || Fault::Absent(format!("prepared statement {name:?}"));
                self.statements.remove(name).ok_or_else(absent)?;
            }
            Local::DiscardAll => {
                self.statements.clear();
                self.portals.clear();
                self.settings.reset(None);
            }
            Local::Done(_) | Local::Show(_) => {}
        }
        self.complete(tag.to_owned()).await
    }
}

const fn kind(message: &PgWireFrontendMessage) -> &'static str {
    match message {
        PgWireFrontendMessage::PasswordMessageFamily(_) => "a password",
        PgWireFrontendMessage::Startup(_) | PgWireFrontendMessage::SslNegotiation(_) => "a startup",
        PgWireFrontendMessage::CancelRequest(_) => "a cancellation",
        _ => "one of the server's",
    }
}
