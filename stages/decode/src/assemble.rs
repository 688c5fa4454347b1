//! Decoded samples become blocks on the grid.

use crate::resume::Resume;
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use treble_core::grid::{chunk_frames, make_room};
use treble_core::{Fact, Outbox, PcmBlock, PcmSpec, StageError};

/// Where the reader leaves what the stage hands on. Shared by the two, which never run at once.
pub(crate) type Delivery = Rc<RefCell<Delivered>>;

/// What a reader has to say.
#[derive(Debug, Default)]
pub(crate) struct Delivered {
    /// What goes out.
    pub(crate) outbox: Outbox<PcmBlock>,
    /// From where the block that is being filled could be had again.
    pub(crate) resume: Option<Resume>,
    /// Whether it never can, but from the beginning.
    pub(crate) whole_only: bool,
    /// Whether the input told of a gap.
    pub(crate) gap_before: bool,
}

/// Cuts samples of any run length into blocks at multiples of the grid's chunk.
#[derive(Debug)]
pub(crate) struct Assembler {
    delivery: Delivery,
    spec: Option<PcmSpec>,
    /// Frames of a full block.
    chunk: usize,
    /// The block being filled; `frames` is the index just behind it.
    planes: Vec<Vec<f32>>,
    frames: u64,
    gap: bool,
}

impl Assembler {
    /// An assembler at frame 0 that delivers to `delivery`.
    pub(crate) fn new(delivery: Delivery) -> Self {
        Self { delivery, spec: None, chunk: 1, planes: Vec::new(), frames: 0, gap: false }
    }

    /// An assembler that goes on with the block at `grid` of a stream that was announced before.
    pub(crate) fn resumed(delivery: Delivery, spec: PcmSpec, grid: u64, gap: bool) -> Self {
        let planes = vec![Vec::new(); spec.channels.count()];
        Self { delivery, spec: Some(spec), chunk: chunk_frames(spec), planes, frames: grid, gap }
    }

    /// Where the reader and the stage meet.
    pub(crate) fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The first frame of the block that is being filled.
    pub(crate) fn boundary(&self) -> u64 {
        self.frames - self.held() as u64
    }

    /// Whether the block that is being filled is marked.
    pub(crate) fn gap(&self) -> bool {
        self.gap
    }

    /// Frames taken so far.
    pub(crate) fn frames(&self) -> u64 {
        self.frames
    }

    /// The format, once announced.
    pub(crate) fn spec(&self) -> Option<PcmSpec> {
        self.spec
    }

    /// Announces the format, the first time.
    ///
    /// # Errors
    /// If another format was announced before.
    pub(crate) fn begin(&mut self, spec: PcmSpec) -> Result<(), StageError> {
        match self.spec {
            None => {
                self.spec = Some(spec);
                self.chunk = chunk_frames(spec);
                self.planes = vec![Vec::new(); spec.channels.count()];
                self.delivery.borrow_mut().outbox.emit(PcmBlock::announce(spec, self.frames));
                Ok(())
            }
            Some(same) if same == spec => Ok(()),
            Some(before) => Err(StageError::FormatChanged {
                detail: format!("from {} to {}", describe(before), describe(spec)),
            }),
        }
    }

    /// Appends the frames `range` of `planes`, which have the announced number of channels.
    pub(crate) fn append(&mut self, planes: &[Vec<f32>], mut range: Range<usize>) {
        self.hear();
        while !range.is_empty() {
            let take = range.len().min(self.room());
            for (to, from) in self.planes.iter_mut().zip(planes) {
                make_room(to, take, self.chunk);
                to.extend_from_slice(&from[range.start..range.start + take]);
            }
            range.start += take;
            self.advance(take);
        }
    }

    /// Appends frames of silence in place of audio that was lost.
    pub(crate) fn append_silence(&mut self, mut frames: u64) {
        self.hear();
        while frames > 0 {
            let take = self.room().min(usize::try_from(frames).unwrap_or(usize::MAX));
            for plane in &mut self.planes {
                plane.resize(plane.len() + take, 0.0);
            }
            frames -= take as u64;
            self.advance(take);
        }
    }

    /// Marks the next block as not following seamlessly.
    pub(crate) fn mark_gap(&mut self) {
        self.gap = true;
    }

