//! Probing, demuxing and decoding of one stream, from first byte to last. Runs inside the coroutine.

use crate::assemble::Assembler;
use crate::depth::{depth_of, holds};
use crate::limits::Limits;
use crate::opus;
use crate::raw::{PACKET_FRAMES, RawForm, RawPackets};
use crate::source::ByteSource;
use crate::spool::{self, Input, Promise};
use crate::trim::Trim;
use std::io::{self, Cursor, ErrorKind};
use std::sync::OnceLock;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatId, FormatInfo, FormatOptions, FormatReader, TrackType, well_known};
use symphonia::core::io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadBytes};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use treble_core::{Fact, Pace, PcmSpec, SampleDepth, StageError};

/// Errors in a row from a demuxer that are skipped before the stream is given up.
const DEMUX_ERRORS_MAX: u32 = 16;

/// The longest hole in a time line that is believed and filled.
const HOLE_SECONDS_MAX: u64 = 10;

/// Frames of silence that stand in for one lost packet at most: the longest FLAC block.
const LOST_FRAMES_MAX: u64 = 65_535;

/// The codecs of Symphonia, and Opus.
fn codecs() -> &'static CodecRegistry {
    static CODECS: OnceLock<CodecRegistry> = OnceLock::new();
    CODECS.get_or_init(|| {
        let mut registry = CodecRegistry::new();
        symphonia::default::register_enabled_codecs(&mut registry);
        registry.register_audio_decoder::<symphonia_adapter_libopus::OpusDecoder>();
        registry
    })
}

/// Reads a stream of headerless samples.
pub(crate) fn read_raw(
    source: ByteSource,
    form: RawForm,
    assembler: Assembler,
    limits: Limits,
    pace: Pace,
) -> Result<(), StageError> {
    let (rate, channels) = limits.admit(form.hz, form.channels as usize)?;
    let mut params = AudioCodecParameters::new();
    params
        .for_codec(form.codec)
        .with_sample_rate(rate.hz())
        .with_channels(Channels::Discrete(u16::try_from(channels.count()).unwrap_or(u16::MAX)))
        .with_bits_per_sample(8 * u32::try_from(form.sample_bytes).unwrap_or(u32::MAX))
        .with_max_frames_per_packet(PACKET_FRAMES as u64);
    let mut session = Session::new(assembler, limits, pace);
    let mut decoder = session.decoder(&params)?;
    session.announce(&*decoder)?;
    let mut packets = RawPackets::new(source, form.sample_bytes * channels.count());
    loop {
        match packets.next_packet().map_err(|error| session.corrupt(&error))? {
            Ok(Some(data)) => {
                let packet = Packet::new(0, Timestamp::ZERO, Duration::ZERO, data);
                session.decode(&mut *decoder, &packet)?;
            }
            Ok(None) => return session.finish(),
            Err(surplus) => {
                return Err(session.truncated(format!("{surplus} bytes of a frame are left over")));
            }
        }
    }
}

/// Reads a stream whose container and codec the bytes tell.
pub(crate) fn read_container(
    source: ByteSource,
    media_type: &str,
    assembler: Assembler,
    limits: Limits,
    pace: Pace,
) -> Result<(), StageError> {
    let (media, file, promise): (Box<dyn MediaSource>, _, _) = match spool::open(source, &limits)? {
        Input::Live(source, promise) => (Box::new(source), None, promise),
        Input::Whole(file) => (Box::new(Cursor::new(file.clone())), Some(file), Promise::None),
    };
    let stream = MediaSourceStream::new(media, MediaSourceStreamOptions::default());
    let mut hint = Hint::new();
    hint.mime_type(media_type);
    let mut session = Session::new(assembler, limits, pace);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| session.unreadable(error))?;
    // The prober skips what it does not know. A WAV header somewhere inside of another file is not a WAV file.
    let misplaced = [
        well_known::FORMAT_ID_WAVE,
        well_known::FORMAT_ID_AIFF,
        well_known::FORMAT_ID_CAF,
        well_known::FORMAT_ID_ISOMP4,
    ]
    .contains(&format.format_info().format)
        && promise == Promise::Search;
    if misplaced {
        return Err(not_audio());
    }
    let end = loop {
        if let Some(end) = session.read_tracks(&mut *format, file.as_deref())? {
            break end;
        }
    };
    session.judge(end, promise, format)?;
    session.finish()
}

/// How a demuxer came to its end.
struct End {
    container: FormatId,
    /// What the container promised, before trimming.
    expected_frames: Option<u64>,
    /// Whether the demuxer wanted more bytes.
    early: bool,
}

/// What is known of the track that is read.
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

