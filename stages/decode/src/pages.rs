//! The pages of an Ogg stream (RFC 3533), read beside the demuxer: packets span and share pages, and only a page can
//! be begun with.
//!
//! The demuxer takes its pages from the same bytes by the same rules, one after the other, and hands out all packets of
//! one before it reads the next. So counting tells which packet comes from which page; the bytes of each page's first
//! packet are compared all the same, and where they differ nothing is told any more.

use crate::anchors::Anchor;
use crate::tap::Tap;
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor as _;

const CAPTURE: &[u8; 4] = b"OggS";

/// Bytes of a page before its table of segments.
const HEAD_BYTES: usize = 27;

/// Bits of a page's flags.
const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// The granule position of a page on which no packet ends.
const NO_GRANULE: u64 = u64::MAX;

/// Watches the pages of one logical stream of Vorbis.
#[derive(Debug)]
pub(crate) struct Pages {
    serial: u32,
    /// Pages that were read, and of which the demuxer gave no packet yet.
    ahead: VecDeque<Page>,
    /// The page that the demuxer's packets come from, and how many of them are still to come.
    current: Option<(Page, usize)>,
    /// The page's first packet as a place to begin, and whether it was decoded.
    candidate: Option<(Anchor, bool)>,
    assembly: Assembly,
    /// Pages from which a successor begins, oldest first.
    pub(crate) anchors: VecDeque<Anchor>,
    /// The demuxer and we are of different opinions.
    lost: bool,
}

/// What a page that ends packets has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Page {
    offset: u64,
    /// Packets of audio that end on it.
    packets: usize,
    /// The first of them, if a reader could begin with it.
    opening: Option<Vec<u8>>,
}

impl Pages {
    /// Watches the logical stream `serial`.
    pub(crate) fn new(serial: u32) -> Self {
        Self {
            serial,
            ahead: VecDeque::new(),
            current: None,
            candidate: None,
            assembly: Assembly::default(),
            anchors: VecDeque::new(),
            lost: false,
        }
    }

    /// Takes note of a packet that is about to be decoded and begins with frame `frame`. `whole` says that the
    /// demuxer wants nothing of it cut off at the end.
    pub(crate) fn packet(&mut self, tap: &Tap, packet: &[u8], frame: u64, whole: bool) {
        if self.lost {
            return;
        }
        // A fresh decoder says nothing for its first packet, and what we say from the second on.
        if let Some((anchor, decoded)) = self.candidate.as_mut().filter(|(_, decoded)| !decoded) {
            (anchor.frame, anchor.exact) = (frame, frame);
            *decoded = true;
        }
        if self.current.as_ref().is_none_or(|(_, left)| *left == 0) {
            self.anchors.extend(self.candidate.take().map(|(anchor, _)| anchor));
            self.read_ahead(tap);
            let Some(page) = self.ahead.pop_front() else { return self.lose() };
            if let Some(opening) = &page.opening {
                if opening != packet {
                    return self.lose();
                }
                let anchor = Anchor { offset: page.offset, frame, exact: frame, bytes: packet.len() as u64 };
                self.candidate = Some((anchor, false));
            }
            let packets = page.packets;
            self.current = Some((page, packets));
        }
        if let Some((_, left)) = &mut self.current {
            *left -= 1;
        }
        // A reader that begins with this page counts its frames from its end, and would cut nothing off.
        if !whole {
            self.candidate = None;
        }
    }

    /// Takes note that the last packet could not be decoded.
    pub(crate) fn failed(&mut self) {
        self.candidate.take_if(|(_, decoded)| !*decoded);
    }

    fn lose(&mut self) {
        self.lost = true;
        self.candidate = None;
    }

    fn read_ahead(&mut self, tap: &Tap) {
        let (serial, assembly) = (self.serial, &mut self.assembly);
        loop {
            let mut page = None;
            let found = tap.take(|bytes| {
                let (at, raw) = next_page(bytes)?;
                // The first page of another link is left to the next reader.
                if raw.flags & FIRST != 0 && assembly.begun {
                    return None;
                }
                if raw.flags & FIRST == 0 {
                    assembly.begun = true;
                    page = (raw.serial == serial).then(|| assembly.page(&raw)).flatten();
                }
                Some(at)
            });
            let Some(offset) = found else { return };
            self.ahead.extend(page.map(|(packets, opening)| Page { offset, packets, opening }));
        }
    }
}

/// How packets are put together from pages, after the rules of Symphonia's demuxer.
#[derive(Debug, Default)]
struct Assembly {
    /// Whether a page behind the first ones was seen.
    begun: bool,
    sequence: Option<u32>,
    /// The first byte of the packet that goes on on the next page.
    partial: Option<u8>,
}

