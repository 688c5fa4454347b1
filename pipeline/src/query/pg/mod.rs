//! PostgreSQL's protocol, version 3.0, for psql, DBeaver, Grafana and every driver there is.
//!
//! Data flow: a connection agrees on TLS ([`connect`]) → who it is from ([`login`]: SCRAM-SHA-256) → a [`session`] reads messages,
//! simple ([`simple`]) and extended ([`extended`]). What drivers say to keep themselves in order (transactions, settings) is answered
//! on the spot ([`local`], [`settings`]); everything else is the engine's, in a session that has PostgreSQL's catalogue ([`door`],
//! [`answer`]). Messages and types are those of pgwire and arrow-pg; the state machine is our own, because pgwire's serves a
//! connection on after a failed login, cancels planning but not rows, and reserves as many rows as a client names.
//! Deliberately absent: COPY, cursors by name, and anything that writes.
//!
//! The protocol: PostgreSQL documentation, chapter "Frontend/Backend Protocol".

mod answer;
mod cancel;
mod connect;
mod door;
mod error;
mod extended;
mod keys;
mod local;
mod login;
mod session;
mod settings;
mod simple;
mod wire;

#[cfg(test)]
mod tests;

use self::door::Door;
use super::serve::{House, Stop};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long a client may take until it is logged in.
const GREETING: Duration = Duration::from_secs(10);
/// Connections beyond the sessions that are told so, and may still ask for a query to be cancelled; others are closed.
const WAITING: usize = 64;

/// Answers until `stop` says that nobody else is let in, and then those who are in the middle of something.
///
/// # Errors
/// Where the system refuses the port after all, or the catalogue cannot be made: a defect.
pub async fn serve(listener: std::net::TcpListener, house: House, stop: Stop) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Places::new(house.config.max_sessions);
    let door = Arc::new(Door::new(house).await.map_err(io::Error::other)?);
    let mut sessions = JoinSet::new();
    let asked = stop.clone().asked();
    tokio::pin!(asked);
    loop {
        let accepted = tokio::select! {
            () = &mut asked => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                sessions.spawn(visit(stream, client, Arc::clone(&door), places.clone(), stop.clone()));
            }
            // Descriptors are short, or the client has left already: others may still be served.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    while sessions.join_next().await.is_some() {}
    Ok(())
}

/// How many may come.
#[derive(Debug, Clone)]
struct Places {
    sessions: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Places {
    fn new(sessions: usize) -> Self {
        Self { sessions: Arc::new(Semaphore::new(sessions)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }
}

/// One connection, from its first byte to its last.
async fn visit(stream: TcpStream, client: SocketAddr, door: Arc<Door>, places: Places, stop: Stop) {
    // A place is a session's only when it is logged in: who says nothing must not keep out those who have a token.
    let Ok(waiting) = places.waiting.try_acquire_owned() else {
        return tracing::debug!(%client, "too many are at the door");
    };
    let greeting = connect::greet(stream, client.ip(), &door, &places.sessions);
    match tokio::time::timeout(GREETING, greeting).await {
        Ok(Ok(Some(entered))) => {
            drop(waiting);
            if let Err(error) = session::Session::new(door, entered).run(stop).await {
                tracing::debug!(%client, %error, "a session broke off");
            }
        }
        Ok(Ok(None)) => {}
        Ok(Err(error)) => tracing::debug!(%client, %error, "nobody came in"),
        Err(_) => tracing::debug!(%client, "nobody came in in time"),
    }
}
