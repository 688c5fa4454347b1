//! A stream whose restart point has left the log: retention deleted what it must be fed again.
//!
//! The first chunk that comes tells what is missing. Where the first stage can go on behind a hole, the missing
//! inputs are stood in for by empty ones, so that numbers keep their meaning; output that is committed already
//! stays suppressed, by number as in every replay, and what follows is marked as a discontinuity. Samples of the
//! output stay gapless: the hole is cut out, not filled.

use super::{Stream, StreamOutput};
use crate::convert;
use crate::error::StreamFault;
use crate::runtime::blueprint::Blueprint;
use crate::stages::StageEntry;

impl Stream {
    /// The offset of the first record that the stream is to be fed.
    #[must_use]
    pub fn resume_offset(&self) -> i64 {
        self.resume_offset
    }

    /// Whether the stream cannot go on for sure: a predecessor was fed what is missing, and `first`, the stage that
    /// takes the input, does not survive a hole.
    #[must_use]
    pub fn is_lost(&self, first: &StageEntry) -> bool {
        self.lossy && self.aborted.is_none() && self.replays() && !self.survives(first)
    }

    fn survives(&self, first: &StageEntry) -> bool {
        let point = self.restart.operators.first();
        (first.survives_loss)(point.map_or(&[], |restart| &restart.checkpoint))
    }

    /// Chunk `seq` came: where it is the first one after a loss, those before it will not come.
    pub(super) fn skip_lost(&mut self, seq: u64) {
        let expected = self.order.next_seq();
        if !self.lossy || seq < expected {
            return;
        }
        self.lossy = false;
        if seq > expected {
            self.missing = seq - expected;
            // A successor that restarts within the hole must find it again: it lies where it was.
            self.offsets.push_back((seq - 1, self.resume_offset));
            self.order.skip_to(seq);
        }
    }

    /// Feeds what stands in for missing inputs.
    pub(super) fn stand_in(
        &mut self,
        blueprint: &Blueprint,
        out: &mut StreamOutput,
    ) -> Result<(), StreamFault> {
        let missing = std::mem::take(&mut self.missing);
        if missing == 0 {
            return Ok(());
        }
        let (Some(first), Some((_, format))) = (blueprint.stages.first(), self.formats.back()) else {
            return Err(StreamFault::LostRestart);
        };
        if !self.survives(first) {
            return Err(StreamFault::LostRestart);
        }
        let hole = convert::hole(format, first.input)?;
        // What END says of the whole cannot be checked against a part.
        self.in_bytes = None;
        for _ in 0..missing {
            let output = self.chain(blueprint)?.push(hole.clone())?;
            self.collect(output, out);
        }
        self.broken = true;
        Ok(())
    }
}
