//! Who calls: a bearer token on every call, which a handshake gives for a name and its token (RFC 7617).

use super::Reply;
use super::one;
use crate::query::gate::{Denied, Gate};
use crate::telemetry::labels::Protocol;
use arrow_flight::HandshakeResponse;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Response, Status};

/// The token that a handshake gives where everyone may ask: clients insist on one.
const ANYONE: &str = "anonymous";

/// Who was let in; `None` where everyone is.
pub(super) type Caller = Option<String>;

/// Lets in who shows a token.
///
/// # Errors
/// `UNAUTHENTICATED`.
pub(super) fn admit(
    gate: &Gate,
    metadata: &MetadataMap,
    client: Option<SocketAddr>,
) -> Result<Caller, Status> {
    let shown = Shown::of(metadata);
    let admitted = match &shown {
        Shown::Nothing => gate.admit(Protocol::Flight, address(client), None),
        Shown::Bearer(token) => gate.admit(Protocol::Flight, address(client), Some(token)),
        Shown::Basic { name, token } => gate.admit_as(Protocol::Flight, address(client), name, token),
    };
    admitted.map_err(|denied| unauthenticated(&denied))
}

/// The token to show from now on.
///
/// # Errors
/// `UNAUTHENTICATED`.
pub(super) fn handshake(
    gate: &Gate,
    metadata: &MetadataMap,
    client: Option<SocketAddr>,
) -> Result<Response<Reply<HandshakeResponse>>, Status> {
    let caller = admit(gate, metadata, client)?;
    let token = match (caller, Shown::of(metadata)) {
        (Some(_), Shown::Bearer(token) | Shown::Basic { token, .. }) => token,
        _ => ANYONE.to_owned(),
    };
    let bearer = AsciiMetadataValue::try_from(format!("Bearer {token}"))
        .map_err(|_| Status::unauthenticated("the token has characters that no header carries"))?;
    let answer = HandshakeResponse { protocol_version: 0, payload: token.into_bytes().into() };
    let mut response = Response::new(one(answer));
    response.metadata_mut().insert("authorization", bearer);
    Ok(response)
}

fn address(client: Option<SocketAddr>) -> IpAddr {
    client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |client| client.ip())
}

fn unauthenticated(denied: &Denied) -> Status {
    Status::unauthenticated(format!("{denied}; log in with your name and your token as the password"))
}

/// What the header `authorization` shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Bearer(String),
    Basic { name: String, token: String },
}

impl Shown {
    fn of(metadata: &MetadataMap) -> Self {
        let header = metadata.get("authorization").and_then(|value| value.to_str().ok());
        let Some((scheme, shown)) = header.and_then(|header| header.split_once(' ')) else {
            return Self::Nothing;
        };
        match scheme.to_ascii_lowercase().as_str() {
            "bearer" => Self::Bearer(shown.trim().to_owned()),
            "basic" => Self::basic(shown.trim()).unwrap_or(Self::Nothing),
            _ => Self::Nothing,
        }
    }

    fn basic(shown: &str) -> Option<Self> {
        // Go's clients leave the padding out.
        let bytes = BASE64_STANDARD_NO_PAD.decode(shown.trim_end_matches('=')).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, token) = text.split_once(':')?;
        Some(Self::Basic { name: name.to_owned(), token: token.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_clients_write_it() {
        let check = |header: &str, expect: Shown| {
            let mut metadata = MetadataMap::new();
            metadata.insert("authorization", header.parse().unwrap());
            assert_eq!(Shown::of(&metadata), expect, "{header}");
        };
        check("Bearer 1815", Shown::Bearer("1815".to_owned()));
        check("bearer  1815 ", Shown::Bearer("1815".to_owned()));
        let (name, token) = ("ada".to_owned(), "18:15".to_owned());
        check("Basic YWRhOjE4OjE1", Shown::Basic { name: name.clone(), token });
        let token = "1815".to_owned();
        check("Basic YWRhOjE4MTU=", Shown::Basic { name: name.clone(), token: token.clone() });
        check("Basic YWRhOjE4MTU", Shown::Basic { name, token });
        check("Basic !!!", Shown::Nothing);
        check("Basic YWRh", Shown::Nothing);
        check("Negotiate abc", Shown::Nothing);
        check("1815", Shown::Nothing);
        assert_eq!(Shown::of(&MetadataMap::new()), Shown::Nothing);
    }
}
