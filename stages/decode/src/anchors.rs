//! Packets that a reader could begin with, and which of them is the last that serves.

use crate::resume::Kind;
use std::collections::VecDeque;

/// Main data that must lie before an MP3 packet for it to be decoded as in the middle of a stream: a packet points
/// back by 511 bytes at most (ISO/IEC 11172-3, `main_data_begin`); the frame before it fills the overlap of the
/// transform, and the one before that the synthesis filter's memory of 15 slots.
const MP3_WARM_BYTES: u64 = 511;

/// Packets that are decoded whole before the one in question, beyond those of the main data.
const MP3_WARM_PACKETS: usize = 3;

/// Header, checksum and side information of an MP3 packet at most: what is not main data.
const MP3_SIDE_BYTES: u64 = 4 + 2 + 32;

/// A packet that a reader could begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// Where the reader begins in the stream: at the packet's frame, or at its page.
    pub(crate) offset: u64,
    /// The frame of audio that the reader's first output is.
    pub(crate) frame: u64,
    /// The frame from which its output is that of a reader of the whole stream.
    pub(crate) exact: u64,
    /// Bytes of the packet.
    pub(crate) bytes: u64,
}

impl Anchor {
    fn end(&self) -> u64 {
        self.offset + self.bytes
    }
}

/// Adds a packet to those of a stream that has nothing between packets. A reader that begins with a packet wants
/// another right behind it, so those before a hole serve no more.
pub(crate) fn follow(anchors: &mut VecDeque<Anchor>, anchor: Anchor, serves: bool) {
    if anchors.back().is_some_and(|last| last.end() != anchor.offset) {
        anchors.clear();
    }
    if serves {
        anchors.push_back(anchor);
    }
}

/// The last packet from which `grid` is had exactly; those before it are dropped.
pub(crate) fn choose(kind: Kind, anchors: &mut VecDeque<Anchor>, grid: u64) -> Option<Anchor> {
    let mut at = anchors.partition_point(|anchor| anchor.exact <= grid).checked_sub(1)?;
    if kind == Kind::Mp3 {
        let mut warm_bytes = 0;
        while warm_bytes < MP3_WARM_BYTES {
            at = at.checked_sub(1)?;
            warm_bytes += anchors[at].bytes.saturating_sub(MP3_SIDE_BYTES);
        }
        at = at.checked_sub(MP3_WARM_PACKETS)?;
    }
    anchors.drain(..at);
    // Of those that are told by the packet behind, that must be there: see `follow`.
    let alone = anchors.len() == 1 && matches!(kind, Kind::Flac | Kind::Mp3);
    (!alone).then(|| anchors[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchors(count: u64, bytes: u64) -> VecDeque<Anchor> {
        let frames = (0..count).map(|i| (i, i * 1_152));
        frames.map(|(i, frame)| Anchor { offset: 1_000 + i * bytes, frame, exact: frame, bytes }).collect()
    }

    #[test]
    fn the_packet_that_holds_the_grid_frame_is_chosen() {
        let mut packets = anchors(10, 100);
        assert_eq!(choose(Kind::Flac, &mut packets, 1_152 * 4 + 7).map(|a| a.frame), Some(1_152 * 4));
        assert_eq!(packets.len(), 6);
        assert!(choose(Kind::Flac, &mut anchors(10, 100), 1_152 * 9).is_none(), "nothing behind it");
    }

    #[test]
    fn one_that_warms_up_is_chosen_by_what_comes_after() {
        let warm = |i: u64| Anchor { offset: i, frame: i * 100, exact: i * 100 + 50, bytes: 1 };
        let packets = || (0..4).map(warm).collect::<VecDeque<_>>();
        assert_eq!(choose(Kind::Adts, &mut packets(), 349), Some(warm(2)));
        assert_eq!(choose(Kind::Adts, &mut packets(), 350), Some(warm(3)));
        assert_eq!(choose(Kind::Adts, &mut packets(), 49), None);
    }

    #[test]
    fn mp3_goes_back_by_the_main_data_that_may_be_wanted() {
        // 138 − 38 bytes a packet: six packets hold 511 bytes, and three more warm up.
        assert_eq!(choose(Kind::Mp3, &mut anchors(20, 138), 1_152 * 12).map(|a| a.frame), Some(1_152 * 3));
        assert!(choose(Kind::Mp3, &mut anchors(20, 138), 1_152 * 8).is_none());
        assert!(choose(Kind::Mp3, &mut anchors(20, 38), 1_152 * 12).is_none());
    }

    #[test]
    fn a_hole_forgets_what_lies_before_it() {
        let mut packets = anchors(3, 10);
        let behind = |offset| Anchor { offset, ..packets[0] };
        let (near, far) = (behind(1_030), behind(2_000));
        follow(&mut packets, near, true);
        assert_eq!(packets.len(), 4);
        follow(&mut packets, far, false);
        assert!(packets.is_empty());
    }
}
