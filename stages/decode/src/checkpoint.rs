//! The bytes from which a successor goes on: what [`treble_core::Restart::checkpoint`] holds.
//!
//! Fields in a fixed order, integers little-endian, led by a version. It is state between two runs of the same
//! service, not an archive: a checkpoint of another version is refused.

use crate::resume::{Kind, Resume};
use bytes::Bytes;
use treble_core::grid::chunk_frames;
use treble_core::{ChannelCount, EncodedFormat, Pace, PcmSpec, SampleDepth, SampleRate, StageError};

const VERSION: u8 = 1;

/// Bytes of a stream's head that a checkpoint holds at most: those of WAV up to the data, and the headers of Vorbis.
pub(crate) const HEAD_BYTES_MAX: usize = 32 << 10;

/// Bytes, frames and chunks of a stream that are believed: 280 TB, and eleven years at the highest rate.
const NUMBER_MAX: u64 = 1 << 48;

/// All that a successor needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Checkpoint {
    /// The format of the first chunk.
    pub(crate) format: EncodedFormat,
    /// Where reading goes on.
    pub(crate) resume: Resume,
    /// Bytes of the first chunk that is fed again, which lie before that.
    pub(crate) skip: u64,
    /// Bytes of the stream before that chunk.
    pub(crate) bytes_before: u64,
    /// The number of that chunk in the stream.
    pub(crate) input: u64,
    /// Chunks from that one on, whose marks of discontinuity were seen already.
    pub(crate) seen: u64,
}

impl Checkpoint {
    /// The bytes of the checkpoint.
    pub(crate) fn encode(&self) -> Bytes {
        let mut to = vec![VERSION];
        let Self { format, resume, skip, bytes_before, input, seen } = self;
        put_bytes(&mut to, format.media_type.as_bytes());
        let announced = [format.rate.map_or(0, u32::from), format.channels.map_or(0, u32::from)];
        announced.iter().for_each(|number| to.extend_from_slice(&number.to_le_bytes()));
        let spec = resume.spec;
        to.push(u8::from(spec.pace == Pace::Live));
        to.push(match spec.depth {
            SampleDepth::S16 => 16,
            SampleDepth::S24 => 24,
            SampleDepth::F32 => 32,
        });
        to.push(match resume.kind {
            Kind::Raw => 0,
            Kind::Wave => 1,
            Kind::Flac => 2,
            Kind::Mp3 => 3,
            Kind::Adts => 4,
            Kind::Vorbis => 5,
        });
        to.push(u8::from(resume.gap));
        to.extend_from_slice(&u32::from(spec.rate).to_le_bytes());
        to.extend_from_slice(&u32::from(spec.channels).to_le_bytes());
        let optional = |number: Option<u64>| number.map_or(0, |number| number.saturating_add(1));
        let numbers = [
            *skip,
            *bytes_before,
            *input,
            *seen,
            resume.offset,
            resume.frame,
            resume.grid,
            optional(resume.total),
            optional(resume.origin),
            resume.packet_bytes,
            resume.first_packet_bytes,
        ];
        numbers.iter().for_each(|number| to.extend_from_slice(&number.to_le_bytes()));
        put_bytes(&mut to, &resume.head);
        Bytes::from(to)
    }

    /// The checkpoint of bytes that [`Self::encode`] made.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StageError> {
        Fields(bytes).checkpoint().ok_or_else(|| StageError::Checkpoint {
            detail: format!(
                "{} bytes that are no checkpoint of this version of the decode stage",
                bytes.len()
            ),
        })
    }

    /// Whether the numbers are such that no sum or product of them overflows, and fit each other.
    fn is_sound(&self) -> bool {
        let Self { resume, skip, bytes_before, input, seen, .. } = self;
        let optional = [resume.total, resume.origin].map(|number| number.unwrap_or(0));
        let numbers = [
            *skip,
            *bytes_before,
            *input,
            *seen,
            resume.offset,
            resume.grid,
            resume.packet_bytes,
            resume.first_packet_bytes,
        ];
        numbers.iter().chain(&optional).all(|number| *number <= NUMBER_MAX)
            && resume.frame <= resume.grid
            && resume.grid.is_multiple_of(chunk_frames(resume.spec) as u64)
            && resume.offset == bytes_before + skip
            && resume.head.len() as u64 <= resume.offset
    }
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
    to.extend_from_slice(bytes);
}

