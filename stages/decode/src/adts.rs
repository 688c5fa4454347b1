//! ADTS (ISO/IEC 13818-7, annex B) as far as restart points need it: where in the stream a packet's frame lies, and from
//! which of them a successor says the same as we do.

use crate::anchors::Anchor;
use crate::renew::WARM_PACKETS;
use crate::tap::Tap;
use std::collections::VecDeque;
use std::ops::Range;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Bytes of the header, its checksum included.
    bytes: usize,
    /// Bytes of the frame, header included.
    frame_bytes: usize,
    /// Profile, rate and channels. A reader takes those of the whole stream from the frame that it begins with.
    form: [u8; 2],
}

impl Header {
    fn of(bytes: &[u8]) -> Option<Self> {
        let [sync, id, form, mode, length, rest] = bytes.first_chunk()?;
        if *sync != 0xFF || id & 0xF6 != 0xF0 {
            return None;
        }
        let checksum = if id & 1 == 0 { 2 } else { 0 };
        let frame_bytes = usize::from(mode & 3) << 11 | usize::from(*length) << 3 | usize::from(*rest) >> 5;
        Some(Self { bytes: 7 + checksum, frame_bytes, form: [form & 0xFD, mode & 0xC0] })
    }
}

/// Watches the frames of a stream whose decoder is renewed (see [`crate::renew`]).
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// What the stream's first header says.
    form: Option<[u8; 2]>,
    /// The last frames, each right behind the one before.
    recent: VecDeque<Frame>,
    /// Frames from which a successor begins, oldest first.
    pub(crate) anchors: VecDeque<Anchor>,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Where it begins and ends in the stream.
    offset: u64,
    end: u64,
    /// The first sample of what it decodes to.
    sample: u64,
    /// Bytes of its packet.
    bytes: u64,
}

impl Frames {
    /// Takes note of a packet that is about to be decoded and begins with sample `sample`.
    pub(crate) fn packet(&mut self, tap: &Tap, packet: &[u8], sample: u64) {
        let mut form = None;
        let found = tap.take(|bytes| {
            let (frame, header) = find(bytes, packet)?;
            form = Some((header.form, frame.len()));
            Some(frame)
        });
        let (Some(offset), Some((form, length))) = (found, form) else { return self.recent.clear() };
        let alike = *self.form.get_or_insert(form) == form;
        if !alike || self.recent.back().is_some_and(|last| last.end != offset) {
            self.recent.clear();
        }
        if alike {
            let frame = Frame { offset, end: offset + length as u64, sample, bytes: packet.len() as u64 };
            self.recent.push_back(frame);
        }
        if self.recent.len() > WARM_PACKETS + 1 {
            self.recent.pop_front();
        }
    }

    /// Takes note that the decoder of the last packet is a new one.
    pub(crate) fn renewed(&mut self) {
        if let (true, Some(first), Some(last)) =
            (self.recent.len() > WARM_PACKETS, self.recent.front(), self.recent.back())
        {
            let anchor =
                Anchor { offset: first.offset, frame: first.sample, exact: last.sample, bytes: first.bytes };
            self.anchors.push_back(anchor);
        }
    }
}

/// The first frame in `bytes` whose payload is `packet`.
fn find(bytes: &[u8], packet: &[u8]) -> Option<(Range<usize>, Header)> {
    (0..bytes.len()).find_map(|at| {
        let header = Header::of(&bytes[at..])?;
        let fits = header.frame_bytes == header.bytes + packet.len()
            && bytes[at..].get(header.bytes..header.frame_bytes) == Some(packet);
        fits.then_some((at..at + header.frame_bytes, header))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8], with_checksum: bool) -> Vec<u8> {
        let head = if with_checksum { 9 } else { 7 };
        let length = head + payload.len();
        let id = if with_checksum { 0xF0 } else { 0xF1 };
        let mut bytes =
            vec![0xFF, id, 0x50, 0x80 | (length >> 11) as u8, (length >> 3) as u8, (length << 5) as u8];
        bytes.resize(head, 0);
        bytes.extend_from_slice(payload);
        bytes
    }

    #[test]
    fn a_successor_begins_with_the_frames_that_warm_a_new_decoder() {
        let tap = Tap::remembering(100);
        let mut frames = Frames::default();
        for (i, with_checksum) in [false, true, false, false].into_iter().enumerate() {
            let payload = [i as u8; 20];
            tap.pass(&frame(&payload, with_checksum)).unwrap();
            frames.packet(&tap, &payload, 1_024 * i as u64);
        }
        frames.renewed();
        let anchor = Anchor { offset: 127, frame: 1_024, exact: 3 * 1_024, bytes: 20 };
        assert_eq!(frames.anchors, [anchor]);
    }

    #[test]
    fn none_begins_across_a_hole_or_another_form() {
        let tap = Tap::remembering(0);
        let mut frames = Frames::default();
        for i in 0..3_u8 {
            tap.pass(&frame(&[i; 9], false)).unwrap();
            tap.pass(if i == 1 { &b"junk"[..] } else { b"" }).unwrap();
            frames.packet(&tap, &[i; 9], 0);
        }
        frames.renewed();
        let mut other = frame(&[3; 9], false);
        other[2] ^= 4;
        tap.pass(&other).unwrap();
        frames.packet(&tap, &[3; 9], 0);
        frames.renewed();
        assert!(frames.anchors.is_empty());
    }
}
