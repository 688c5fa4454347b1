//! A cheap stage whose every item depends on everything before it: cuts bytes on a grid and emits running sums.

use bytes::Bytes;
use treble_core::{AnyPayload, EncodedChunk, EncodedFormat, Outbox, Restart, StageError, Window};
use treble_pipeline::runtime::lineage::Timing;
use treble_pipeline::stages::{ErasedStage, StageEntry};

const GRID: usize = 16;
/// A byte that the stage refuses.
pub(crate) const POISON: u8 = 0xFF;

pub(crate) static SUMS: StageEntry =
    StageEntry::double("sums", "audio.out", |_, _| Ok(Box::new(Sums::default())));

/// Can restart only where a cut of the input met the grid, so that restart points lag and inputs are replayed.
#[derive(Debug, Default)]
struct Sums {
    held: Vec<u8>,
    sum: u64,
    begun: bool,
    pushed: u64,
    emitted: u64,
    restart: Restart,
}

impl Sums {
    fn emit(&mut self, data: Bytes, frames: u64, out: &mut Outbox<AnyPayload>) {
        let format = EncodedFormat { media_type: "x/sums".to_owned(), ..EncodedFormat::default() };
        self.emitted += 1;
        out.emit(AnyPayload::Encoded(EncodedChunk { format, data, frames, ..EncodedChunk::default() }));
    }

    fn add(&mut self, block: &[u8], out: &mut Outbox<AnyPayload>) {
        self.sum = block.iter().fold(self.sum, |sum, byte| sum.wrapping_mul(31) + u64::from(*byte));
        self.emit(Bytes::copy_from_slice(&self.sum.to_le_bytes()), block.len() as u64, out);
    }
}

impl ErasedStage for Sums {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
        let numbers: Vec<u64> = checkpoint.chunks_exact(8).map(number).collect();
        if let [pushed, emitted, sum] = numbers[..] {
            (self.begun, self.pushed, self.emitted, self.sum) = (true, pushed, emitted, sum);
            let checkpoint = Bytes::copy_from_slice(checkpoint);
            self.restart = Restart { input: pushed, output: emitted, checkpoint };
        }
        Ok(())
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        let AnyPayload::Encoded(chunk) = input else {
            return Err(StageError::WrongPayload { expected: "bytes" });
        };
        if chunk.data.contains(&POISON) {
            return Err(StageError::NotAudio { detail: "poison".to_owned() });
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.emit(Bytes::new(), 0, out);
        }
        self.pushed += 1;
        self.held.extend(&chunk.data);
        let whole = self.held.len() / GRID * GRID;
        let blocks: Vec<u8> = self.held.drain(..whole).collect();
        blocks.chunks(GRID).for_each(|block| self.add(block, out));
        if self.held.is_empty() {
            let numbers = [self.pushed, self.emitted, self.sum].map(u64::to_le_bytes);
            let checkpoint = Bytes::from(numbers.concat());
            self.restart = Restart { input: self.pushed, output: self.emitted, checkpoint };
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        let rest = std::mem::take(&mut self.held);
        if !rest.is_empty() {
            self.add(&rest, out);
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
