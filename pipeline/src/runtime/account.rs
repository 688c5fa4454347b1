//! What is counted of a stream: for the event of each commit, and for the report at its end. Pure: facts in, records of
//! the contracts out.
//!
//! A [`Tally`] covers one epoch and is forgotten with it. An [`Account`] covers the stream: it lies in the state record,
//! so that it goes on where the last commit left it, and travels with END in a header, so that the stage that ends the
//! pipeline knows what only the first one saw. Effects of inputs that are fed again are counted by neither.

use crate::kafka::headers::TraceContext;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use treble_core::{Fact, Measures, ModelInfo};
use treble_schemas::event::{Mode, StageEvent, Status, StreamReport};
use treble_schemas::{AbortReason, AudioFormat, Totals};

/// The header of END and ABORT that carries the account between stages.
pub const HEADER: &str = "treble-account";

/// What was counted of a stream since its beginning, by this stage and those before it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// Payload bytes of the source.
    pub bytes_in: u64,
    /// The source's codec, as the decoder found it.
    pub codec_in: Option<String>,
    /// The source's sample rate.
    pub rate_in_hz: Option<u32>,
    /// The highest frequency that the source holds, where it was measured.
    pub bandwidth_before_hz: Option<u32>,
    /// Whether the source was full-band, and so only resampled.
    pub full_band: bool,
    /// What this stage writes: media type, sample rate, channels.
    pub output: Option<(String, u32, u32)>,
    /// How the sound was raised.
    pub mode: Mode,
    /// Where the model ran, its name and its version.
    pub model: Option<[String; 3]>,
    /// Samples limited to full scale by this stage.
    pub samples_clipped: u64,
    /// Faults that the stream survived.
    pub errors: u64,
    /// Marks of discontinuity that this stage has emitted.
    pub gaps: u64,
}

impl Account {
    /// From a header or a state record; whatever cannot be read counts as nothing known.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// For a header or a state record.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Takes over what the stages before this one counted. Their marks of discontinuity came through, and what they
    /// clipped is not the result's.
    pub fn inherit(&mut self, before: Self) {
        let own = std::mem::take(self);
        *self = Self {
            mode: if own.mode == Mode::None { before.mode } else { own.mode },
            model: own.model.or(before.model),
            bandwidth_before_hz: own.bandwidth_before_hz.or(before.bandwidth_before_hz),
            full_band: own.full_band || before.full_band,
            output: own.output,
            samples_clipped: own.samples_clipped,
            errors: own.errors + before.errors,
            gaps: own.gaps,
            ..before
        };
    }

    fn fact(&mut self, fact: &Fact) {
        match fact {
            Fact::SourceIdentified { codec, spec } => {
                self.codec_in = Some((*codec).to_owned());
                self.rate_in_hz = Some(spec.rate.hz());
            }
            Fact::PacketSkipped { .. } => self.errors += 1,
            Fact::SamplesClipped { samples } => self.samples_clipped += samples,
            Fact::BandwidthDetected { hz } => self.bandwidth_before_hz = Some(*hz),
            Fact::AlreadyFullBand => self.full_band = true,
            Fact::SamplesReplaced { .. } | Fact::FramesTrimmed { .. } | Fact::Measured(_) => {}
        }
    }

    /// Codec, sample rate and channels of the output, where anything was written.
    fn written(&self) -> (Option<String>, Option<i32>, Option<i32>) {
        let Some((media_type, rate, channels)) = &self.output else { return (None, None, None) };
        (codec(media_type), known(*rate), known(*channels))
    }

    /// The highest frequency of the result: resampling alone keeps the source's, below the new Nyquist frequency. What
    /// a model adds is measured, where the sound is.
    fn bandwidth_after_hz(&self, rate_out_hz: Option<i32>) -> Option<i32> {
        let resampled = self.mode == Mode::Baseline || self.full_band;
        let before = self.bandwidth_before_hz.filter(|_| resampled).and_then(|hz| i32::try_from(hz).ok())?;
        Some(rate_out_hz.map_or(before, |rate| before.min(rate / 2)))
    }
}

