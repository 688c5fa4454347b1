//! Opus in Ogg (RFC 7845): packets by libopus, pages by `ogg`, heads of our own.
//!
//! One page a chunk, so that a chunk can be played as soon as it is there. The encoder's state cannot be
//! saved, so a successor starts from the stream's beginning.

use ogg::{PacketWriteEndInfo as PageEnd, PacketWriter};
use opus::{Application, Bitrate, Channels, Encoder};
use std::fmt;
use treble_core::{PcmSpec, SampleRate, StageError};

/// PCM frames in a packet: 20 ms, which the authors of Opus recommend for all but the shortest delay.
pub(crate) const PACKET_FRAMES: usize = 960;
/// The bytes that libopus's manual recommends to have ready for one packet.
const MAX_PACKET_BYTES: usize = 4000;
/// The number of the one logical stream in the file; any value will do where nothing is multiplexed, and a
/// fixed one keeps a replay byte-identical.
const SERIAL: u32 = u32::from_be_bytes(*b"trbl");
/// Full scale of the 24-bit integers that the stage hands over; libopus itself assumes 24 bits.
const FULL_SCALE: f32 = 8_388_608.0;

/// Writes packets of 20 ms into one page a chunk.
pub(crate) struct OpusWriter {
    channels: Channels,
    encoder: Encoder,
    pages: PacketWriter<'static, Vec<u8>>,
    /// Frames that the decoder drops at the beginning: the encoder's delay.
    pre_skip: u16,
}

impl OpusWriter {
    pub(crate) fn new(spec: PcmSpec, bitrate_bps: u32) -> Result<Self, StageError> {
        let channels = supported(spec)?;
        let refused = |error: opus::Error| StageError::Encoder { detail: format!("Opus: {error}") };
        let mut encoder = Encoder::new(spec.rate.hz(), channels, Application::Audio).map_err(refused)?;
        encoder.set_bitrate(Bitrate::Bits(bitrate_bps.cast_signed())).map_err(refused)?;
        let delay = encoder.get_lookahead().map_err(refused)?;
        let pre_skip = u16::try_from(delay)
            .map_err(|_| StageError::Encoder { detail: format!("Opus: a delay of {delay} frames") })?;
        Ok(Self { channels, encoder, pages: PacketWriter::new(Vec::new()), pre_skip })
    }

    /// OpusHead and OpusTags, a page each (RFC 7845 section 5).
    pub(crate) fn header(&mut self) -> Result<Vec<u8>, StageError> {
        const VERSION: u8 = 1;
        const GAIN: [u8; 2] = [0; 2];
        const MAPPING_FAMILY: u8 = 0;
        let mut head = b"OpusHead".to_vec();
        head.extend([VERSION, self.channels as u8]);
        head.extend(self.pre_skip.to_le_bytes());
        head.extend(SampleRate::HZ_48000.hz().to_le_bytes());
        head.extend(GAIN);
        head.push(MAPPING_FAMILY);
        self.write(head, PageEnd::EndPage, 0)?;

        let vendor = opus::version().as_bytes();
        let mut tags = b"OpusTags".to_vec();
        tags.extend((vendor.len() as u32).to_le_bytes());
        tags.extend(vendor);
        tags.extend(0_u32.to_le_bytes());
        self.write(tags, PageEnd::EndPage, 0)?;
        Ok(self.take_pages())
    }

    /// The page of a chunk of whole packets (interleaved) that begins at `first_frame`.
    pub(crate) fn encode(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        let end = first_frame + (samples.len() / self.channels as usize) as u64;
        self.packets(samples, first_frame, end, PageEnd::EndPage)?;
        Ok(self.take_pages())
    }

    /// The last page: what remains, then silence until the encoder's delay has come out. Its granule position
    /// tells the decoder where the stream ends (section 4.4).
    pub(crate) fn finish(&mut self, samples: &[i32], first_frame: u64) -> Result<Vec<u8>, StageError> {
        let channels = self.channels as usize;
        let frames = samples.len() / channels + usize::from(self.pre_skip);
        let end = first_frame + frames as u64;
        let mut padded = samples.to_vec();
        padded.resize(frames.next_multiple_of(PACKET_FRAMES) * channels, 0);
        self.packets(&padded, first_frame, end, PageEnd::EndStream)?;
        Ok(self.take_pages())
    }

    /// Encodes whole packets; the granule position stops at `end`, and the page ends as `last` says.
    fn packets(
        &mut self,
        samples: &[i32],
        first_frame: u64,
        end: u64,
        last: PageEnd,
    ) -> Result<(), StageError> {
        let packet_samples = PACKET_FRAMES * self.channels as usize;
        let mut packets = samples.chunks(packet_samples).peekable();
        let mut granule = first_frame;
        while let Some(packet) = packets.next() {
            granule += PACKET_FRAMES as u64;
            let scaled: Vec<f32> = packet.iter().map(|&sample| sample as f32 / FULL_SCALE).collect();
            let bytes = self.encoder.encode_vec_float(&scaled, MAX_PACKET_BYTES).map_err(|error| {
                StageError::Encoder { detail: format!("Opus at frame {granule}: {error}") }
            })?;
            let page_end = if packets.peek().is_none() { last } else { PageEnd::NormalPacket };
            self.write(bytes, page_end, granule.min(end))?;
        }
        Ok(())
    }

