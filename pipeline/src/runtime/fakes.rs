//! Small stages for the tests of the loops.

use super::blueprint::Blueprint;
use super::lineage::Timing;
use crate::ports::{Clock, PortError, SchemaKind, Schemas};
use crate::stages::{ErasedStage, StageConfigs, StageEntry};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use treble_core::{AnyPayload, Assets, EncodedChunk, EncodedFormat, Outbox, Restart, StageError, Window};

/// Cuts bytes on a grid of `N` and adds 1 to each; can restart only where a cut of the input met the grid.
/// `!` in the input panics, `?` is refused.
#[derive(Debug, Default)]
struct Grid<const N: usize> {
    held: Vec<u8>,
    begun: bool,
    pushed: u64,
    emitted: u64,
    restart: Restart,
}

impl<const N: usize> Grid<N> {
    fn emit(&mut self, data: &[u8], out: &mut Outbox<AnyPayload>) {
        let format = EncodedFormat { media_type: format!("grid/{N}"), ..EncodedFormat::default() };
        let data = data.iter().map(|byte| byte + 1).collect::<Vec<u8>>().into();
        self.emitted += 1;
        out.emit(AnyPayload::Encoded(EncodedChunk { format, data, ..EncodedChunk::default() }));
    }
}

impl<const N: usize> ErasedStage for Grid<N> {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        let counts: Vec<u64> = checkpoint
            .chunks_exact(8)
            .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("8 bytes")))
            .collect();
        if let [pushed, emitted] = counts[..] {
            (self.begun, self.pushed, self.emitted) = (true, pushed, emitted);
            self.restart =
                Restart { input: pushed, output: emitted, checkpoint: Bytes::copy_from_slice(checkpoint) };
        }
        Ok(())
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        let AnyPayload::Encoded(chunk) = input else {
            return Err(StageError::WrongPayload { expected: "bytes" });
        };
        assert!(!chunk.data.contains(&b'!'), "a codec's panic");
        if chunk.data.contains(&b'?') {
            return Err(StageError::NotAudio { detail: "a question mark".to_owned() });
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.emit(&[], out);
        }
        self.pushed += 1;
        self.held.extend(&chunk.data);
        let whole = self.held.len() / N * N;
        let blocks: Vec<u8> = self.held.drain(..whole).collect();
        blocks.chunks(N).for_each(|block| self.emit(block, out));
        if self.held.is_empty() {
            let checkpoint = [self.pushed.to_le_bytes(), self.emitted.to_le_bytes()].concat().into();
            self.restart = Restart { input: self.pushed, output: self.emitted, checkpoint };
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        let rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            self.emit(&rest, out);
        }
        Ok(())
    }

    fn windows(&mut self) -> Vec<Window> {
        Vec::new()
    }

    fn supply(&mut self, _: Vec<Window>, _: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        Ok(())
    }

    fn restart(&self) -> Restart {
        self.restart.clone()
    }

    fn timing(&self) -> Timing {
        Timing::default()
    }
}

/// A grid of 3 bytes.
pub(super) static GRID3: StageEntry =
    StageEntry::double("grid3", "out", |_, _| Ok(Box::new(Grid::<3>::default())));
/// A grid of 4 bytes.
pub(super) static GRID4: StageEntry =
    StageEntry::double("grid4", "out", |_, _| Ok(Box::new(Grid::<4>::default())));

/// A blueprint of `stages`.
pub(super) fn blueprint(stages: &[&'static StageEntry]) -> Blueprint {
    Blueprint {
        stages: stages.to_vec(),
        configs: Arc::new(StageConfigs::default()),
        assets: Assets::default(),
        decorate: None,
    }
}

/// An input of `data`.
pub(super) fn payload(data: &str) -> AnyPayload {
    AnyPayload::Encoded(EncodedChunk {
        data: Bytes::copy_from_slice(data.as_bytes()),
        ..EncodedChunk::default()
    })
}

/// Every id up to 9 means a chunk.
#[derive(Debug)]
pub(super) struct AllChunks;

impl Schemas for AllChunks {
    fn kind_of(&self, id: u32) -> Result<SchemaKind, PortError> {
        Ok(if id < 10 { SchemaKind::AudioChunk } else { SchemaKind::Foreign })
    }
}

/// A clock that stands still.
#[derive(Debug)]
pub(super) struct Still;

impl Clock for Still {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn unix_us(&self) -> i64 {
        0
    }
}