/// The bytes that are left to decode.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn checkpoint(&mut self) -> Option<Checkpoint> {
        if self.byte()? != VERSION {
            return None;
        }
        let media_type = String::from_utf8(self.bytes()?.to_vec()).ok()?;
        let (rate, channels) = (self.u32()?, self.u32()?);
        let pace = if self.byte()? == 1 { Pace::Live } else { Pace::Bulk };
        let format = EncodedFormat {
            media_type,
            rate: SampleRate::new(rate).ok(),
            channels: ChannelCount::new(channels).ok(),
            pace,
        };
        let depth = match self.byte()? {
            16 => SampleDepth::S16,
            24 => SampleDepth::S24,
            32 => SampleDepth::F32,
            _ => return None,
        };
        let kind = match self.byte()? {
            0 => Kind::Raw,
            1 => Kind::Wave,
            2 => Kind::Flac,
            3 => Kind::Mp3,
            4 => Kind::Adts,
            5 => Kind::Vorbis,
            _ => return None,
        };
        let gap = self.byte()? == 1;
        let (rate, channels) = (SampleRate::new(self.u32()?).ok()?, ChannelCount::new(self.u32()?).ok()?);
        let (skip, bytes_before, input, seen) = (self.u64()?, self.u64()?, self.u64()?, self.u64()?);
        let resume = Resume {
            kind,
            spec: PcmSpec { rate, channels, depth, pace },
            gap,
            offset: self.u64()?,
            frame: self.u64()?,
            grid: self.u64()?,
            total: self.u64()?.checked_sub(1),
            origin: self.u64()?.checked_sub(1),
            packet_bytes: self.u64()?,
            first_packet_bytes: self.u64()?,
            head: Bytes::copy_from_slice(self.bytes()?),
        };
        let checkpoint = Checkpoint { format, resume, skip, bytes_before, input, seen };
        (self.0.is_empty() && checkpoint.is_sound()).then_some(checkpoint)
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.u64()?;
        self.take(usize::try_from(length).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Checkpoint {
        let rate = SampleRate::HZ_48000;
        let spec =
            PcmSpec { rate, channels: ChannelCount::STEREO, depth: SampleDepth::S24, pace: Pace::Live };
        let resume = Resume {
            kind: Kind::Flac,
            spec,
            gap: true,
            offset: 1_000,
            frame: 4_096,
            grid: 4_800,
            total: None,
            origin: Some(0),
            packet_bytes: 900,
            first_packet_bytes: 77,
            head: Bytes::from_static(b"fLaC"),
        };
        let format = EncodedFormat {
            media_type: "audio/flac".to_owned(),
            rate: Some(rate),
            channels: None,
            pace: Pace::Live,
        };
        Checkpoint { format, resume, skip: 3, bytes_before: 997, input: 5, seen: 2 }
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        assert_eq!(Checkpoint::decode(&example().encode()), Ok(example()));
    }

    /// Bytes that a fuzzer changed; the sums of such numbers overflowed.
    #[test]
    fn numbers_of_no_stream_are_refused() {
        let refused = |change: fn(&mut Checkpoint)| {
            let mut checkpoint = example();
            change(&mut checkpoint);
            assert!(Checkpoint::decode(&checkpoint.encode()).is_err());
        };
        refused(|checkpoint| {
            checkpoint.resume.offset = u64::MAX - 100;
            checkpoint.bytes_before = checkpoint.resume.offset - checkpoint.skip;
        });
        refused(|checkpoint| checkpoint.resume.offset += 1);
        refused(|checkpoint| checkpoint.resume.grid += 1);
        refused(|checkpoint| checkpoint.resume.packet_bytes = u64::MAX);
        refused(|checkpoint| checkpoint.resume.origin = Some(NUMBER_MAX + 1));
        refused(|checkpoint| checkpoint.seen = NUMBER_MAX + 1);
        refused(|checkpoint| checkpoint.resume.head = Bytes::from(vec![0; 1_001]));
    }

    #[test]
    fn anything_else_is_refused() {
        let bytes = example().encode();
        for end in 0..bytes.len() {
            assert!(Checkpoint::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(Checkpoint::decode(&[&bytes[..], &[0]].concat()).is_err());
        assert!(Checkpoint::decode(&[&[2], &bytes[1..]].concat()).is_err());
    }
}