/// What was counted of a stream in one epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    /// Offsets of the first and the last record of the stream that were taken.
    pub offsets: Option<(i64, i64)>,
    /// Records taken, and their payload bytes.
    pub taken: (u64, u64),
    /// Records emitted, and their payload bytes.
    pub emitted: (u64, u64),
    /// Seconds of audio emitted.
    pub seconds: f64,
    /// The longest wait of an input between poll and stage.
    pub queue_wait: Duration,
    /// Time spent in the segment's stages.
    pub processing: Duration,
    /// Inferences, and the windows in all of them, those of other streams included.
    pub batches: (u64, u64),
    /// Samples limited to full scale.
    pub samples_clipped: u64,
    /// Samples that were no number.
    pub samples_replaced: u64,
    /// Corrupt packets skipped.
    pub packets_skipped: u64,
    /// How the whole stream sounds, once it has ended.
    pub measures: Option<Measures>,
}

impl Tally {
    /// Whether there is anything to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.taken.0 == 0 && self.emitted.0 == 0
    }

    /// A record at `offset` was taken, or another piece of it, with `bytes` of payload.
    pub fn take(&mut self, offset: i64, bytes: u64, waited: Duration) {
        if self.offsets.is_none_or(|(_, last)| last != offset) {
            self.taken.0 += 1;
        }
        self.taken.1 += bytes;
        let first = self.offsets.map_or(offset, |(first, _)| first);
        self.offsets = Some((first, offset));
        self.queue_wait = self.queue_wait.max(waited);
    }

    /// A chunk of `bytes` was emitted.
    pub fn emit(&mut self, frames: u64, rate_hz: u32, bytes: u64) {
        self.emitted.0 += 1;
        self.emitted.1 += bytes;
        if rate_hz > 0 {
            self.seconds += frames as f64 / f64::from(rate_hz);
        }
    }

    /// A stage noticed something.
    pub fn fact(&mut self, fact: &Fact, account: &mut Account) {
        account.fact(fact);
        match fact {
            Fact::PacketSkipped { .. } => self.packets_skipped += 1,
            Fact::SamplesClipped { samples } => self.samples_clipped += samples,
            Fact::SamplesReplaced { samples } => self.samples_replaced += samples,
            Fact::Measured(measures) => self.measures = Some(*measures),
            Fact::SourceIdentified { .. }
            | Fact::FramesTrimmed { .. }
            | Fact::BandwidthDetected { .. }
            | Fact::AlreadyFullBand => {}
        }
    }
}

/// Who reports, and on which place.
#[derive(Debug, Clone, Default)]
pub struct Reporter {
    /// The segment's name: its stage's, or several joined by `-`.
    pub stage: String,
    /// The process.
    pub instance: String,
    /// How the segment raises the sound.
    pub mode: Mode,
    /// The model that it runs.
    pub model: Option<ModelInfo>,
    /// The topic that it reads.
    pub source_topic: String,
}

/// What is known of a stream when it is reported on.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its trace context; empty where it has none.
    pub traceparent: &'a str,
    /// Unix time, in microseconds.
    pub now_us: i64,
    /// Where it stands.
    pub status: Status,
    /// Why it was given up.
    pub reason: Option<&'a AbortReason>,
    /// The format of its input.
    pub input: Option<&'a AudioFormat>,
    /// Its account.
    pub account: &'a Account,
    /// The partition.
    pub partition: i32,
    /// The offset of the last record that was taken in any epoch.
    pub last_offset: i64,
}

impl Subject<'_> {
    fn error(&self) -> (Option<String>, Option<String>) {
        (self.reason.map(|reason| reason.code.clone()), self.reason.map(|reason| reason.message.clone()))
    }

    fn trace_id(&self) -> Option<String> {
        TraceContext::parse(self.traceparent).map(TraceContext::trace_id_hex)
    }

    fn live(&self) -> bool {
        self.input.is_some_and(|format| format.live)
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that an announcement gives, where it gives one.
fn known(number: u32) -> Option<i32> {
    i32::try_from(number).ok().filter(|number| *number > 0)
}

/// The media type without its trappings: `audio/pcm` is `pcm`.
fn codec(media_type: &str) -> Option<String> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    let name = essence.strip_prefix("audio/").unwrap_or(essence);
    (!name.is_empty()).then(|| name.to_owned())
}

