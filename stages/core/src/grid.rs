//! Where output is cut: a pure function of the format and the sample index, so that a replay cuts alike.

use crate::pcm::PcmSpec;
use crate::units::Pace;

/// The most bytes of raw `f32` samples in one chunk: 384 KiB, below the 512 KiB that a record may hold even
/// where compression gains nothing.
pub const MAX_CHUNK_BYTES: usize = 384 * 1024;

/// Frames in each chunk of a stream of this format: one second for bulk, 100 ms for live, fewer where the
/// samples would pass [`MAX_CHUNK_BYTES`]; at least 1. Chunk `k` covers frames `[k·n, (k+1)·n)`.
#[must_use]
pub fn chunk_frames(spec: PcmSpec) -> usize {
    let rate = spec.rate.hz() as usize;
    let by_time = match spec.pace {
        Pace::Bulk => rate,
        Pace::Live => rate / 10,
    };
    let by_size = MAX_CHUNK_BYTES / (size_of::<f32>() * spec.channels.count());
    by_time.clamp(1, by_size)
}

/// Makes room in `plane` for `more` frames of a block of `chunk`: twice what it holds then, as a vector does by itself, but no more
/// than the block takes.
pub fn make_room(plane: &mut Vec<f32>, more: usize, chunk: usize) {
    let wanted = plane.len() + more;
    if wanted > plane.capacity() {
        plane.reserve_exact(chunk.min(2 * wanted).saturating_sub(plane.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcm::SampleDepth;
    use crate::units::{ChannelCount, SampleRate};

    fn check(hz: u32, channels: u32, pace: Pace, expect: usize) {
        let rate = SampleRate::new(hz).unwrap();
        let channels = ChannelCount::new(channels).unwrap();
        assert_eq!(chunk_frames(PcmSpec { rate, channels, depth: SampleDepth::F32, pace }), expect);
    }

    #[test]
    fn a_block_that_is_filled_takes_no_more_room_than_itself() {
        let mut plane: Vec<f32> = Vec::new();
        while plane.len() < 4_800 {
            let more = 1_280.min(4_800 - plane.len());
            make_room(&mut plane, more, 4_800);
            plane.resize(plane.len() + more, 0.0);
            assert!(plane.capacity() <= 4_800, "{} for {}", plane.capacity(), plane.len());
        }
    }

    #[test]
    fn a_chunk_is_a_second_or_a_tenth_and_never_over_the_byte_limit() {
        check(48_000, 2, Pace::Bulk, 48_000);
        check(48_000, 2, Pace::Live, 4_800);
        check(192_000, 8, Pace::Bulk, 12_288);
        check(5, 1, Pace::Live, 1);
    }
}