    /// Reports a fact in order with the blocks.
    pub(crate) fn note(&self, fact: Fact) {
        self.delivery.borrow_mut().outbox.note(fact);
    }

    /// Delivers the last, shorter block, if there is one.
    pub(crate) fn finish(&mut self) {
        if self.held() > 0 {
            self.deliver();
        }
    }

    fn held(&self) -> usize {
        self.planes.first().map_or(0, Vec::len)
    }

    fn room(&self) -> usize {
        self.chunk - self.held()
    }

    /// Takes over what the input told.
    fn hear(&mut self) {
        self.gap |= std::mem::take(&mut self.delivery.borrow_mut().gap_before);
    }

    fn advance(&mut self, frames: usize) {
        self.frames += frames as u64;
        if self.room() == 0 {
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        let Some(spec) = self.spec else { return };
        let first = self.frames - self.held() as u64;
        let empty = vec![Vec::new(); self.planes.len()];
        let (block, replaced) = PcmBlock::new(spec, first, std::mem::replace(&mut self.planes, empty));
        let outbox = &mut self.delivery.borrow_mut().outbox;
        outbox.emit(block.with_discontinuity(std::mem::take(&mut self.gap)));
        if replaced > 0 {
            outbox.note(Fact::SamplesReplaced { samples: replaced });
        }
    }
}

fn describe(spec: PcmSpec) -> String {
    format!("{} Hz, {} channels, {:?}", spec.rate.hz(), spec.channels.count(), spec.depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_core::{ChannelCount, Pace, SampleDepth, SampleRate};

    fn live(hz: u32) -> PcmSpec {
        let rate = SampleRate::new(hz).unwrap();
        PcmSpec { rate, channels: ChannelCount::STEREO, depth: SampleDepth::F32, pace: Pace::Live }
    }

    #[test]
    fn blocks_lie_on_the_grid_whatever_the_runs() {
        let delivery = Delivery::default();
        let mut assembler = Assembler::new(Rc::clone(&delivery));
        assembler.begin(live(100)).unwrap();
        let ramp: Vec<f32> = (0..35).map(|i| i as f32).collect();
        assembler.append(&[ramp.clone(), ramp.clone()], 1..8);
        assembler.append(&[ramp.clone(), ramp], 8..35);
        assembler.append_silence(1);
        assembler.finish();
        let cuts: Vec<_> =
            delivery.borrow().outbox.items.iter().map(|b| (b.first_frame(), b.frames())).collect();
        assert_eq!(cuts, [(0, 0), (0, 10), (10, 10), (20, 10), (30, 5)]);
        assert_eq!(delivery.borrow().outbox.items[4].planes()[1], [31.0, 32.0, 33.0, 34.0, 0.0]);
    }

    #[test]
    fn a_gap_marks_the_block_that_is_being_filled_and_only_it() {
        let delivery = Delivery::default();
        let mut assembler = Assembler::new(Rc::clone(&delivery));
        assembler.begin(live(100)).unwrap();
        assembler.append_silence(12);
        assembler.mark_gap();
        assembler.append_silence(18);
        let marks: Vec<_> = delivery.borrow().outbox.items.iter().map(PcmBlock::discontinuity).collect();
        assert_eq!(marks, [false, false, true, false]);
    }

    #[test]
    fn another_format_is_an_error_and_the_same_is_not() {
        let mut assembler = Assembler::new(Delivery::default());
        assembler.begin(live(100)).unwrap();
        assert!(assembler.begin(live(100)).is_ok());
        assert_eq!(assembler.begin(live(200)).unwrap_err().code(), "format_changed");
    }

    #[test]
    fn what_is_not_finite_is_silenced_and_told() {
        let delivery = Delivery::default();
        let mut assembler = Assembler::new(Rc::clone(&delivery));
        assembler.begin(live(100)).unwrap();
        assembler.append(&[vec![f32::NAN, 1.0], vec![f32::INFINITY, 0.5]], 0..2);
        assembler.finish();
        assert_eq!(delivery.borrow().outbox.facts, [Fact::SamplesReplaced { samples: 2 }]);
        assert_eq!(delivery.borrow().outbox.items[1].planes(), [[0.0, 1.0], [0.0, 0.5]]);
    }
}
