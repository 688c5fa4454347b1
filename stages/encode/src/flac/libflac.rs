//! Frames by libFLAC, the reference encoder: in C, several times as fast, and its bytes depend on what the processor can do.
//!
//! Each call has an encoder of its own: libFLAC gives a block away only when it has seen a sample of the next one, or the end, and one
//! that begins anew in the same memory loses 32 KiB each time (libFLAC 1.5.0). So a frame takes nothing from the frame before.

use super::{BLOCK_FRAMES, FrameSettings};
use crate::config::Compression;
use flac_bound::{FlacEncoder, WriteWrapper};
use std::fmt::Debug;
use std::io;

/// Hands each frame of `samples` (interleaved) to `each`, numbered in some way; why one could not be
/// written, or what `each` says.
pub(super) fn each_frame(
    settings: &FrameSettings,
    samples: &[i32],
    mut each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut frames = Frames::default();
    encode(settings, samples, &mut frames)?;
    let begins = [0].into_iter().chain(frames.ends.iter().copied());
    begins.zip(&frames.ends).try_for_each(|(begin, &end)| each(&frames.bytes[begin..end]))
}

fn encode(settings: &FrameSettings, samples: &[i32], frames: &mut Frames) -> Result<(), String> {
    let encoder = FlacEncoder::new().ok_or_else(|| fault("begin", &"no memory"))?;
    let level = match settings.compression {
        Compression::Fast => 2,
        Compression::Default => 5,
        Compression::Best => 8,
    };
    let channels = u32::try_from(settings.channels).map_err(|error| fault("begin", &error))?;
    let frames_of_each = u32::try_from(samples.len() / settings.channels);
    let frames_of_each = frames_of_each.map_err(|error| fault("take so many samples", &error))?;
    let mut wrapper = WriteWrapper(frames);
    let mut encoder = encoder
        .channels(channels)
        .bits_per_sample(settings.bits.bits().into())
        .sample_rate(settings.listed_rate_hz)
        .compression_level(level)
        .blocksize(BLOCK_FRAMES as u32)
        .init_write(&mut wrapper)
        .map_err(|error| fault("begin", &error))?;
    encoder.process_interleaved(samples, frames_of_each).map_err(|()| fault("encode", &encoder.state()))?;
    encoder.finish().map(drop).map_err(|encoder| fault("end", &encoder.state()))
}

fn fault(action: &str, why: &dyn Debug) -> String {
    format!("libFLAC cannot {action}: {why:?}")
}

/// What libFLAC writes, without the head of the file: each call brings one frame.
#[derive(Debug, Default)]
struct Frames {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// The first byte of every frame, and of nothing in a file's head (RFC 9639, sections 8 and 9.1).
const SYNC: u8 = 0xff;

impl io::Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.first() == Some(&SYNC) {
            self.bytes.extend_from_slice(bytes);
            self.ends.push(self.bytes.len());
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
