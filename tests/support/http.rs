//! The little HTTP that tests speak, to loopback only.

use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// The whole answer to `GET path`, status line included; `None` if nobody answers.
#[must_use]
pub fn get(port: u16, path: &str) -> Option<String> {
    exchange(
        &format!("127.0.0.1:{port}"),
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
    .ok()
}

/// The body of the answer to a `POST` of JSON to `http://host:port/path`.
///
/// # Errors
/// When nobody answers, or the answer is no success.
pub(crate) fn post(url: &str, body: &str) -> Result<String> {
    let rest = url.strip_prefix("http://").context("tests speak plain HTTP")?;
    let (host, path) = rest.split_once('/').context("a URL without path")?;
    let request = format!(
        "POST /{path} HTTP/1.0\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(host, &request)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without body")?;
    ensure!(head.contains(" 200 "), "{url}: {answer}");
    Ok(body.to_owned())
}

/// The status and the body of the answer to a `POST` of `body` to `path` at `address`, with `headers`.
///
/// # Errors
/// When nobody answers, or breaks off.
pub fn ask(address: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<(u16, String)> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let answer = exchange(
        address,
        &format!(
            "POST {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    )?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without body")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.with_context(|| format!("no status in {head}"))?, body.to_owned()))
}

fn exchange(host: &str, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