/// The state of one stream's reading.
struct Session {
    assembler: Assembler,
    limits: Limits,
    pace: Pace,
    trim: Trim,
    /// What the container says, for streams of which nothing was decoded yet.
    params: AudioCodecParameters,
    /// Whether any packet was decoded.
    heard: bool,
    /// Packets that were lost.
    losses: u64,
    /// The sample number of the first packet, where packets are numbered by the sample.
    origin: Option<u64>,
    /// Factor that the stream asks for.
    gain: f32,
    /// Short name of the codec.
    codec: &'static str,
    scratch: Vec<Vec<f32>>,
    /// Frames decoded or replaced, before trimming.
    decoded_frames: u64,
    /// Bytes of packets.
    packet_bytes: u64,
}

impl Session {
    fn new(assembler: Assembler, limits: Limits, pace: Pace) -> Self {
        Self {
            assembler,
            limits,
            pace,
            trim: Trim::default(),
            params: AudioCodecParameters::new(),
            heard: false,
            losses: 0,
            origin: None,
            gain: 1.0,
            codec: "",
            scratch: Vec::new(),
            decoded_frames: 0,
            packet_bytes: 0,
        }
    }

    /// Reads until the stream ends, or its tracks are replaced by others (`None`), as in chained Ogg.
    fn read_tracks(
        &mut self,
        format: &mut dyn FormatReader,
        file: Option<&[u8]>,
    ) -> Result<Option<End>, StageError> {
        let mut reading = self.open_track(format, file)?;
        self.announce(&*reading.decoder)?;
        let mut errors = 0;
        loop {
            match format.next_packet() {
                Ok(Some(packet)) if packet.track_id == reading.track_id => {
                    errors = 0;
                    self.catch_up(&reading, packet.pts)?;
                    self.decode(&mut *reading.decoder, &packet)?;
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(reading.end(false))),
                Err(Error::ResetRequired) => return Ok(None),
                Err(Error::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(Some(reading.end(true)));
                }
                Err(Error::DecodeError(reason)) if errors < DEMUX_ERRORS_MAX => {
                    errors += 1;
                    self.lost(0, reason)?;
                }
                Err(error) => return Err(self.unreadable(error)),
            }
        }
    }

