//! Native FLAC (RFC 9639): a head of our own and frames by flac-codec.

use crate::config::{BitDepth, Compression};
use crate::frame_header::renumber;
use flac_codec::encode::{FlacStreamWriter, Options};
use flac_codec::stream::SampleRate as FrameRate;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use treble_core::{PcmSpec, StageError};

/// Samples of each channel in a frame: the block size of the reference encoder, within the streamable subset.
pub(crate) const BLOCK_FRAMES: usize = 4096;
/// The most channels that FLAC holds.
const MAX_CHANNELS: usize = 8;

/// Writes frames of [`BLOCK_FRAMES`], each of which depends on its samples and its number only.
#[derive(Debug)]
pub(crate) struct FlacWriter {
    spec: PcmSpec,
    bits: BitDepth,
    compression: Compression,
    /// The rate that the frame writer is told: any listed one where the true rate has no code in a frame.
    listed_rate_hz: u32,
}

impl FlacWriter {
    pub(crate) fn new(spec: PcmSpec, bits: BitDepth, compression: Compression) -> Result<Self, StageError> {
        let channels = spec.channels.count();
        if channels > MAX_CHANNELS {
            return Err(StageError::Encoder {
                detail: format!("FLAC holds {MAX_CHANNELS} channels, the stream has {channels}; choose wav"),
            });
        }
        let listed = !matches!(FrameRate::try_from(spec.rate.hz()), Ok(FrameRate::Streaminfo(_)) | Err(_));
        Ok(Self { spec, bits, compression, listed_rate_hz: if listed { spec.rate.hz() } else { 48_000 } })
    }

    /// `fLaC` and STREAMINFO (section 8.2). Frame sizes, total and MD5 are 0, which means unknown.
    pub(crate) fn header(&self) -> Vec<u8> {
        const LAST_BLOCK_STREAMINFO: u8 = 0x80;
        const STREAMINFO_BYTES: u8 = 34;
        let mut head = b"fLaC".to_vec();
        head.extend([LAST_BLOCK_STREAMINFO, 0, 0, STREAMINFO_BYTES]);
        let block = (BLOCK_FRAMES as u16).to_be_bytes();
        head.extend([block, block].concat());
        head.extend([0; 6]);
        let channels = self.spec.channels.count() as u64 - 1;
        let bits = u64::from(self.bits.bits()) - 1;
        let packed = u64::from(self.spec.rate.hz()) << 44 | channels << 41 | bits << 36;
        head.extend(packed.to_be_bytes());
        head.extend([0; 16]);
        head
    }

    /// The frames of `samples` (interleaved), of which the first is number `first_frame / 4096`. Only the last
    /// frame of a stream may be short.
    pub(crate) fn encode(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        FRAME_WRITERS.with_borrow_mut(|writers| {
            let at = writers.iter().position(|(compression, _)| *compression == self.compression);
            let at = at.unwrap_or_else(|| {
                writers.push((self.compression, FrameWriter::new(self.compression)));
                writers.len() - 1
            });
            self.encode_by(&mut writers[at].1, samples, first_frame)
        })
    }

    fn encode_by(
        &self,
        writer: &mut FrameWriter,
        samples: &[i32],
        first_frame: u64,
    ) -> Result<Vec<u8>, StageError> {
        let channels = self.spec.channels.count();
        let rate_unlisted = self.listed_rate_hz != self.spec.rate.hz();
        let mut out = Vec::with_capacity(samples.len() * self.bits.bytes());
        let numbers = first_frame / BLOCK_FRAMES as u64..;
        for (block, number) in samples.chunks(BLOCK_FRAMES * channels).zip(numbers) {
            // A frame that failed may have left a part of itself.
            writer.sink.0.borrow_mut().clear();
            writer
                .frames
                .write(self.listed_rate_hz, channels as u8, self.bits.bits().into(), block)
                .map_err(|error| StageError::Encoder { detail: format!("FLAC frame {number}: {error}") })?;
            let frame = writer.sink.0.borrow();
            renumber(&frame, number, rate_unlisted, &mut out).ok_or_else(|| StageError::Encoder {
                detail: format!("FLAC cannot number frame {number}"),
            })?;
        }
        out.shrink_to_fit();
        Ok(out)
    }
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
}

thread_local! {
    /// One a thread and effort, not one a stream: a frame takes nothing from the frame before but the workspace.
    static FRAME_WRITERS: RefCell<Vec<(Compression, FrameWriter)>> = const { RefCell::new(Vec::new()) };
}

/// Where the frame writer, which owns its output for life, leaves the bytes of a frame. Shared by it and by
/// [`FlacWriter`], on one thread.
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