impl Assembly {
    /// The packets of audio that end on a page, if any, and the first of them if it also begins there.
    fn page(&mut self, raw: &Raw<'_>) -> Option<(usize, Option<Vec<u8>>)> {
        let last = self.sequence.replace(raw.sequence);
        let follows = last.is_none_or(|last| (last..=last.saturating_add(1)).contains(&raw.sequence));
        let continued = raw.flags & CONTINUED != 0;
        if !follows || !continued {
            self.partial = None;
        }
        let orphan = continued && self.partial.is_none();
        let mut packets = raw.packets();
        if orphan && packets.next().is_none() {
            return None;
        }
        let (mut count, mut opening) = (0, None);
        for packet in packets {
            let begins_here = self.partial.is_none();
            // Packets of an odd type are headers (Vorbis I, section 4.2.1).
            let kind = self.partial.take().or(packet.first().copied());
            if kind.is_some_and(|kind| kind & 1 == 0) {
                count += 1;
                if count == 1 && begins_here && !orphan {
                    opening = Some(packet.to_vec());
                }
            }
        }
        self.partial = self.partial.or(raw.partial().first().copied());
        let begins = raw.flags & (LAST | CONTINUED) == 0 && raw.granule != NO_GRANULE;
        (count > 0).then_some((count, opening.filter(|_| begins)))
    }
}

/// A page as it lies in the stream.
struct Raw<'a> {
    flags: u8,
    granule: u64,
    serial: u32,
    sequence: u32,
    segments: &'a [u8],
    body: &'a [u8],
}

impl<'a> Raw<'a> {
    /// The packets that end on the page; of the first one, what is there.
    fn packets(&self) -> impl Iterator<Item = &'a [u8]> {
        let (mut at, mut from, body) = (0, 0, self.body);
        self.segments.iter().filter_map(move |segment| {
            at += usize::from(*segment);
            (*segment < u8::MAX).then(|| &body[std::mem::replace(&mut from, at)..at])
        })
    }

    /// What is there of a packet that goes on on the next page.
    fn partial(&self) -> &'a [u8] {
        let complete: usize = self.packets().map(<[u8]>::len).sum();
        &self.body[complete..]
    }
}

/// The first whole page in `bytes`, whose checksum is right.
fn next_page(bytes: &[u8]) -> Option<(Range<usize>, Raw<'_>)> {
    let mut from = 0;
    loop {
        from += bytes.get(from..)?.windows(CAPTURE.len()).position(|window| window == CAPTURE)?;
        let head: &[u8; HEAD_BYTES] = bytes[from..].first_chunk()?;
        // Version 0, and no flags that are not known.
        if head[4] != 0 || head[5] & !(CONTINUED | FIRST | LAST) != 0 {
            from += HEAD_BYTES;
            continue;
        }
        let body = HEAD_BYTES + usize::from(head[26]);
        let segments = bytes[from..].get(HEAD_BYTES..body)?;
        let length = body + segments.iter().map(|segment| usize::from(*segment)).sum::<usize>();
        let page = bytes[from..].get(..length)?;
        if checksum(page) != page[22..26] {
            from += CAPTURE.len();
            continue;
        }
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let raw = Raw {
            flags: head[5],
            granule: u64::from(number(6)) | u64::from(number(10)) << 32,
            serial: number(14),
            sequence: number(18),
            segments,
            body: &page[body..],
        };
        return Some((from..from + length, raw));
    }
}

/// The checksum of a page, whatever stands in its place.
fn checksum(page: &[u8]) -> [u8; 4] {
    let mut crc = Crc32::new(0);
    crc.process_buf_bytes(&page[..22]);
    crc.process_buf_bytes(&[0; 4]);
    crc.process_buf_bytes(&page[26..]);
    crc.crc().to_le_bytes()
}

/// Bytes of the identification header of Vorbis.
const IDENTIFICATION_BYTES: usize = 30;

/// A comment header that says nothing: no vendor, no comments, and the framing bit (Vorbis I, section 5.2.1).
const NO_COMMENT: &[u8] = b"\x03vorbis\0\0\0\0\0\0\0\0\x01";

/// The pages before the audio of a Vorbis stream whose identification and setup headers are `headers`, one after the
/// other. `None` where they do not fit a page.
pub(crate) fn vorbis_head(serial: u32, headers: &[u8]) -> Option<Bytes> {
    let (identification, setup) = headers.split_at_checked(IDENTIFICATION_BYTES)?;
    let first = page(serial, FIRST, 0, &[identification])?;
    Some([first, page(serial, 0, 1, &[NO_COMMENT, setup])?].concat().into())
}

/// A page of whole packets.
fn page(serial: u32, flags: u8, sequence: u32, packets: &[&[u8]]) -> Option<Vec<u8>> {
    let mut segments = Vec::new();
    for packet in packets {
        segments.resize(segments.len() + packet.len() / 255, u8::MAX);
        segments.push((packet.len() % 255) as u8);
    }
    let count = u8::try_from(segments.len()).ok()?;
    let head = [
        &CAPTURE[..],
        &[0, flags],
        &[0; 8],
        &serial.to_le_bytes(),
        &sequence.to_le_bytes(),
        &[0; 4],
        &[count],
    ];
    let mut page = [head.concat(), segments, packets.concat()].concat();
    let checksum = checksum(&page);
    page[22..26].copy_from_slice(&checksum);
    Some(page)
}

#[cfg(test)]
mod tests;
