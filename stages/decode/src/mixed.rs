//! Mixed blocks of MPEG Layer III: long ones for the two lowest bands, short ones above (ISO/IEC 11172-3,
//! `mixed_block_flag`).
//!
//! Symphonia 0.6.1 decodes them to noise at full scale: it leaves the last long band unscaled and drops all short
//! ones (`stages/decode/tests/mp3-vectors.tsv` has the frames). No encoder in use writes them, so they are not worth
//! another decoder; but they are told from their frame's side information, and silence is put in the place of noise.

/// Frames that hear of a mixed block after it: the transform overlaps by a granule and the synthesis filter by 480
/// samples, which may be one frame of MPEG 1 and two of MPEG 2.
const FRAMES_AFTER: u32 = 2;

/// Watches the frames of one stream.
#[derive(Debug, Default)]
pub(crate) struct MixedBlocks {
    /// Frames to come that hear of a mixed block.
    left: u32,
}

impl MixedBlocks {
    /// Whether what the next frame decodes to is noise.
    pub(crate) fn spoil(&mut self, frame: &[u8]) -> bool {
        let half = frame.get(1).is_some_and(|version| version & 0x08 == 0);
        let spoilt = self.left > 0;
        if has_mixed_block(frame).unwrap_or(false) {
            self.left = if half { FRAMES_AFTER } else { FRAMES_AFTER / 2 };
            return true;
        }
        self.left = self.left.saturating_sub(1);
        spoilt
    }
}

/// Whether any granule of a frame is one of short blocks that are mixed; `None` where the frame is too short to tell.
fn has_mixed_block(frame: &[u8]) -> Option<bool> {
    const SHORT: u64 = 2;
    let [_, version, _, mode] = *frame.first_chunk()?;
    let (mpeg1, checksum, mono) = (version & 0x08 != 0, version & 1 == 0, mode >> 6 == 3);
    let side_info = frame.get(if checksum { 6 } else { 4 }..)?;
    let channels = if mono { 1 } else { 2 };
    // Bits before the first granule, granules, their bits, and those before `window_switching_flag`.
    let (head, granules, granule, before) = match (mpeg1, mono) {
        (true, true) => (9 + 5 + 4, 2, 59, 33),
        (true, false) => (9 + 3 + 8, 2, 59, 33),
        (false, true) => (8 + 1, 1, 63, 38),
        (false, false) => (8 + 2, 1, 63, 38),
    };
    (0..granules * channels).try_fold(false, |found, i| {
        let at = head + i * granule + before;
        let (switching, kind, mixed) =
            (bits(side_info, at, 1)?, bits(side_info, at + 1, 2)?, bits(side_info, at + 3, 1)?);
        Some(found || (switching == 1 && kind == SHORT && mixed == 1))
    })
}

/// `count` bits from bit `at` on.
fn bits(bytes: &[u8], at: usize, count: usize) -> Option<u64> {
    (at..at + count).try_fold(0, |value, bit| {
        let byte = bytes.get(bit / 8)?;
        Some(value << 1 | u64::from(byte >> (7 - bit % 8) & 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame without a checksum whose bits `set` of the side information are set.
    fn frame(version: u8, mode: u8, set: &[usize]) -> Vec<u8> {
        let mut frame = vec![0; 40];
        frame[..4].copy_from_slice(&[0xFF, version, 0x90, mode]);
        set.iter().for_each(|bit| frame[4 + bit / 8] |= 0x80 >> (bit % 8));
        frame
    }

    #[test]
    fn mixed_short_blocks_are_found_in_any_granule() {
        let (mpeg1, mpeg2, mono, stereo) = (0xFB, 0xF3, 0xC0, 0x00);
        // Switching, type 2 and mixed, in the first and in the last granule.
        for (version, mode, at) in [
            (mpeg1, mono, 51),
            (mpeg1, mono, 110),
            (mpeg1, stereo, 53),
            (mpeg1, stereo, 230),
            (mpeg2, mono, 47),
            (mpeg2, stereo, 111),
        ] {
            assert_eq!(has_mixed_block(&frame(version, mode, &[at, at + 1, at + 3])), Some(true), "{at}");
            assert_eq!(
                has_mixed_block(&frame(version, mode, &[at, at + 1])),
                Some(false),
                "short, not mixed"
            );
            assert_eq!(
                has_mixed_block(&frame(version, mode, &[at, at + 2, at + 3])),
                Some(false),
                "not short"
            );
            assert_eq!(
                has_mixed_block(&frame(version, mode, &[at + 1, at + 3])),
                Some(false),
                "not switching"
            );
        }
        assert_eq!(has_mixed_block(&[0xFF, 0xFB, 0x90, 0xC0, 0]), None);
    }

    #[test]
    fn frames_that_hear_of_it_are_spoilt_too() {
        let check = |version, at: usize, expected: &[bool]| {
            let (mixed, plain) = (frame(version, 0xC0, &[at, at + 1, at + 3]), frame(version, 0xC0, &[]));
            let mut watch = MixedBlocks::default();
            let spoilt: Vec<_> = [&plain, &mixed, &plain, &plain, &plain]
                .into_iter()
                .map(|frame| watch.spoil(frame))
                .collect();
            assert_eq!(spoilt, expected);
        };
        check(0xFB, 51, &[false, true, true, false, false]);
        check(0xF3, 47, &[false, true, true, true, false]);
    }
}