/// The event of one commit.
#[must_use]
pub fn stage_event(reporter: &Reporter, subject: &Subject<'_>, tally: &Tally) -> StageEvent {
    let (error_type, error_message) = subject.error();
    let (first, last) = tally.offsets.unwrap_or((subject.last_offset, subject.last_offset));
    let account = subject.account;
    let codec_in = subject.input.and_then(|format| codec(&format.codec));
    // What the decoder found is true of encoded input; what was announced is a hint.
    let found = account.codec_in.clone().filter(|_| codec_in.as_deref() != Some("pcm"));
    let (codec_out, rate_out_hz, channels) = account.written();
    let (batches, windows) = tally.batches;
    let model = reporter.model.as_ref().filter(|_| batches > 0);
    StageEvent {
        event_time_us: subject.now_us,
        stream_id: subject.id.to_owned(),
        stage: reporter.stage.clone(),
        instance: reporter.instance.clone(),
        treble_version: env!("CARGO_PKG_VERSION").to_owned(),
        live: subject.live(),
        status: subject.status,
        error_type,
        error_message,
        mode: reporter.mode,
        audio_seconds: tally.seconds,
        bytes_in: whole(tally.taken.1),
        bytes_out: whole(tally.emitted.1),
        chunks_in: whole(tally.taken.0),
        chunks_out: whole(tally.emitted.0),
        queue_wait_seconds: tally.queue_wait.as_secs_f64(),
        processing_seconds: tally.processing.as_secs_f64(),
        batch_size: (batches > 0).then(|| windows as f64 / batches as f64),
        device: model.map(|model| model.device.clone()),
        model: model.map(|model| model.name.clone()),
        model_version: model.map(|model| model.version.clone()),
        codec_in: found.or(codec_in),
        codec_out,
        rate_in_hz: subject
            .input
            .and_then(|format| known(format.sample_rate_hz))
            .or_else(|| account.rate_in_hz.and_then(known)),
        rate_out_hz,
        channels,
        samples_clipped: whole(tally.samples_clipped),
        samples_replaced: whole(tally.samples_replaced),
        packets_skipped: whole(tally.packets_skipped),
        trace_id: subject.trace_id(),
        source_topic: reporter.source_topic.clone(),
        source_partition: subject.partition,
        source_offset_first: first,
        source_offset_last: last,
    }
}

/// The report of a stream that is over.
///
/// `started_us` and `last_us` are the capture times of its first and last chunk.
#[must_use]
pub fn stream_report(
    subject: &Subject<'_>,
    totals: &Totals,
    measures: Option<Measures>,
    (started_us, last_us): (i64, i64),
) -> StreamReport {
    let (error_type, error_message) = subject.error();
    let account = subject.account;
    let seconds_since = |time_us: i64| subject.now_us.saturating_sub(time_us).max(0) as f64 / 1e6;
    let (codec_out, rate_out_hz, channels) = account.written();
    let duration = rate_out_hz.map_or(0.0, |rate| totals.samples as f64 / f64::from(rate));
    let took = seconds_since(started_us);
    let model = account.model.as_ref();
    StreamReport {
        event_time_us: subject.now_us,
        stream_id: subject.id.to_owned(),
        treble_version: env!("CARGO_PKG_VERSION").to_owned(),
        live: subject.live(),
        status: subject.status,
        error_type,
        error_message,
        mode: account.mode,
        duration_seconds: duration,
        end_to_end_latency_seconds: seconds_since(last_us),
        real_time_factor: (took > 0.0 && duration > 0.0).then(|| duration / took),
        bytes_in: whole(account.bytes_in),
        bytes_out: whole(totals.bytes),
        codec_in: account.codec_in.clone(),
        codec_out,
        rate_in_hz: account.rate_in_hz.and_then(known),
        rate_out_hz,
        channels,
        loudness_lufs: measures.and_then(|measures| measures.loudness_lufs),
        true_peak_dbtp: measures.and_then(|measures| measures.true_peak_dbtp),
        samples_clipped: whole(account.samples_clipped),
        silence_seconds: measures.map(|measures| measures.silence_seconds),
        bandwidth_before_hz: account.bandwidth_before_hz.and_then(known),
        bandwidth_after_hz: account
            .bandwidth_after_hz(rate_out_hz)
            .or_else(|| measures.and_then(|measures| measures.bandwidth_hz).and_then(known)),
        gaps: whole(account.gaps),
        errors: whole(account.errors),
        device: model.map(|[device, _, _]| device.clone()),
        model: model.map(|[_, name, _]| name.clone()),
        model_version: model.map(|[_, _, version]| version.clone()),
        trace_id: subject.trace_id(),
    }
}

#[cfg(test)]
mod tests;
