//! Frames by libFLAC, the reference encoder: in C, several times as fast, and its bytes depend on what the processor can do.
//!
//! An encoder begins anew with each call, in the same memory: it gives a block away only when it has seen a sample of the next one, or
//! the end. So a frame takes nothing from the frame before.

use super::{BLOCK_FRAMES, FrameSettings};
use crate::config::Compression;
use flac_bound::{FlacEncoder, FlacEncoderConfig, WriteWrapper};
use std::cell::Cell;
use std::fmt::Debug;
use std::io;
use treble_core::StageError;

thread_local! {
    /// An encoder that nobody uses, with its workspace of some hundred KiB.
    static IDLE: Cell<Option<FlacEncoderConfig>> = const { Cell::new(None) };
}

/// Hands each frame of `samples` (interleaved) to `each`, numbered in some way.
pub(super) fn each_frame(
    settings: &FrameSettings,
    samples: &[i32],
    mut each: impl FnMut(&[u8]) -> Result<(), StageError>,
) -> Result<(), StageError> {
    let mut frames = Frames::default();
    let idle = encode(settings, samples, &mut frames)?;
    IDLE.set(Some(idle));
    let begins = [0].into_iter().chain(frames.ends.iter().copied());
    begins.zip(&frames.ends).try_for_each(|(begin, &end)| each(&frames.bytes[begin..end]))
}

fn encode(
    settings: &FrameSettings,
    samples: &[i32],
    frames: &mut Frames,
) -> Result<FlacEncoderConfig, StageError> {
    let idle = IDLE.take().or_else(FlacEncoder::new);
    let idle = idle.ok_or_else(|| fault("begin", &"no memory"))?;
    let level = match settings.compression {
        Compression::Fast => 2,
        Compression::Default => 5,
        Compression::Best => 8,
    };
    let channels = u32::try_from(settings.channels).map_err(|error| fault("begin", &error))?;
    let frames_of_each = u32::try_from(samples.len() / settings.channels);
    let frames_of_each = frames_of_each.map_err(|error| fault("take so many samples", &error))?;
    let mut wrapper = WriteWrapper(frames);
    let mut encoder = idle
        .channels(channels)
        .bits_per_sample(settings.bits.bits().into())
        .sample_rate(settings.listed_rate_hz)
        .compression_level(level)
        .blocksize(BLOCK_FRAMES as u32)
        .init_write(&mut wrapper)
        .map_err(|error| fault("begin", &error))?;
    encoder.process_interleaved(samples, frames_of_each).map_err(|()| fault("encode", &encoder.state()))?;
    encoder.finish().map_err(|encoder| fault("end", &encoder.state()))
}

fn fault(action: &str, why: &dyn Debug) -> StageError {
    StageError::Encoder { detail: format!("libFLAC cannot {action}: {why:?}") }
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
