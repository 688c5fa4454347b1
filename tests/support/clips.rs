//! Real files of every format: the decoder's fixtures, which the repository carries.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A file, and what a producer would say it is.
#[derive(Debug, Clone)]
pub struct Clip {
    /// The name, which also serves as the stream's.
    pub name: String,
    /// The media type a producer would give.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../stages/decode/tests/fixtures")
}

/// The media type of a file by its extension.
fn media_type(path: &Path) -> Option<&'static str> {
    Some(match path.extension()?.to_str()? {
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "mp3" => "audio/mpeg",
        "aac" => "audio/aac",
        "m4a" => "audio/mp4",
        "ogg" => "audio/ogg",
        "aiff" => "audio/aiff",
        "caf" => "audio/x-caf",
        "mka" => "audio/x-matroska",
        "webm" => "audio/webm",
        _ => return None,
    })
}

/// One file of every format and container, in the order of their names.
pub fn every_format() -> Result<Vec<Clip>> {
    let entries = std::fs::read_dir(folder()).context("the decoder's fixtures")?;
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let clip = |path: &PathBuf| -> Option<Result<Clip>> {
        let media_type = media_type(path)?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        let bytes = std::fs::read(path).with_context(|| format!("{}", path.display()));
        Some(bytes.map(|bytes| Clip { name, media_type, bytes }))
    };
    paths.iter().filter_map(clip).collect()
}

/// A deterministic clip of `seconds`: 16-bit mono WAV of a chirp with a little noise, at `rate_hz`.
#[must_use]
pub fn chirp(name: &str, rate_hz: u32, seconds: u32) -> Clip {
    let frames = rate_hz * seconds;
    let mut noise = 0x2545_f491_u32;
    let mut samples = Vec::with_capacity(frames as usize * 2);
    for frame in 0..frames {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let time = f64::from(frame) / f64::from(rate_hz);
        let tone = (std::f64::consts::TAU * (200.0 + 150.0 * time) * time).sin();
        let hiss = f64::from(noise >> 16) / 65_536.0 - 0.5;
        #[expect(clippy::cast_possible_truncation, reason = "scaled to 16 bits on purpose")]
        let sample = ((0.5 * tone + 0.02 * hiss) * 32_000.0) as i16;
        samples.extend(sample.to_le_bytes());
    }
    let mut bytes = Vec::with_capacity(44 + samples.len());
    bytes.extend(b"RIFF");
    bytes.extend((36 + samples.len() as u32).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    bytes.extend(rate_hz.to_le_bytes());
    bytes.extend((rate_hz * 2).to_le_bytes());
    bytes.extend(b"\x02\0\x10\0data");
    bytes.extend((samples.len() as u32).to_le_bytes());
    bytes.extend(samples);
    Clip { name: name.to_owned(), media_type: "audio/wav", bytes }
}
