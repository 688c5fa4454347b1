//! Probing and demuxing of one stream, from first byte to last. Runs inside the coroutine.

use crate::opus;
use crate::raw::{PACKET_FRAMES, RawForm, RawPackets};
use crate::renew::Renewal;
use crate::resume::{Kind, Resume, Watch};
use crate::session::{Job, Session, not_audio};
use crate::source::ByteSource;
use crate::spool::{self, Input, Promise};
use crate::tap::Tap;
use crate::trim::Trim;
use bytes::Bytes;
use std::io::{self, Cursor, ErrorKind};
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatId, FormatInfo, FormatOptions, FormatReader, TrackType, well_known};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadBytes};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use treble_core::StageError;

/// Errors in a row from a demuxer that are skipped before the stream is given up.
const DEMUX_ERRORS_MAX: u32 = 16;

/// How much of a live stream's samples is read at once, as a part of a second.
const SAMPLES_AT_ONCE: u32 = 100;

/// Bytes behind the last FLAC frame that tags may account for. More are frames that do not fit the stream's head,
/// which the demuxer passes over in silence.
const FLAC_TAIL_BYTES_MAX: u64 = 16 << 10;

/// Reads a stream of headerless samples.
pub(crate) fn read_raw(source: ByteSource, form: RawForm, job: Job) -> Result<(), StageError> {
    let (rate, channels) = job.limits.admit(form.hz, form.channels as usize)?;
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(form.codec)
        .with_sample_rate(rate.hz())
        .with_channels(Channels::Discrete(u16::try_from(channels.count()).unwrap_or(u16::MAX)))
        .with_bits_per_sample(8 * u32::try_from(form.sample_bytes).unwrap_or(u32::MAX))
        .with_max_frames_per_packet(PACKET_FRAMES as u64);
    let frame_bytes = form.sample_bytes * channels.count();
    let (offset, frame) = job.resume.as_ref().map_or((0, 0), |resume| (resume.offset, resume.frame));
    let mut session = Session::new(job);
    session.watch = Some(Watch::raw(offset, frame, frame_bytes as u64));
    let mut decoder = session.decoder(&params)?;
    let mut packets = RawPackets::new(source, frame_bytes);
    loop {
        match packets.next_packet().map_err(|error| session.corrupt(&error))? {
            Ok(Some(data)) => {
                let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, data);
                session.decode(&mut decoder, &packet)?;
            }
            Ok(None) => return session.finish(),
            Err(surplus) => {
                return Err(session.truncated(format!("{surplus} bytes of a frame are left over")));
            }
        }
    }
}

/// Reads a stream whose container and codec the bytes tell; `media_type` is a hint.
pub(crate) fn read_container(mut source: ByteSource, media_type: &str, job: Job) -> Result<(), StageError> {
    let resume = job.resume.clone();
    let tap = Tap::remembering(resume.as_ref().map_or(0, |resume| resume.offset - resume.head.len() as u64));
    if let Some(resume) = &resume {
        source.prepend(&resume.head);
    }
    source.tap(tap.clone());
    let (media, file, promise): (Box<dyn MediaSource>, _, _) = match spool::open(source, &job.limits)? {
        Input::Live(source, promise) => (Box::new(source), None, promise),
        Input::Whole(file) => (Box::new(Cursor::new(file.clone())), Some(file), Promise::None),
    };
    let stream = MediaSourceStream::new(media, MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.mime_type(media_type);
    let mut session = Session::new(job);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| session.unreadable(error))?;
    if promise == Promise::Search && !may_be_searched(format.format_info().format) {
        return Err(not_audio());
    }
    let mut demuxer = Demuxer { session: &mut session, file, tap, resume };
    let (end, rest) = loop {
        match demuxer.read_tracks(&mut *format)? {
            Turn::OtherTracks => {}
            Turn::End(end) => break (end, format.into_inner()),
            Turn::Samples(reading, frame_bytes) => {
                let mut rest = format.into_inner();
                break (demuxer.read_samples(reading, frame_bytes, &mut rest)?, rest);
            }
        }
    };
    demuxer.judge(&end, promise, rest)?;
    session.finish()
}

