//! Files that are odd, absurd or broken, made byte by byte.

use anyhow::{Context, Result};
use treble_test_support::clips::{self, Clip};

/// What a WAV header says; the truth or not.
pub(crate) struct Wav {
    pub(crate) rate_hz: u32,
    pub(crate) channels: u16,
    /// 1: integers; 3: floats.
    pub(crate) tag: u16,
    pub(crate) bits: u16,
}

pub(crate) const MONO: Wav = Wav { rate_hz: 16_000, channels: 1, tag: 1, bits: 16 };
pub(crate) const FLOATS: Wav = Wav { rate_hz: 16_000, channels: 1, tag: 3, bits: 32 };

impl Wav {
    pub(crate) fn clip(&self, name: &str, samples: &[u8]) -> Clip {
        let frame = self.channels * (self.bits / 8);
        let size = samples.len() as u32;
        let mut bytes = Vec::with_capacity(44 + samples.len());
        bytes.extend(b"RIFF");
        bytes.extend((36 + size).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0");
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend(self.rate_hz.wrapping_mul(u32::from(frame)).to_le_bytes());
        bytes.extend(frame.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(samples);
        Clip { name: name.to_owned(), media_type: "audio/wav", bytes }
    }
}

/// 16-bit samples, as bytes.
pub(crate) fn integers(count: usize, sample: impl Fn(usize) -> i16) -> Vec<u8> {
    (0..count).flat_map(|index| sample(index).to_le_bytes()).collect()
}

/// Floats, as bytes.
pub(crate) fn floats(count: usize, sample: impl Fn(usize) -> f32) -> Vec<u8> {
    (0..count).flat_map(|index| sample(index).to_le_bytes()).collect()
}

/// A WAV header and `count` samples: less than any window.
pub(crate) fn wav_header_and(count: usize) -> Clip {
    MONO.clip("short", &integers(count, |index| (index % 100) as i16))
}

/// Bytes without any meaning.
pub(crate) fn noise(count: u32) -> Vec<u8> {
    (0..count).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// One of the decoder's fixtures, under another name.
pub(crate) fn fixture(file: &str, name: &str) -> Result<Clip> {
    let found = clips::every_format()?.into_iter().find(|clip| clip.name == file);
    Ok(Clip { name: name.to_owned(), ..found.with_context(|| format!("fixture {file}"))? })
}