    fn open_track(&mut self, format: &dyn FormatReader, file: Option<&[u8]>) -> Result<Reading, StageError> {
        let FormatInfo { format: container, short_name, .. } = *format.format_info();
        let unsupported = |what: &str| StageError::Unsupported { detail: format!("{short_name} {what}") };
        let track = format
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported("without an audio track of a known codec"))?;
        let params = track.codec_params.as_ref().and_then(|params| params.audio());
        let mut params = params.ok_or_else(|| unsupported("without an audio track"))?.clone();
        let head = opus::take_head(&mut params);
        self.trim = Trim::of(container, track, file, head);
        self.gain = head.map_or(1.0, |head| head.gain);
        let decoder = self.decoder(&params)?;
        Ok(Reading { track_id: track.id, container, expected_frames: track.num_frames, decoder })
    }

    /// Fills a hole in the time line, where packets are numbered by the sample: FLAC whose frames were damaged.
    fn catch_up(&mut self, reading: &Reading, start: Timestamp) -> Result<(), StageError> {
        if reading.container != well_known::FORMAT_ID_FLAC {
            return Ok(());
        }
        let start = u64::try_from(start.get()).unwrap_or(0);
        let origin = *self.origin.get_or_insert(start);
        let Some(hole) = start.checked_sub(origin + self.decoded_frames).filter(|hole| *hole > 0) else {
            return Ok(());
        };
        let believable = self.assembler.spec().map_or(0, |spec| HOLE_SECONDS_MAX * u64::from(spec.rate.hz()));
        self.lost(if hole <= believable { hole } else { 0 }, "frames are missing")
    }

    fn decoder(&mut self, params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, StageError> {
        self.params = params.clone();
        codecs()
            .make_audio_decoder(params, &AudioDecoderOptions::default())
            .map_err(|error| self.unreadable(error))
    }

    /// Announces the format that `decoder` will write, where it knows it before the first packet.
    fn announce(&mut self, decoder: &dyn AudioDecoder) -> Result<(), StageError> {
        let codec = decoder.codec_info().short_name;
        self.codec = codec;
        let buffer = decoder.last_decoded();
        if buffer.is_unused() {
            return Ok(());
        }
        let depth = depth_of(&buffer, decoder.codec_params());
        self.begin(buffer.spec().rate(), buffer.spec().channels().count(), depth)
    }

    /// Announces what the container says, if nothing else was announced before.
    fn announce_unheard(&mut self) -> Result<(), StageError> {
        if self.assembler.spec().is_some() {
            return Ok(());
        }
        let (hz, channels) = (self.params.sample_rate, self.params.channels.as_ref().map(Channels::count));
        self.begin(hz.unwrap_or_default(), channels.unwrap_or_default(), SampleDepth::F32)
    }

    fn begin(&mut self, hz: u32, channels: usize, depth: SampleDepth) -> Result<(), StageError> {
        let (rate, channels) = self.limits.admit(hz, channels)?;
        let spec = PcmSpec { rate, channels, depth, pace: self.pace };
        if self.assembler.spec().is_none() {
            self.assembler.note(Fact::SourceIdentified { codec: self.codec, spec });
        }
        self.assembler.begin(spec)
    }

    fn decode(&mut self, decoder: &mut dyn AudioDecoder, packet: &Packet) -> Result<(), StageError> {
        if opus::is_repeated_header(self.params.codec, &packet.data) {
            return Ok(());
        }
        self.packet_bytes += packet.data.len() as u64;
        let lost = packet.dur.get().min(LOST_FRAMES_MAX);
        match decoder.decode(packet) {
            Ok(buffer) if buffer.frames() == 0 => return Ok(()),
            Ok(buffer) => buffer.copy_to_vecs_planar(&mut self.scratch),
            Err(Error::DecodeError(reason)) => return self.lost(lost, reason),
            Err(Error::IoError(_)) => return self.lost(lost, "the packet ends too early"),
            Err(Error::ResetRequired) => return self.lost(lost, "the decoder was reset"),
            Err(error) => return Err(self.unreadable(error)),
        }
        let buffer = decoder.last_decoded();
        let depth = depth_of(&buffer, decoder.codec_params());
        self.begin(buffer.spec().rate(), buffer.spec().channels().count(), depth)?;
        if !holds(depth, &self.scratch) {
            return self.lost(lost, "samples deeper than the stream says");
        }
        self.heard = true;
        let frames = buffer.frames();
        self.account(frames as u64)?;
        if self.gain != 1.0 {
            self.scratch.iter_mut().flatten().for_each(|sample| *sample *= self.gain);
        }
        let kept = self.trim.next(frames);
        self.assembler.append(&self.scratch, kept);
        Ok(())
    }

    /// Puts silence in the place of a lost packet of `frames` frames.
    fn lost(&mut self, frames: u64, reason: &str) -> Result<(), StageError> {
        self.assembler.note(Fact::PacketSkipped { reason: reason.to_owned() });
        self.announce_unheard()?;
        self.assembler.mark_gap();
        self.losses += 1;
        self.account(frames)?;
        let kept = self.trim.next(usize::try_from(frames).unwrap_or(usize::MAX));
        self.assembler.append_silence(kept.len() as u64);
        Ok(())
    }

    /// Counts decoded frames against the limits.
    fn account(&mut self, frames: u64) -> Result<(), StageError> {
        self.decoded_frames += frames;
        let Some(spec) = self.assembler.spec() else { return Ok(()) };
        self.limits.check_duration(self.decoded_frames, spec.rate)?;
        let bytes = self.decoded_frames * (spec.channels.count() * size_of::<f32>()) as u64;
        self.limits.check_expansion(bytes, self.packet_bytes)
    }

    /// Judges the end of the stream.
    ///
    /// MP3 and ADTS have no end of their own, and players of Ogg are asked to bear with streams whose last page
    /// is missing (RFC 7845, section 4).
    fn judge(
        &self,
        end: End,
        promise: Promise,
        format: Box<dyn FormatReader + '_>,
    ) -> Result<(), StageError> {
        let open_ended = [well_known::FORMAT_ID_MP3, well_known::FORMAT_ID_ADTS, well_known::FORMAT_ID_OGG];
        if promise == Promise::OpenEnded || open_ended.contains(&end.container) {
            return Ok(());
        }
        if let Promise::Bytes(promised) = promise {
            let mut rest = format.into_inner();
            io::copy(&mut rest, &mut io::sink()).map_err(|error| self.corrupt(&error))?;
            if rest.pos() < promised {
                return Err(self.truncated(format!("the container promises {promised} bytes")));
            }
            return Ok(());
        }
        match end.expected_frames {
            Some(expected) if self.decoded_frames < expected => {
                Err(self.truncated(format!("the container promises {expected} frames")))
            }
            None if end.early => Err(self.truncated("the container is not complete".to_owned())),
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<(), StageError> {
        if self.losses > 0 && !self.heard {
            return Err(self.corrupt(&"no packet could be decoded"));
        }
        self.announce_unheard()?;
        self.assembler.finish();
        Ok(())
    }

    fn corrupt(&self, detail: &impl ToString) -> StageError {
        StageError::Corrupt { frame: self.assembler.frames(), detail: detail.to_string() }
    }

    fn truncated(&self, detail: String) -> StageError {
        StageError::Truncated { frame: self.assembler.frames(), detail }
    }

    /// The stage's word for an error of Symphonia that no packet can be skipped for.
    fn unreadable(&self, error: Error) -> StageError {
        match error {
            Error::Unsupported(what) if what.starts_with("core (probe)") => not_audio(),
            Error::Unsupported(what) => StageError::Unsupported { detail: what.to_owned() },
            Error::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.truncated("the stream ends before its first packet".to_owned())
            }
            other => self.corrupt(&other),
        }
    }
}

fn not_audio() -> StageError {
    StageError::NotAudio { detail: "no reader knows these bytes".to_owned() }
}
