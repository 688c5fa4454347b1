//! Where a fresh reader could go on in the middle of a stream, so that an endless one need not be kept whole.
//!
//! | kind | fed again | why it is exact |
//! | --- | --- | --- |
//! | headerless PCM | from the frame on | samples depend on nothing before them |
//! | WAV of PCM | the head, with the length that is left; from the frame on | the same |
//! | FLAC | `fLaC` and STREAMINFO; from the frame (packet) on | each frame is decoded by itself and numbered |
//! | MP3, and Layers I and II | some packets before | they hold all main data and fill the filters, see `anchors` |
//! | AAC in ADTS | two packets before one with which the decoder was renewed | the successor's is the same, see `renew` |
//! | Vorbis in Ogg | its headers; from the page on whose first packet the grid frame follows | packets overlap by one |
//!
//! All else starts again at the stream's beginning: no reader opens it in the middle (MP4, AIFF, CAF, Matroska), nobody has
//! built it (FLAC in Ogg, ADPCM), or its
//! decoder would not say the same again. That is Opus: the prediction of CELT's energies and SILK's filters go back
//! without bound, so that after any number of packets a fresh decoder is near and not the same (RFC 7845, section 4.2,
//! asks players to be content with that). To renew it as AAC's would be heard by every stream, not by one that went on.

use crate::adts;
use crate::anchors::{Anchor, choose, follow};
use crate::assemble::Assembler;
use crate::checkpoint::HEAD_BYTES_MAX;
use crate::pages::{Pages, vorbis_head};
use crate::tap::Tap;
use crate::wav;
use bytes::Bytes;
use std::collections::VecDeque;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{
    CODEC_ID_ADPCM_IMA_WAV, CODEC_ID_ADPCM_MS, CODEC_ID_VORBIS,
};
use symphonia::core::formats::{FormatId, well_known};
use symphonia::core::packet::Packet;
use treble_core::PcmSpec;

/// What is fed again, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Headerless PCM.
    Raw,
    /// WAV of PCM.
    Wave,
    /// Native FLAC.
    Flac,
    /// MPEG audio without a container, of any layer.
    Mp3,
    /// AAC in ADTS.
    Adts,
    /// Vorbis in Ogg.
    Vorbis,
}

/// A place to go on from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Resume {
    /// What is fed again.
    pub(crate) kind: Kind,
    /// The announced format.
    pub(crate) spec: PcmSpec,
    /// Whether the first block that comes out does not follow seamlessly.
    pub(crate) gap: bool,
    /// The byte of the stream to go on from.
    pub(crate) offset: u64,
    /// The frame that the packet there begins with.
    pub(crate) frame: u64,
    /// The first frame that comes out, at or behind `frame`; a multiple of the grid's chunk.
    pub(crate) grid: u64,
    /// Frames of the whole stream, where its head says so.
    pub(crate) total: Option<u64>,
    /// The sample number of the stream's first packet, where packets are numbered.
    pub(crate) origin: Option<u64>,
    /// Bytes of packets before `grid`, for the limit on expansion.
    pub(crate) packet_bytes: u64,
    /// The length of the packet at `offset`; 0 where packets are cut at will.
    pub(crate) first_packet_bytes: u64,
    /// What is fed before the bytes from `offset` on.
    pub(crate) head: Bytes,
}

/// Watches a stream for places to go on from.
#[derive(Debug)]
pub(crate) struct Watch {
    tap: Tap,
    place: Place,
    total: Option<u64>,
    head: Bytes,
    /// What all packets of the stream should say of themselves: see [`is_like_first`].
    first: Option<[u8; 3]>,
}

#[derive(Debug)]
enum Place {
    /// The container is one of PCM, or may be: its first packet will tell.
    Unknown,
    /// Frame `frame` lies at `offset`, and all others at distances of `frame_bytes`.
    Linear { kind: Kind, offset: u64, frame: u64, frame_bytes: u64, data_bytes: Option<u64> },
    /// Packets of their own length.
    Packets { kind: Kind, anchors: VecDeque<Anchor> },
    /// Packets in frames, of a decoder that is renewed.
    Frames(adts::Frames),
    /// Packets in pages.
    Pages(Pages),
    /// There is none but the beginning.
    Nowhere,
}

