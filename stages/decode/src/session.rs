//! One stream's decoding: packets in, frames to the assembler, every limit checked, every loss made good.

use crate::assemble::Assembler;
use crate::depth::{depth_of, holds};
use crate::limits::Limits;
use crate::mixed::MixedBlocks;
use crate::opus;
use crate::renew::Renewal;
use crate::resume::{Resume, Watch};
use crate::trim::Trim;
use std::cell::RefCell;
use std::io::ErrorKind;
use std::sync::OnceLock;
use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::codecs::registry::CodecRegistry;
use symphonia::core::errors::Error;
use symphonia::core::packet::Packet;
use treble_core::{Fact, Pace, PcmSpec, SampleDepth, StageError};

/// Frames of silence that stand in for one lost packet at most: the longest FLAC block.
const LOST_FRAMES_MAX: u64 = 65_535;

/// The longest hole in a time line that is believed and filled.
const HOLE_SECONDS_MAX: u64 = 10;

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

fn make_decoder(params: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, Error> {
    codecs().make_audio_decoder(params, &AudioDecoderOptions::default())
}

/// What a reader is given.
#[derive(Debug)]
pub(crate) struct Job {
    /// Where frames go.
    pub(crate) assembler: Assembler,
    /// What the stream may cost.
    pub(crate) limits: Limits,
    /// Whether the stream is live or bulk.
    pub(crate) pace: Pace,
    /// Where it goes on, if it does not begin.
    pub(crate) resume: Option<Resume>,
}

/// The state of one stream's decoding.
pub(crate) struct Session {
    assembler: Assembler,
    limits: Limits,
    pace: Pace,
    /// The window of frames that are kept.
    pub(crate) trim: Trim,
    /// Where a successor could go on.
    pub(crate) watch: Option<Watch>,
    /// When a new decoder takes over, where one does.
    pub(crate) renewal: Option<Renewal>,
    /// Frames of MP3 that come out as noise.
    mixed: MixedBlocks,
    /// Factor that the stream asks for.
    pub(crate) gain: f32,
    /// Frames decoded or replaced, before trimming.
    pub(crate) decoded_frames: u64,
    /// What the container says, for streams of which nothing was decoded yet.
    params: AudioCodecParameters,
    /// Short name of the codec.
    codec: &'static str,
    /// The sample number of the first packet, where packets are numbered by the sample.
    origin: Option<u64>,
    /// Whether the frames to come were already lost and told of by a predecessor.
    warming: bool,
    /// Whether any packet was decoded.
    heard: bool,
    /// Packets that were lost.
    losses: u64,
    /// Bytes of packets.
    packet_bytes: u64,
}

thread_local! {
    /// The frames of one packet, on their way to the assembler: one a thread, since no stream leaves anything there.
    static PLANES: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

impl Session {
    pub(crate) fn new(job: Job) -> Self {
        let resume = job.resume.as_ref();
        Self {
            trim: resume.map_or_else(Trim::default, |resume| Trim {
                skip: resume.grid - resume.frame,
                keep: resume.total.map(|total| total.saturating_sub(resume.grid)),
            }),
            decoded_frames: resume.map_or(0, |resume| resume.frame),
            origin: resume.and_then(|resume| resume.origin),
            warming: resume.is_some(),
            heard: resume.is_some(),
            packet_bytes: resume.map_or(0, |resume| resume.packet_bytes),
            assembler: job.assembler,
            limits: job.limits,
            pace: job.pace,
            watch: None,
            renewal: None,
            mixed: MixedBlocks::default(),
            gain: 1.0,
            params: AudioCodecParameters::new(),
            codec: "",
            losses: 0,
        }
    }

    /// A decoder for `params`, whose format is announced where it is known before the first packet.
    pub(crate) fn decoder(
        &mut self,
        params: &AudioCodecParameters,
    ) -> Result<Box<dyn AudioDecoder>, StageError> {
        self.params = params.clone();
        let decoder = make_decoder(params).map_err(|error| self.unreadable(error))?;
        self.codec = decoder.codec_info().short_name;
        let buffer = decoder.last_decoded();
        if !buffer.is_unused() {
            let depth = depth_of(&buffer, decoder.codec_params());
            self.begin(buffer.spec().rate(), buffer.spec().channels().count(), depth)?;
        }
        Ok(decoder)
    }

    /// The bytes of a frame of a live stream whose container holds nothing but samples from here on.
    pub(crate) fn live_sample_bytes(&self) -> Option<usize> {
        let live = self.pace == Pace::Live;
        self.watch.as_ref().filter(|_| live).and_then(Watch::sample_bytes)
    }

    /// Frames of the `part`th part of a second, and one at least.
    pub(crate) fn frames_of(&self, part: u32) -> u64 {
        self.assembler.spec().map_or(1, |spec| u64::from(spec.rate.hz() / part).max(1))
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

    /// Decodes one packet; one that cannot be decoded is lost.
    pub(crate) fn decode(
        &mut self,
        decoder: &mut Box<dyn AudioDecoder>,
        packet: &Packet,
    ) -> Result<(), StageError> {
        if opus::is_repeated_header(self.params.codec, &packet.data) {
            return Ok(());
        }
        if let Some(watch) = self.watch.as_mut() {
            watch.packet(packet, self.decoded_frames);
        }
        self.renew(decoder, packet)?;
        self.packet_bytes += packet.data.len() as u64;
        if let Some(reason) = self.try_decode(&mut **decoder, packet)? {
            // Trimmed frames are not missed, whatever the demuxer counts into the duration.
            let trimmed = packet.trim_start.get().saturating_add(packet.trim_end.get());
            self.lost(packet.dur.get().saturating_sub(trimmed).min(LOST_FRAMES_MAX), reason)?;
        }
        self.publish();
        Ok(())
    }

    /// Puts a new decoder in the place of an old one, where its time has come.
    fn renew(&mut self, decoder: &mut Box<dyn AudioDecoder>, packet: &Packet) -> Result<(), StageError> {
        let Some(renewal) = self.renewal.as_mut() else { return Ok(()) };
        let renewed = renewal.next(packet, || make_decoder(&self.params));
        if let Some(renewed) = renewed.map_err(|error| self.unreadable(error))? {
            *decoder = renewed;
            if let Some(watch) = self.watch.as_mut() {
                watch.renewed();
            }
        }
        Ok(())
    }

    /// Decodes one packet into the assembler, or says why it is lost.
    fn try_decode(
        &mut self,
        decoder: &mut dyn AudioDecoder,
        packet: &Packet,
    ) -> Result<Option<&'static str>, StageError> {
        // Nothing is read meanwhile, so no other stream's turn comes.
        PLANES.with_borrow_mut(|planes| self.decode_through(planes, decoder, packet))
    }

    fn decode_through(
        &mut self,
        planes: &mut Vec<Vec<f32>>,
        decoder: &mut dyn AudioDecoder,
        packet: &Packet,
    ) -> Result<Option<&'static str>, StageError> {
        // Decoded all the same: the frames that follow want its bits.
        let noise = self.params.codec == CODEC_ID_MP3 && self.mixed.spoil(&packet.data);
        match decoder.decode(packet) {
            Ok(buffer) if buffer.frames() == 0 => return Ok(None),
            Ok(buffer) => buffer.copy_to_vecs_planar(planes),
            Err(Error::DecodeError(reason)) => return Ok(Some(reason)),
            Err(Error::IoError(_)) => return Ok(Some("the packet ends too early")),
            Err(Error::ResetRequired) => return Ok(Some("the decoder was reset")),
            Err(error) => return Err(self.unreadable(error)),
        }
        let buffer = decoder.last_decoded();
        let depth = depth_of(&buffer, decoder.codec_params());
        self.begin(buffer.spec().rate(), buffer.spec().channels().count(), depth)?;
        if !holds(depth, planes) {
            return Ok(Some("samples deeper than the stream says"));
        }
        self.heard = true;
        let frames = buffer.frames();
        if noise {
            planes.iter_mut().flatten().for_each(|sample| *sample = 0.0);
            self.tell_loss("it has mixed blocks, or hears of one before it");
        }
        self.account(frames as u64)?;
        if self.gain != 1.0 {
            planes.iter_mut().flatten().for_each(|sample| *sample *= self.gain);
        }
        let kept = self.keep(frames);
        self.assembler.append(planes, kept);
        Ok(None)
    }

    /// The part of the next `frames` that is kept.
    fn keep(&mut self, frames: usize) -> std::ops::Range<usize> {
        let kept = self.trim.next(frames);
        self.warming &= self.trim.skip > 0;
        let trimmed = (frames - kept.len()) as u64;
        if trimmed > 0 && !self.warming {
            self.assembler.note(Fact::FramesTrimmed { frames: trimmed });
        }
        kept
    }

    /// Tells of a loss, unless a predecessor did.
    fn tell_loss(&mut self, reason: &str) {
        if !(self.warming && self.trim.skip > 0) {
            self.assembler.note(Fact::PacketSkipped { reason: reason.to_owned() });
            self.assembler.mark_gap();
        }
    }

    /// Puts silence in the place of `frames` lost frames.
    pub(crate) fn lost(&mut self, frames: u64, reason: &str) -> Result<(), StageError> {
        self.announce_unheard()?;
        self.tell_loss(reason);
        self.losses += 1;
        if let Some(watch) = self.watch.as_mut() {
            watch.failed();
        }
        self.account(frames)?;
        let kept = self.keep(usize::try_from(frames).unwrap_or(usize::MAX));
        self.assembler.append_silence(kept.len() as u64);
        Ok(())
    }

    /// Fills the hole before a packet that is numbered `start` by the sample.
    pub(crate) fn catch_up(&mut self, start: u64) -> Result<(), StageError> {
        let origin = *self.origin.get_or_insert(start);
        let Some(hole) = start.checked_sub(origin + self.decoded_frames).filter(|hole| *hole > 0) else {
            return Ok(());
        };
        let believable = self.assembler.spec().map_or(0, |spec| HOLE_SECONDS_MAX * u64::from(spec.rate.hz()));
        self.lost(if hole <= believable { hole } else { 0 }, "frames are missing")
    }

    /// Counts decoded frames against the limits.
    fn account(&mut self, frames: u64) -> Result<(), StageError> {
        self.decoded_frames += frames;
        let Some(spec) = self.assembler.spec() else { return Ok(()) };
        self.limits.check_duration(self.decoded_frames, spec.rate)?;
        let bytes = self.decoded_frames * (spec.channels.count() * size_of::<f32>()) as u64;
        self.limits.check_expansion(bytes, self.packet_bytes)
    }

    /// Tells the stage from where it could go on: anew for each block, for the gap each time.
    fn publish(&mut self) {
        let Some(watch) = self.watch.as_mut() else { return };
        let delivered = &mut *self.assembler.delivery().borrow_mut();
        if watch.is_over() {
            delivered.whole_only = true;
            return;
        }
        match delivered.resume.as_mut() {
            Some(resume) if resume.grid == self.assembler.boundary() => resume.gap = self.assembler.gap(),
            _ if self.warming || self.assembler.boundary() == 0 => {}
            _ => {
                let found = watch.resume(&self.assembler, self.packet_bytes, self.origin);
                delivered.resume = found.or(delivered.resume.take());
            }
        }
    }

    /// Ends the stream well.
    pub(crate) fn finish(mut self) -> Result<(), StageError> {
        if self.losses > 0 && !self.heard {
            return Err(self.corrupt(&"no packet could be decoded"));
        }
        self.announce_unheard()?;
        self.assembler.finish();
        Ok(())
    }

    pub(crate) fn corrupt(&self, detail: &impl ToString) -> StageError {
        StageError::Corrupt { frame: self.assembler.frames(), detail: detail.to_string() }
    }

    pub(crate) fn truncated(&self, detail: String) -> StageError {
        StageError::Truncated { frame: self.assembler.frames(), detail }
    }

    /// The stage's word for an error of Symphonia that no packet can be skipped for.
    pub(crate) fn unreadable(&self, error: Error) -> StageError {
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

/// The refusal of bytes that nothing can be made of.
pub(crate) fn not_audio() -> StageError {
    StageError::NotAudio { detail: "no reader knows these bytes".to_owned() }
}