/// Whether a format may be found behind bytes that nothing is made of. A WAV header somewhere inside of another
/// file does not make that a WAV file.
fn may_be_searched(format: FormatId) -> bool {
    use well_known::{FORMAT_ID_AIFF, FORMAT_ID_CAF, FORMAT_ID_ISOMP4, FORMAT_ID_WAVE};
    ![FORMAT_ID_WAVE, FORMAT_ID_AIFF, FORMAT_ID_CAF, FORMAT_ID_ISOMP4].contains(&format)
}

/// How a demuxer came to its end.
struct End {
    container: FormatId,
    /// What the container promised, before trimming.
    expected_frames: Option<u64>,
    /// Whether the demuxer wanted more bytes.
    early: bool,
}

/// Why a demuxer reads no more of the tracks that it read.
enum Turn {
    /// There is no more.
    End(End),
    /// They are replaced by others, as in chained Ogg.
    OtherTracks,
    /// What follows are samples, of so many bytes a frame, that need no demuxer.
    Samples(Reading, usize),
}

/// The track that is read.
struct Reading {
    track_id: u32,
    container: FormatId,
    expected_frames: Option<u64>,
    decoder: Box<dyn AudioDecoder>,
}

impl Reading {
    fn end(&self, early: bool) -> End {
        End { container: self.container, expected_frames: self.expected_frames, early }
    }
}

struct Demuxer<'a> {
    session: &'a mut Session,
    /// The whole file, where it was spooled.
    file: Option<Bytes>,
    tap: Tap,
    /// Where the stream goes on; taken by the first packet.
    resume: Option<Resume>,
}

