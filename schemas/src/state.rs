//! `StreamState`, the changelog record of one stream on a compacted state topic.
//!
//! The value is framed like every other ([`crate::frame`]), so that generic tools can read it; a null value
//! is the tombstone of a finished stream. The view is the generated message itself, checked on the way in:
//! what passes [`StreamState::from_wire`] can be acted upon without further checks.

pub use crate::proto::{OperatorState, StreamState};
use bytes::Bytes;
use prost::Message;
use thiserror::Error;

/// The most bytes that the checkpoint of one operator may have.
pub const MAX_CHECKPOINT_BYTES: usize = 64 * 1024;

/// Why a state record cannot be used. None of these comes from a stream's input: they mean that something
/// else wrote to the state topic, or a defect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StateError {
    /// Not a `StreamState`.
    #[error(
        "the state record is no StreamState message: {detail}; nothing but Treble may write to the topic"
    )]
    Malformed {
        /// What the decoder said.
        detail: String,
    },
    /// An offset is negative.
    #[error("the state record has a negative offset: {field} = {offset}")]
    NegativeOffset {
        /// The field.
        field: &'static str,
        /// Its value.
        offset: i64,
    },
    /// The restart point lies ahead of the position.
    #[error("the state record restarts at input seq {restart}, ahead of its position {next}")]
    RestartAhead {
        /// The restart point.
        restart: u64,
        /// The next input seq.
        next: u64,
    },
    /// A checkpoint is over [`MAX_CHECKPOINT_BYTES`].
    #[error("the checkpoint of stage {stage} has {bytes} bytes, more than {MAX_CHECKPOINT_BYTES}")]
    CheckpointTooLarge {
        /// The stage.
        stage: String,
        /// Its bytes.
        bytes: usize,
    },
}

impl StateError {
    /// A stable name for metrics, events and logs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "state_malformed",
            Self::NegativeOffset { .. } => "state_negative_offset",
            Self::RestartAhead { .. } => "state_restart_ahead",
            Self::CheckpointTooLarge { .. } => "state_checkpoint_too_large",
        }
    }
}

impl StreamState {
    /// Reads and checks the body of a state record (without its frame); checkpoints are slices of `body`.
    pub fn from_wire(body: Bytes) -> Result<Self, StateError> {
        let state =
            Self::decode(body).map_err(|error| StateError::Malformed { detail: error.to_string() })?;
        state.check()?;
        Ok(state)
    }

    /// The body of a state record, to be framed; refuses what [`from_wire`](Self::from_wire) would refuse.
    pub fn to_wire(&self) -> Result<Vec<u8>, StateError> {
        self.check()?;
        Ok(self.encode_to_vec())
    }

    fn check(&self) -> Result<(), StateError> {
        let offsets = [("restart_offset", self.restart_offset), ("first_offset", self.first_offset)];
        if let Some((field, offset)) = offsets.into_iter().find(|(_, offset)| *offset < 0) {
            return Err(StateError::NegativeOffset { field, offset });
        }
        if self.restart_in_seq > self.next_in_seq {
            return Err(StateError::RestartAhead { restart: self.restart_in_seq, next: self.next_in_seq });
        }
        match self.operators.iter().find(|operator| operator.checkpoint.len() > MAX_CHECKPOINT_BYTES) {
            Some(operator) => Err(StateError::CheckpointTooLarge {
                stage: operator.stage.clone(),
                bytes: operator.checkpoint.len(),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state() -> StreamState {
        StreamState { next_in_seq: 5, restart_in_seq: 2, restart_offset: 40, ..StreamState::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let wire = state().to_wire().unwrap();
        assert_eq!(StreamState::from_wire(wire.into()), Ok(state()));
    }

    #[test]
    fn an_impossible_position_is_refused_both_ways() {
        let ahead = StreamState { restart_in_seq: 6, ..state() };
        let expected = StateError::RestartAhead { restart: 6, next: 5 };
        assert_eq!(ahead.to_wire(), Err(expected.clone()));
        assert_eq!(StreamState::from_wire(ahead.encode_to_vec().into()), Err(expected));
        let negative = StreamState { restart_offset: -1, ..state() };
        assert_eq!(negative.to_wire().unwrap_err().code(), "state_negative_offset");
    }

    #[test]
    fn a_checkpoint_has_a_limit() {
        let operator = OperatorState {
            stage: "decode".into(),
            checkpoint: vec![0; MAX_CHECKPOINT_BYTES + 1].into(),
            ..OperatorState::default()
        };
        let large = StreamState { operators: vec![operator], ..state() };
        assert_eq!(large.to_wire().unwrap_err().code(), "state_checkpoint_too_large");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..256)) {
            if let Ok(state) = StreamState::from_wire(body.into()) {
                prop_assert!(state.to_wire().is_ok());
            }
        }
    }
}