impl Watch {
    /// A watch over headerless PCM whose frame `frame` lies at `offset`.
    pub(crate) fn raw(offset: u64, frame: u64, frame_bytes: u64) -> Self {
        let place = Place::Linear { kind: Kind::Raw, offset, frame, frame_bytes, data_bytes: None };
        Self { tap: Tap::default(), place, total: None, head: Bytes::new(), first: None }
    }

    /// A watch over the track `track` of a container, of `params`. `total` is the frames that its head promises.
    pub(crate) fn container(
        container: FormatId,
        track: u32,
        params: &AudioCodecParameters,
        total: Option<u64>,
        tap: Tap,
    ) -> Self {
        let adpcm = [CODEC_ID_ADPCM_MS, CODEC_ID_ADPCM_IMA_WAV].contains(&params.codec);
        let mut head = Bytes::new();
        let place = match (container, &params.extra_data) {
            (well_known::FORMAT_ID_WAVE, _) if !adpcm => Place::Unknown,
            (well_known::FORMAT_ID_FLAC, Some(stream_info)) if stream_info.len() == 34 => {
                // One metadata block, marked as the last: type 0, STREAMINFO (RFC 9639, section 8.1).
                head = Bytes::from([b"fLaC\x80\0\0\x22", &stream_info[..]].concat());
                Place::Packets { kind: Kind::Flac, anchors: VecDeque::new() }
            }
            (well_known::FORMAT_ID_MP1 | well_known::FORMAT_ID_MP2 | well_known::FORMAT_ID_MP3, _) => {
                Place::Packets { kind: Kind::Mp3, anchors: VecDeque::new() }
            }
            (well_known::FORMAT_ID_ADTS, _) => Place::Frames(adts::Frames::default()),
            (well_known::FORMAT_ID_OGG, Some(headers)) if params.codec == CODEC_ID_VORBIS => {
                match vorbis_head(track, headers).filter(|head| head.len() <= HEAD_BYTES_MAX) {
                    Some(pages) => {
                        head = pages;
                        Place::Pages(Pages::new(track))
                    }
                    None => Place::Nowhere,
                }
            }
            _ => Place::Nowhere,
        };
        let watch = Self { tap, place, total, head, first: None };
        if watch.is_over() {
            watch.tap.stop();
        }
        watch
    }

