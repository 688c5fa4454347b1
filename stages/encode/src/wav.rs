//! RIFF WAVE as a stream: the lengths say "unknown", since the head cannot be mended at the end.

use crate::config::BitDepth;
use treble_core::PcmSpec;

/// What readers of streamed WAV take for "until the bytes end".
const UNKNOWN_LENGTH: u32 = u32::MAX;
const FORMAT_PCM: u16 = 1;
const FORMAT_EXTENSIBLE: u16 = 0xfffe;
/// The part of KSDATAFORMAT_SUBTYPE_PCM that follows the format tag.
const SUBTYPE_TAIL: [u8; 14] = *b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71";

/// Writes integers as they are.
#[derive(Debug)]
pub(crate) struct WavWriter {
    spec: PcmSpec,
    bits: BitDepth,
}

impl WavWriter {
    pub(crate) fn new(spec: PcmSpec, bits: BitDepth) -> Self {
        Self { spec, bits }
    }

    /// RIFF, `fmt ` and the head of `data`. Over two channels or 16 bits need WAVE_FORMAT_EXTENSIBLE
    /// (Microsoft, "Multiple channel audio data and WAVE files").
    pub(crate) fn header(&self) -> Vec<u8> {
        let channels = self.spec.channels.count();
        let extensible = channels > 2 || self.bits == BitDepth::B24;
        let frame_bytes = (channels * self.bits.bytes()) as u16;
        let bits = u16::from(self.bits.bits());
        let rate = self.spec.rate.hz();

        let mut format = Vec::new();
        format.extend(if extensible { FORMAT_EXTENSIBLE } else { FORMAT_PCM }.to_le_bytes());
        format.extend((channels as u16).to_le_bytes());
        format.extend(rate.to_le_bytes());
        format.extend((rate * u32::from(frame_bytes)).to_le_bytes());
        format.extend(frame_bytes.to_le_bytes());
        format.extend(bits.to_le_bytes());
        if extensible {
            format.extend(22_u16.to_le_bytes());
            format.extend(bits.to_le_bytes());
            format.extend(speakers(channels).to_le_bytes());
            format.extend(FORMAT_PCM.to_le_bytes());
            format.extend(SUBTYPE_TAIL);
        }
        let unknown = UNKNOWN_LENGTH.to_le_bytes();
        let format_len = (format.len() as u32).to_le_bytes();
        [b"RIFF", &unknown, b"WAVE", b"fmt ", &format_len, &format[..], b"data", &unknown].concat()
    }

    /// `samples`, little-endian.
    pub(crate) fn encode(&self, samples: &[i32]) -> Vec<u8> {
        let mut out = Vec::with_capacity(samples.len() * self.bits.bytes());
        for sample in samples {
            out.extend_from_slice(&sample.to_le_bytes()[..self.bits.bytes()]);
        }
        out
    }
}

/// The speaker mask of the usual layout of so many channels; 0, which means "none in particular", where there
/// is no usual one. The layouts are those of FLAC (RFC 9639 section 9.1.3), so that both formats agree.
const fn speakers(channels: usize) -> u32 {
    match channels {
        1 => 0x004,
        2 => 0x003,
        3 => 0x007,
        4 => 0x033,
        5 => 0x037,
        6 => 0x03f,
        7 => 0x70f,
        8 => 0x63f,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use treble_core::{ChannelCount, Pace, SampleDepth, SampleRate};

    fn writer(channels: u32, bits: BitDepth) -> WavWriter {
        let channels = ChannelCount::new(channels).unwrap();
        WavWriter::new(
            PcmSpec { rate: SampleRate::HZ_48000, channels, depth: SampleDepth::S24, pace: Pace::Bulk },
            bits,
        )
    }

    #[test]
    fn sixteen_bit_stereo_has_the_plain_head() {
        let expect = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x02\0\x80\xbb\0\0\0\xee\x02\0\x04\0\x10\0data\xff\xff\xff\xff";
        assert_eq!(writer(2, BitDepth::B16).header(), expect);
    }

    #[test]
    fn more_bits_or_channels_have_the_extensible_head() {
        for (channels, bits, mask) in
            [(1, BitDepth::B24, 4_u32), (6, BitDepth::B16, 0x3f), (9, BitDepth::B24, 0)]
        {
            let head = writer(channels, bits).header();
            assert_eq!(head.len(), 12 + 8 + 40 + 8);
            assert_eq!(head[20..22], [0xfe, 0xff]);
            assert_eq!(head[40..44], mask.to_le_bytes(), "{channels} channels");
        }
    }

    #[test]
    fn samples_are_little_endian_and_packed() {
        assert_eq!(writer(1, BitDepth::B24).encode(&[1, -2]), [1, 0, 0, 0xfe, 0xff, 0xff]);
        assert_eq!(writer(1, BitDepth::B16).encode(&[0x1234]), [0x34, 0x12]);
    }
}
