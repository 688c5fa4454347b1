//! Messages on a connection.

use bytes::BytesMut;
use datafusion_postgres::pgwire::error::PgWireError;
use datafusion_postgres::pgwire::messages::{
    DecodeContext, PgWireBackendMessage, PgWireFrontendMessage, ProtocolVersion,
};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Decoder, Encoder, Framed};

/// The most bytes of a message before the client is known.
const STRANGER_BYTES: usize = 16 << 10;

/// A connection, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Messages both ways.
pub(super) type Socket = Framed<Box<dyn Stream>, Codec>;

/// What is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Maybe the wish for encryption.
    Negotiation,
    /// Who it is, or what to cancel.
    Startup,
    /// Messages with a type.
    Messages,
}

/// pgwire's messages, held to a size before they are waited for.
#[derive(Debug)]
pub(super) struct Codec {
    context: DecodeContext,
    stage: Stage,
    most_bytes: usize,
}

impl Codec {
    /// For a client of whom nothing is known.
    pub(super) fn new() -> Self {
        let mut codec = Self {
            context: DecodeContext::new(ProtocolVersion::PROTOCOL3_0),
            stage: Stage::Negotiation,
            most_bytes: STRANGER_BYTES,
        };
        codec.enter(Stage::Negotiation);
        codec
    }

    /// Goes on to `stage`.
    pub(super) const fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.context.awaiting_frontend_ssl = matches!(stage, Stage::Negotiation);
        self.context.awaiting_frontend_startup = !matches!(stage, Stage::Messages);
    }

    /// Lets messages be as long as `bytes`.
    pub(super) const fn trust(&mut self, bytes: usize) {
        self.most_bytes = bytes;
    }
}

impl Decoder for Codec {
    type Item = PgWireFrontendMessage;
    type Error = PgWireError;

    fn decode(&mut self, bytes: &mut BytesMut) -> Result<Option<Self::Item>, PgWireError> {
        // The length stands behind the type, which the first messages do not have.
        let at = usize::from(self.stage == Stage::Messages);
        if let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()) {
            let length = u32::from_be_bytes(*length) as usize;
            if length > self.most_bytes {
                return Err(PgWireError::MessageTooLarge(self.most_bytes, length));
            }
        }
        PgWireFrontendMessage::decode(bytes, &self.context)
    }
}

impl Encoder<PgWireBackendMessage> for Codec {
    type Error = io::Error;

    fn encode(&mut self, message: PgWireBackendMessage, bytes: &mut BytesMut) -> io::Result<()> {
        message.encode(bytes).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_is_too_long_is_refused_before_it_has_come() {
        let mut codec = Codec::new();
        codec.enter(Stage::Messages);
        let mut bytes = BytesMut::from(&b"Q\x3f\xff\xff\xf0SEL"[..]);
        assert!(matches!(codec.decode(&mut bytes), Err(PgWireError::MessageTooLarge(..))));
        let mut bytes = BytesMut::from(&b"Q\x00\x00\x00\x0dSELECT 1\x00"[..]);
        assert!(matches!(codec.decode(&mut bytes), Ok(Some(PgWireFrontendMessage::Query(_)))));
        let mut startup = BytesMut::from(&b"\x3f\xff\xff\xf0"[..]);
        assert!(matches!(Codec::new().decode(&mut startup), Err(PgWireError::MessageTooLarge(..))));
    }
}
