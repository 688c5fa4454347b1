//! Who it is: SCRAM-SHA-256 (RFC 7677) with a name and its token, or anyone where the gate is open.

use super::cancel::Key;
use super::connect::Visitor;
use super::door::Door;
use super::error::Fault;
use super::keys::Keys;
use super::settings::Settings;
use super::wire::Socket;
use crate::telemetry::labels::Protocol;
use datafusion_postgres::pgwire::api::auth::Password;
use datafusion_postgres::pgwire::api::auth::sasl::scram::{
    SCRAM_ITERATIONS, gen_salted_password, random_nonce,
};
use datafusion_postgres::pgwire::api::auth::sasl::{SCRAM_SHA_256_METHOD, SCRAM_SHA_256_PLUS_METHOD};
use datafusion_postgres::pgwire::error::PgWireError;
use datafusion_postgres::pgwire::messages::response::{ReadyForQuery, TransactionStatus};
use datafusion_postgres::pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, PasswordMessageFamily,
    SecretKey, Startup,
};
use datafusion_postgres::pgwire::messages::{PgWireBackendMessage, PgWireFrontendMessage};
use futures::{SinkExt, StreamExt};

/// Lets the client in, or does not; gives its name, `None` where everyone may ask.
///
/// # Errors
/// It is not who it says, the connection is not encrypted though it could be, or messages are garbled.
pub(super) async fn login(
    socket: &mut Socket,
    door: &Door,
    keys: &Keys,
    visitor: &Visitor,
) -> Result<Option<String>, Fault> {
    let Visitor { startup, client, encrypted } = visitor;
    agree_on_version(socket, startup).await?;
    if !encrypted {
        return Err(Fault::NotAdmitted("connections must be encrypted here; use sslmode=require"));
    }
    let gate = &door.house.gate;
    if gate.is_open() {
        return Ok(None);
    }
    let Some(name) = startup.parameters.get("user") else {
        return Err(Fault::NotAdmitted("no user name is given"));
    };
    let outcome = prove(socket, door, keys, name).await;
    gate.note(Protocol::Pgwire, *client, Some(name.clone()), outcome.is_ok());
    outcome.map(|()| Some(name.clone()))
}

/// Newer clients may ask for a later version, or for options of it: they are told what is spoken.
async fn agree_on_version(socket: &mut Socket, startup: &Startup) -> Result<(), Fault> {
    let unknown: Vec<String> =
        startup.parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if startup.protocol_number_minor > 0 || !unknown.is_empty() {
        let answer = NegotiateProtocolVersion::new(0, unknown);
        socket.send(PgWireBackendMessage::NegotiateProtocolVersion(answer)).await?;
    }
    Ok(())
}

async fn prove(socket: &mut Socket, door: &Door, keys: &Keys, name: &str) -> Result<(), Fault> {
    let mut methods = Vec::new();
    if keys.binds_channels {
        methods.push(SCRAM_SHA_256_PLUS_METHOD.to_owned());
    }
    methods.push(SCRAM_SHA_256_METHOD.to_owned());
    send(socket, Authentication::SASL(methods.clone())).await?;

    let first = password_message(socket).await?.into_sasl_initial_response()?;
    if !methods.contains(&first.auth_method) {
        return Err(Fault::Protocol(format!("{} is not offered", first.auth_method)));
    }
    let opening = first.data.ok_or_else(|| Fault::Protocol("no first message of SCRAM".to_owned()))?;
    let (answer, waiting) = keys.scram.on_client_first_message(&opening, expected(door, name))?;
    send(socket, Authentication::SASLContinue(answer.into())).await?;

    let last = password_message(socket).await?.into_sasl_response()?;
    let proof = waiting.on_client_final_message(&last.data).map_err(|error| match error {
        PgWireError::InvalidPassword(_) => Fault::Denied(name.to_owned()),
        other => other.into(),
    })?;
    send(socket, Authentication::SASLFinal(proof.into())).await
}

/// The password of `name`. Of somebody unknown it is one that nobody has: neither the answer nor its time tells who is known.
fn expected(door: &Door, name: &str) -> Password {
    let salt = random_nonce().into_bytes();
    let token = door.house.gate.token_of(name);
    let unknown = random_nonce();
    let token = token.as_ref().map_or(unknown.as_str(), |token| token.reveal());
    let salted = gen_salted_password(token, &salt, SCRAM_ITERATIONS);
    Password::new(Some(salt), salted)
}

async fn password_message(socket: &mut Socket) -> Result<PasswordMessageFamily, Fault> {
    match socket.next().await.transpose()? {
        Some(PgWireFrontendMessage::PasswordMessageFamily(message)) => Ok(message),
        Some(_) => Err(Fault::Protocol("a password is awaited".to_owned())),
        None => Err(Fault::Io(std::io::ErrorKind::UnexpectedEof.into())),
    }
}

async fn send(socket: &mut Socket, message: Authentication) -> Result<(), Fault> {
    Ok(socket.send(PgWireBackendMessage::Authentication(message)).await?)
}

/// What a client is told when it is in.
///
/// # Errors
/// The connection.
pub(super) async fn welcome(socket: &mut Socket, key: &Key, settings: &Settings) -> Result<(), Fault> {
    socket.feed(PgWireBackendMessage::Authentication(Authentication::Ok)).await?;
    for (name, value) in settings.reported() {
        let status = ParameterStatus::new(name.to_owned(), value.to_owned());
        socket.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
    }
    let data = BackendKeyData::new(key.number, SecretKey::I32(key.secret));
    socket.feed(PgWireBackendMessage::BackendKeyData(data)).await?;
    let ready = ReadyForQuery::new(TransactionStatus::Idle);
    Ok(socket.send(PgWireBackendMessage::ReadyForQuery(ready)).await?)
}
