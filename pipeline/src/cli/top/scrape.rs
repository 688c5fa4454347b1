//! Asks one process for its metrics, as a scraper would.

use super::exposition::Exposition;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// For connecting, and for each answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// No process of ours says as much.
const MAX_BYTES: u64 = 16 << 20;

/// What `/metrics` at `address` says.
pub(super) fn metrics(address: SocketAddr) -> io::Result<Exposition> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the end of the connection is the end of the answer.
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_BYTES).read_to_string(&mut answer)?;
    let refused = || io::Error::other("no metrics there");
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(refused)?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") { Ok(Exposition::read(body)) } else { Err(refused()) }
}