impl Demuxer<'_> {
    fn read_tracks(&mut self, format: &mut dyn FormatReader) -> Result<Turn, StageError> {
        let mut reading = self.open_track(format)?;
        let mut errors = 0;
        loop {
            match format.next_packet() {
                Ok(Some(packet)) if packet.track_id == reading.track_id => {
                    errors = 0;
                    self.packet(&mut reading, &packet)?;
                    if let Some(frame_bytes) = self.session.live_sample_bytes() {
                        return Ok(Turn::Samples(reading, frame_bytes));
                    }
                }
                Ok(Some(_)) => self.tap.packet(),
                Ok(None) => return Ok(Turn::End(reading.end(false))),
                Err(Error::ResetRequired) => return Ok(Turn::OtherTracks),
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(Turn::End(reading.end(true)));
                }
                Err(Error::DecodeError(reason)) if errors < DEMUX_ERRORS_MAX => {
                    errors += 1;
                    self.session.lost(0, reason)?;
                }
                Err(error) => return Err(self.session.unreadable(error)),
            }
        }
    }

    /// Reads the samples of a live stream's WAV, whose frames are of `frame_bytes`, up to the next hundredth of a second. Symphonia's
    /// packets of them hold 1,152 frames, for which a live stream at 8 kHz would wait for 144 ms.
    fn read_samples(
        &mut self,
        mut reading: Reading,
        frame_bytes: usize,
        stream: &mut MediaSourceStream<'_>,
    ) -> Result<End, StageError> {
        let most = self.session.frames_of(SAMPLES_AT_ONCE);
        loop {
            let at = self.session.decoded_frames;
            let left = reading.expected_frames.map_or(u64::MAX, |expected| expected.saturating_sub(at));
            let frames = left.min(most - at % most);
            if frames == 0 {
                return Ok(reading.end(false));
            }
            let mut data = vec![0; usize::try_from(frames).unwrap_or(usize::MAX) * frame_bytes];
            let read = io::Read::read(stream, &mut data).map_err(|error| self.session.corrupt(&error))?;
            let early = read < data.len();
            data.truncate(read - read % frame_bytes);
            if !data.is_empty() {
                let duration = Duration::from((data.len() / frame_bytes) as u64);
                let packet = Packet::new(reading.track_id, Timestamp::ZERO, duration, data);
                self.packet(&mut reading, &packet)?;
            }
            if early {
                return Ok(reading.end(true));
            }
        }
    }

    fn open_track(&mut self, format: &dyn FormatReader) -> Result<Reading, StageError> {
        let FormatInfo { format: container, short_name, .. } = *format.format_info();
        let unsupported = |what: &str| StageError::Unsupported { detail: format!("{short_name} {what}") };
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported("without an audio track of a known codec"))?;
        let params = track.codec_params.as_ref().and_then(|params| params.audio());
        let mut params = params.ok_or_else(|| unsupported("without an audio track"))?.clone();
        let head = opus::take_head(&mut params);
        let session = &mut *self.session;
        session.gain = head.map_or(1.0, |head| head.gain);
        // A stream that goes on was trimmed at its start, and its head is not there to say more.
        let total = match &self.resume {
            Some(resume) => resume.total,
            None => {
                session.trim = Trim::of(container, track, self.file.as_deref(), head);
                track.num_frames.filter(|_| container == well_known::FORMAT_ID_MP3)
            }
        };
        session.watch = Some(Watch::container(container, track.id, &params, total, self.tap.clone()));
        session.renewal =
            (container == well_known::FORMAT_ID_ADTS).then(|| Renewal::new(self.resume.is_some()));
        // The length in a WAV head is what is left; in that of FLAC it is the whole.
        let gone = if container == well_known::FORMAT_ID_WAVE { session.decoded_frames } else { 0 };
        Ok(Reading {
            track_id: track.id,
            container,
            expected_frames: track.num_frames.map(|frames| frames + gone),
            decoder: session.decoder(&params)?,
        })
    }

    fn packet(&mut self, reading: &mut Reading, packet: &Packet) -> Result<(), StageError> {
        if let Some(resume) = self.resume.take() {
            let same = resume.kind == Kind::Wave || resume.first_packet_bytes == packet.data.len() as u64;
            if !same {
                let detail = format!("no packet of {} bytes at {}", resume.first_packet_bytes, resume.offset);
                return Err(StageError::Checkpoint { detail });
            }
        }
        if reading.container == well_known::FORMAT_ID_FLAC {
            self.session.catch_up(u64::try_from(packet.pts.get()).unwrap_or(0))?;
        }
        self.session.decode(&mut reading.decoder, packet)
    }

    /// Judges the end of the stream.
    ///
    /// MP3 and ADTS have no end of their own, and players of Ogg are asked to bear with streams whose last page
    /// is missing (RFC 7845, section 4).
    fn judge(&self, end: &End, promise: Promise, mut rest: MediaSourceStream<'_>) -> Result<(), StageError> {
        use well_known::{FORMAT_ID_ADTS, FORMAT_ID_FLAC, FORMAT_ID_MP3, FORMAT_ID_OGG};
        let open_ended = [FORMAT_ID_MP3, FORMAT_ID_ADTS, FORMAT_ID_OGG].contains(&end.container);
        if promise == Promise::OpenEnded || open_ended {
            return Ok(());
        }
        if let Promise::Bytes(promised) = promise {
            io::copy(&mut rest, &mut io::sink()).map_err(|error| self.session.corrupt(&error))?;
            if rest.pos() < promised {
                return Err(self.session.truncated(format!("the container promises {promised} bytes")));
            }
            return Ok(());
        }
        let tail = self.tap.barren();
        match end.expected_frames {
            _ if end.container == FORMAT_ID_FLAC && tail > FLAC_TAIL_BYTES_MAX => {
                Err(self.session.corrupt(&format!("the last {tail} bytes hold no frame like those before")))
            }
            Some(expected) if self.session.decoded_frames < expected => {
                Err(self.session.truncated(format!("the container promises {expected} frames")))
            }
            None if end.early => Err(self.session.truncated("the container is not complete".to_owned())),
            _ => Ok(()),
        }
    }
}
