//! A connection's beginning: TLS, then a login or the wish to cancel.

use super::cancel::Key;
use super::door::Door;
use super::error::Fault;
use super::keys::Keys;
use super::login;
use super::settings::Settings;
use super::wire::{Codec, Socket, Stage, Stream};
use datafusion_postgres::pgwire::messages::response::{GssEncResponse, SslResponse};
use datafusion_postgres::pgwire::messages::startup::Startup;
use datafusion_postgres::pgwire::messages::{
    PgWireBackendMessage, PgWireFrontendMessage, SslNegotiationMetaMessage,
};
use futures::{SinkExt, StreamExt};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::codec::Framed;

/// The most messages until a client says who it is: encryption of both kinds is refused, or one is agreed on.
const QUESTIONS: usize = 4;

/// A client that has said who it is.
pub(super) struct Visitor {
    pub(super) startup: Startup,
    pub(super) client: IpAddr,
    /// Whether what it says is private, as far as the door can have it.
    pub(super) encrypted: bool,
}

/// A client that is logged in.
pub(super) struct Entered {
    pub(super) socket: Socket,
    /// `None` where everyone may ask.
    pub(super) name: Option<String>,
    pub(super) key: Key,
    pub(super) settings: Settings,
    pub(super) place: OwnedSemaphorePermit,
}

/// Greets a client; `None` where it wanted something cancelled, or has left.
///
/// # Errors
/// It is not let in; it has been told so.
pub(super) async fn greet(
    stream: TcpStream,
    client: IpAddr,
    door: &Door,
    places: &Arc<Semaphore>,
) -> Result<Option<Entered>, Fault> {
    stream.set_nodelay(true)?;
    let keys = door.keys.now();
    let mut socket = Framed::new(Box::new(stream) as Box<dyn Stream>, Codec::new());
    let mut secure = false;
    for _ in 0..QUESTIONS {
        let Some(message) = socket.next().await.transpose()? else { return Ok(None) };
        match message {
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_)) => {
                let encrypted;
                (socket, encrypted) = encryption(socket, &keys).await?;
                secure |= encrypted;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::PostgresGss(_)) => {
                socket.send(PgWireBackendMessage::GssEncResponse(GssEncResponse::Refuse)).await?;
            }
            PgWireFrontendMessage::SslNegotiation(SslNegotiationMetaMessage::None) => {
                socket.codec_mut().enter(Stage::Startup);
            }
            PgWireFrontendMessage::CancelRequest(request) => {
                if let Some(secret) = request.secret_key.as_i32() {
                    door.sessions.cancel(request.pid, secret);
                }
                return Ok(None);
            }
            PgWireFrontendMessage::Startup(startup) => {
                let encrypted = keys.acceptor().is_none() || secure;
                let visitor = Visitor { startup, client, encrypted };
                return enter(socket, visitor, &keys, door, places).await.map(Some);
            }
            _ => break,
        }
    }
    Err(Fault::Protocol("no startup message came".to_owned()))
}

/// Agrees on a key where the door has a certificate; whether it did.
async fn encryption(mut socket: Socket, keys: &Keys) -> Result<(Socket, bool), Fault> {
    let Some(tls) = keys.acceptor() else {
        socket.send(PgWireBackendMessage::SslResponse(SslResponse::Refuse)).await?;
        return Ok((socket, false));
    };
    socket.send(PgWireBackendMessage::SslResponse(SslResponse::Accept)).await?;
    // What was sent ahead came unencrypted, maybe from somebody in between (CVE-2021-23214).
    if !socket.read_buffer().is_empty() {
        return Err(Fault::Protocol("something was sent before a key was agreed on".to_owned()));
    }
    let stream = tls.accept(socket.into_inner()).await?;
    let mut socket = Framed::new(Box::new(stream) as Box<dyn Stream>, Codec::new());
    socket.codec_mut().enter(Stage::Startup);
    Ok((socket, true))
}

async fn enter(
    mut socket: Socket,
    visitor: Visitor,
    keys: &Keys,
    door: &Door,
    places: &Arc<Semaphore>,
) -> Result<Entered, Fault> {
    socket.codec_mut().enter(Stage::Messages);
    let outcome = match login::login(&mut socket, door, keys, &visitor).await {
        Ok(name) => match Arc::clone(places).try_acquire_owned() {
            Ok(place) => Ok((name, place)),
            Err(_) => Err(Fault::Full(door.house.config.max_sessions)),
        },
        Err(fault) => Err(fault),
    };
    let (name, place) = match outcome {
        Ok(entered) => entered,
        Err(fault) => {
            let response = fault.info(true).into();
            socket.send(PgWireBackendMessage::ErrorResponse(response)).await?;
            socket.close().await?;
            return Err(fault);
        }
    };
    let key = door.sessions.enter();
    let settings = Settings::of(&visitor.startup.parameters);
    login::welcome(&mut socket, &key, &settings).await?;
    socket.codec_mut().trust(door.message_bytes());
    Ok(Entered { socket, name, key, settings, place })
}
