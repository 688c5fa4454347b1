//! Frames by flac-codec: in Rust, and the same bytes on every machine.

use super::{BLOCK_FRAMES, FrameSettings};
use crate::config::Compression;
use flac_codec::encode::{FlacStreamWriter, Options};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// Hands each frame of `samples` (interleaved) to `each`, numbered in some way; why one could not be
/// written, or what `each` says.
pub(super) fn each_frame(
    settings: &FrameSettings,
    samples: &[i32],
    each: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    FRAME_WRITERS.with_borrow_mut(|writers| {
        let at = writers.iter().position(|(compression, _)| *compression == settings.compression);
        let at = at.unwrap_or_else(|| {
            writers.push((settings.compression, FrameWriter::new(settings.compression)));
            writers.len() - 1
        });
        writers[at].1.each_frame(settings, samples, each)
    })
}

/// flac-codec's writer of frames, with its workspace of some hundred KiB.
struct FrameWriter {
    frames: FlacStreamWriter<Sink>,
    sink: Sink,
}

impl FrameWriter {
    fn new(compression: Compression) -> Self {
        let options = match compression {
            Compression::Fast => Options::fast(),
            Compression::Default => Options::default().fast_channel_correlation(true),
            Compression::Best => Options::best(),
        };
        let sink = Sink::default();
        Self { frames: FlacStreamWriter::new(sink.clone(), options), sink }
    }

    fn each_frame(
        &mut self,
        settings: &FrameSettings,
        samples: &[i32],
        mut each: impl FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let FrameSettings { channels, bits, listed_rate_hz, .. } = *settings;
        for block in samples.chunks(BLOCK_FRAMES * channels) {
            // A frame that failed may have left a part of itself.
            self.sink.0.borrow_mut().clear();
            self.frames
                .write(listed_rate_hz, channels as u8, bits.bits().into(), block)
                .map_err(|error| error.to_string())?;
            each(&self.sink.0.borrow())?;
        }
        Ok(())
    }
}

thread_local! {
    /// One a thread and effort, not one a stream: a frame takes nothing from the frame before but the workspace.
    static FRAME_WRITERS: RefCell<Vec<(Compression, FrameWriter)>> = const { RefCell::new(Vec::new()) };
}

/// Where the frame writer, which owns its output for life, leaves the bytes of a frame. Shared by it and by
/// [`FrameWriter`], on one thread.
#[derive(Debug, Clone, Default)]
struct Sink(Rc<RefCell<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