    /// Whether there is nothing to watch for.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.place, Place::Nowhere)
    }

    /// The bytes of a frame, where all that follows are samples.
    pub(crate) fn sample_bytes(&self) -> Option<usize> {
        match self.place {
            Place::Linear { frame_bytes, .. } => usize::try_from(frame_bytes).ok(),
            _ => None,
        }
    }

    /// Takes note of a packet that is about to be decoded and begins with frame `frame`.
    pub(crate) fn packet(&mut self, packet: &Packet, frame: u64) {
        self.tap.packet();
        match &mut self.place {
            Place::Unknown => self.place = self.first_of_wave(packet, frame),
            Place::Packets { kind, anchors } => match self.tap.locate(&packet.data) {
                Some(offset) => {
                    let alike = *kind != Kind::Mp3 || is_like_first(&mut self.first, &packet.data);
                    let serves = alike && packet.trim_start.get() == 0 && packet.pts.get() >= 0;
                    let bytes = packet.data.len() as u64;
                    follow(anchors, Anchor { offset, frame, exact: frame, bytes }, serves);
                }
                None => anchors.clear(),
            },
            Place::Frames(frames) => frames.packet(&self.tap, &packet.data, frame),
            Place::Pages(pages) => {
                pages.packet(&self.tap, &packet.data, frame, packet.trim_end.get() == 0);
            }
            Place::Linear { .. } | Place::Nowhere => {}
        }
    }

    /// Takes note that a new decoder takes over with the last packet.
    pub(crate) fn renewed(&mut self) {
        if let Place::Frames(frames) = &mut self.place {
            frames.renewed();
        }
    }

    /// Takes note that frames are lost.
    pub(crate) fn failed(&mut self) {
        if let Place::Pages(pages) = &mut self.place {
            pages.failed();
        }
    }

    fn first_of_wave(&mut self, packet: &Packet, frame: u64) -> Place {
        let beginning = self.tap.beginning();
        self.tap.stop();
        let whole = packet.dur.get().max(1);
        let frame_bytes = packet.data.len() as u64 / whole;
        let Some((start, mut head)) = beginning else { return Place::Nowhere };
        let data_start = wav::data_start(&head).filter(|start| *start <= HEAD_BYTES_MAX);
        let Some(data_start) = data_start else { return Place::Nowhere };
        if frame_bytes == 0 || !(packet.data.len() as u64).is_multiple_of(whole) {
            return Place::Nowhere;
        }
        head.truncate(data_start);
        let offset = start + data_start as u64;
        let length = head.last_chunk().map(|length| u32::from_le_bytes(*length));
        let data_bytes = length.filter(|length| *length != u32::MAX).map(u64::from);
        self.head = Bytes::from(head);
        Place::Linear { kind: Kind::Wave, offset, frame, frame_bytes, data_bytes }
    }

    /// The place from which the block at frame `grid` can be had again, if it is behind the beginning.
    pub(crate) fn resume(
        &mut self,
        assembler: &Assembler,
        packet_bytes: u64,
        origin: Option<u64>,
    ) -> Option<Resume> {
        let (spec, grid) = (assembler.spec()?, assembler.boundary());
        let (kind, anchor, head) = match &mut self.place {
            Place::Linear { kind, offset, frame, frame_bytes, data_bytes } => {
                let gone = (grid - *frame) * *frame_bytes;
                let anchor = Anchor { offset: *offset + gone, frame: grid, exact: grid, bytes: 0 };
                let left = data_bytes.map(|length| length.saturating_sub(gone));
                (*kind, anchor, with_length(&self.head, left))
            }
            Place::Packets { kind, anchors } => (*kind, choose(*kind, anchors, grid)?, self.head.clone()),
            Place::Frames(adts::Frames { anchors, .. }) => {
                (Kind::Adts, choose(Kind::Adts, anchors, grid)?, Bytes::new())
            }
            Place::Pages(pages) => {
                (Kind::Vorbis, choose(Kind::Vorbis, &mut pages.anchors, grid)?, self.head.clone())
            }
            Place::Unknown | Place::Nowhere => return None,
        };
        Some(Resume {
            kind,
            spec,
            gap: assembler.gap(),
            offset: anchor.offset,
            frame: anchor.frame,
            grid,
            total: self.total,
            origin,
            packet_bytes,
            first_packet_bytes: anchor.bytes,
            head,
        })
    }
}

/// Whether an MPEG audio frame is of the version, layer, rate and number of channels of the first one. A reader
/// takes those of the whole stream from the frame that it begins with.
fn is_like_first(first: &mut Option<[u8; 3]>, packet: &[u8]) -> bool {
    let Some([_, version, rate, mode]) = packet.first_chunk() else { return false };
    let mono = u8::from(mode >> 6 == 3);
    let found = [version & 0x1E, rate & 0x0C, mono];
    *first.get_or_insert(found) == found
}

/// A WAV head whose data chunk, its last, is of `left` bytes. Its RIFF length claims more behind that, so that a
/// length of 0 is not taken for one that is unknown.
fn with_length(head: &Bytes, left: Option<u64>) -> Bytes {
    let (Some(left), Some(middle)) = (left, head.get(8..head.len().saturating_sub(4))) else {
        return head.clone();
    };
    let left = u32::try_from(left).unwrap_or(u32::MAX);
    [b"RIFF", &(u32::MAX - 1).to_le_bytes()[..], middle, &left.to_le_bytes()].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_a_head_is_what_is_left() {
        let head = Bytes::from_static(b"RIFF\x24\0\0\0WAVEdata\x10\0\0\0");
        assert_eq!(with_length(&head, Some(3)), &b"RIFF\xFE\xFF\xFF\xFFWAVEdata\x03\0\0\0"[..]);
        assert_eq!(with_length(&head, None), head);
    }
}