    fn write(&mut self, packet: Vec<u8>, end: PageEnd, granule: u64) -> Result<(), StageError> {
        self.pages
            .write_packet(packet, SERIAL, end, granule)
            .map_err(|error| StageError::Encoder { detail: format!("Ogg: {error}") })
    }

    fn take_pages(&mut self) -> Vec<u8> {
        std::mem::take(self.pages.inner_mut())
    }
}

/// Mapping family 0 has one or two channels, and Opus codes 48 kHz; resampling is not this stage's work.
fn supported(spec: PcmSpec) -> Result<Channels, StageError> {
    let refuse = |detail: String| Err(StageError::Encoder { detail });
    if spec.rate != SampleRate::HZ_48000 {
        let hz = spec.rate.hz();
        return refuse(format!(
            "Opus takes 48000 Hz, the stream has {hz}; upscale to 48000 Hz, or choose flac"
        ));
    }
    match spec.channels.count() {
        1 => Ok(Channels::Mono),
        2 => Ok(Channels::Stereo),
        more => refuse(format!("Opus takes one or two channels, the stream has {more}; choose flac or wav")),
    }
}

impl fmt::Debug for OpusWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusWriter").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ogg::PacketReader;
    use std::io::Cursor;
    use treble_core::{ChannelCount, Pace, SampleDepth};

    fn writer(hz: u32, channels: u32, bitrate_bps: u32) -> Result<OpusWriter, StageError> {
        let (rate, channels) = (SampleRate::new(hz).unwrap(), ChannelCount::new(channels).unwrap());
        OpusWriter::new(PcmSpec { rate, channels, depth: SampleDepth::F32, pace: Pace::Bulk }, bitrate_bps)
    }

    #[test]
    fn the_head_is_that_of_rfc_7845() {
        let pages = writer(48_000, 2, 160_000).unwrap().header().unwrap();
        let mut packets = PacketReader::new(Cursor::new(pages));
        let head = packets.read_packet().unwrap().unwrap();
        assert!(head.first_in_stream() && head.last_in_page());
        assert_eq!(
            head.data, b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0",
            "version, channels, 312 frames, 48 kHz"
        );
        let tags = packets.read_packet().unwrap().unwrap();
        assert!(tags.first_in_page() && tags.last_in_page() && tags.data.starts_with(b"OpusTags"));
    }

    /// Granule positions of the pages that chunks of `frames` each, and a rest, come to.
    fn check_granules(chunks: &[usize], rest: usize, bitrate_bps: u32, expect_last: u64) {
        let mut writer = writer(48_000, 1, bitrate_bps).unwrap();
        let mut file = writer.header().unwrap();
        let noise = |frames: usize| {
            (0..frames as i32).map(|n| n.wrapping_mul(1_103_515_245) >> 8).collect::<Vec<_>>()
        };
        let mut at = 0;
        for &frames in chunks {
            file.extend(writer.encode(&noise(frames), at).unwrap());
            at += frames as u64;
        }
        file.extend(writer.finish(&noise(rest), at).unwrap());
        let mut reader = PacketReader::new(Cursor::new(file));
        let mut packets = std::iter::from_fn(|| reader.read_packet().unwrap()).skip(2).collect::<Vec<_>>();
        let last = packets.pop().unwrap();
        assert!(last.last_in_stream());
        assert_eq!(last.absgp_page(), expect_last);
        let whole = packets.len() as u64 * PACKET_FRAMES as u64;
        assert!(
            whole < expect_last && expect_last <= whole + PACKET_FRAMES as u64,
            "no packet too many or too few"
        );
        for (number, packet) in packets.iter().enumerate().filter(|(_, packet)| packet.last_in_page()) {
            assert_eq!(packet.absgp_page(), (number as u64 + 1) * 960);
        }
    }

    #[test]
    fn granule_positions_count_frames_and_the_last_trims_the_end() {
        check_granules(&[], 0, 160_000, 312);
        check_granules(&[], 1, 160_000, 313);
        check_granules(&[960], 648, 160_000, 960 + 648 + 312);
        check_granules(&[960], 649, 160_000, 960 + 649 + 312);
        check_granules(&[4800, 4800], 100, 160_000, 9600 + 100 + 312);
        // At this rate a chunk of a second needs more segments than a page has.
        check_granules(&[48_000, 48_000], 959, 510_000, 96_000 + 959 + 312);
    }

    #[test]
    fn what_opus_cannot_hold_is_refused_with_a_way_out() {
        let error = writer(44_100, 2, 160_000).unwrap_err().to_string();
        assert!(error.contains("44100") && error.contains("choose flac"), "{error}");
        let error = writer(48_000, 3, 160_000).unwrap_err().to_string();
        assert!(error.contains("has 3") && error.contains("choose flac"), "{error}");
    }
}
