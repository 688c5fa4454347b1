//! One stream, from its first input to its last output frame.

use crate::analysis::Analysis;
use crate::bandwidth::{Decision, Detector};
use crate::checkpoint::Checkpoint;
use crate::config::UpscaleConfig;
use crate::cut::Cutter;
use crate::inputs::Inputs;
use crate::model::ModelSpec;
use crate::rate::{Resampler, output_frames};
use crate::restore::{Restorer, Start};
use crate::spectrum::{FRAME, HOP};
use treble_core::{Fact, Outbox, PcmBlock, PcmSpec, Restart, SampleDepth, SampleRate, StageError, Window};

/// The state of a stream whose format is known.
#[derive(Debug)]
pub(crate) struct Stream {
    spec: PcmSpec,
    output_rate: SampleRate,
    inputs: Inputs,
    resampler: Resampler,
    path: Path,
    /// Whether the detector's decision has been reported, or need not be.
    reported: bool,
    cutter: Cutter,
}

/// What happens between rate conversion and output.
#[derive(Debug)]
enum Path {
    /// Nothing, but the source's band is measured.
    Plain(Box<Analysis>),
    /// The missing band is added.
    Restored(Box<Restorer>),
}

/// Samples beyond this, 96 dB over full scale, are no audio: they are limited, since arithmetic on them would
/// overflow.
const MAX_SAMPLE: f32 = 65_536.0;

/// `planes` within ±[`MAX_SAMPLE`].
fn limited(mut planes: Vec<Vec<f32>>, out: &mut Outbox<PcmBlock>) -> Vec<Vec<f32>> {
    let mut samples = 0;
    for sample in planes.iter_mut().flatten().filter(|sample| sample.abs() > MAX_SAMPLE) {
        *sample = sample.clamp(-MAX_SAMPLE, MAX_SAMPLE);
        samples += 1;
    }
    if samples > 0 {
        out.note(Fact::SamplesClipped { samples });
    }
    planes
}

/// The format that a stream of `spec` leaves with.
fn output_spec(spec: PcmSpec, rate: SampleRate) -> PcmSpec {
    PcmSpec { rate, depth: SampleDepth::F32, ..spec }
}

/// Where a stream begins, or goes on.
struct Position {
    input: u64,
    input_frame: u64,
    output_frame: u64,
    decision: Option<Decision>,
}

impl Stream {
    /// A stream at its beginning; announces the output's format.
    pub(crate) fn begin(
        spec: PcmSpec,
        config: &UpscaleConfig,
        model: Option<&ModelSpec>,
        out: &mut Outbox<PcmBlock>,
    ) -> Self {
        out.emit(PcmBlock::announce(output_spec(spec, config.output_rate_hz), 0));
        let beginning = Position { input: 0, input_frame: 0, output_frame: 0, decision: None };
        Self::at(&beginning, spec, config, model)
    }

    /// A stream that continues from `checkpoint`.
    pub(crate) fn resume(checkpoint: &Checkpoint, config: &UpscaleConfig, model: Option<&ModelSpec>) -> Self {
        let &Checkpoint { spec, input, input_frame, output_frame, decision, .. } = checkpoint;
        Self::at(&Position { input, input_frame, output_frame, decision }, spec, config, model)
    }

    fn at(position: &Position, spec: PcmSpec, config: &UpscaleConfig, model: Option<&ModelSpec>) -> Self {
        let &Position { input, input_frame, output_frame, decision } = position;
        let (channels, output_rate) = (spec.channels.count(), config.output_rate_hz);
        let resampler = Resampler::resume(spec.rate, output_rate, channels, input_frame);
        let signal_frame = resampler.next_output();
        let nyquist_hz = f64::from(spec.rate.hz().min(output_rate.hz())) / 2.0;
        let (edge_hz, rate_hz) = (resampler.edge_hz(), output_rate.hz());
        let detector = Detector::new(nyquist_hz, edge_hz, rate_hz, config.full_band_hz, config.detection);
        let detector = match decision {
            Some(decision) => detector.with_decision(decision),
            None => detector,
        };
        let path = match model {
            Some(model) => {
                let start =
                    Start { source_rate: spec.rate, source_frame: input_frame, signal_frame, output_frame };
                Path::Restored(Box::new(Restorer::new(model, channels, start, detector)))
            }
            None => {
                // The first frame that lies inside what will be pushed.
                let next = (signal_frame + FRAME as u64 / 2).div_ceil(HOP as u64).cast_signed();
                Path::Plain(Box::new(Analysis::new(channels, signal_frame, detector, next)))
            }
        };
        let fed = match &path {
            Path::Plain(_) => signal_frame,
            Path::Restored(restorer) => restorer.next_sample(),
        };
        let cutter = Cutter::new(output_spec(spec, output_rate), output_frame, fed);
        let inputs = Inputs::resume(input, input_frame);
        Self { spec, output_rate, inputs, resampler, path, reported: decision.is_some(), cutter }
    }

    /// Takes the next input.
    pub(crate) fn push(&mut self, input: PcmBlock, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        self.check_format(input.spec())?;
        let start = self.inputs.push(input.frames() as u64);
        if input.discontinuity() {
            self.cutter.gap(output_frames(start, self.spec.rate, self.output_rate));
        }
        if input.frames() > 0 {
            let planes = limited(input.into_planes(), out);
            if let Path::Restored(restorer) = &mut self.path {
                restorer.push_source(&planes);
            }
            let signal = self.resampler.push(planes);
            self.take_signal(signal, out);
        }
        self.forget();
        Ok(())
    }

    /// Takes the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Outbox<PcmBlock>) {
        let rest = self.resampler.finish();
        if !rest.is_empty() {
            self.take_signal(rest, out);
        }
        match &mut self.path {
            Path::Plain(analysis) => {
                analysis.finish();
                analysis.advance(false, |_, _, _| ());
            }
            Path::Restored(restorer) => {
                let restored = restorer.finish();
                self.cutter.push(&restored, out);
            }
        }
        self.report(out);
        self.close(out);
    }

    /// The windows that wait for the model.
    pub(crate) fn windows(&mut self) -> Vec<Window> {
        match &mut self.path {
            Path::Plain(_) => Vec::new(),
            Path::Restored(restorer) => restorer.windows(),
        }
    }

    /// Takes the results for the windows handed out.
    pub(crate) fn supply(
        &mut self,
        results: Vec<Window>,
        out: &mut Outbox<PcmBlock>,
    ) -> Result<(), StageError> {
        if let Path::Restored(restorer) = &mut self.path {
            let restored = restorer.supply(results)?;
            self.cutter.push(&restored, out);
        }
        self.close(out);
        self.forget();
        Ok(())
    }

    /// Whether the stream has ended and all of it was emitted.
    pub(crate) fn is_done(&self) -> bool {
        match &self.path {
            Path::Plain(analysis) => analysis.end().is_some(),
            Path::Restored(restorer) => restorer.is_done(),
        }
    }

    /// Where a successor would have to be fed from.
    pub(crate) fn restart(&self) -> Restart {
        let (input, input_frame) = self.inputs.front();
        if input == 0 {
            return Restart::default();
        }
        let checkpoint = Checkpoint {
            spec: self.spec,
            output_rate: self.output_rate,
            input,
            input_frame,
            output_frame: self.cutter.next_frame(),
            decision: self.detector().decision(),
        };
        Restart { input, output: self.cutter.next_item(), checkpoint: checkpoint.encode() }
    }

    fn detector(&self) -> &Detector {
        match &self.path {
            Path::Plain(analysis) => analysis.detector(),
            Path::Restored(restorer) => restorer.detector(),
        }
    }

    /// Emits the last, short block where the stream is done.
    fn close(&mut self, out: &mut Outbox<PcmBlock>) {
        if self.is_done() {
            self.cutter.finish(out);
        }
    }

    /// Takes frames at the output's rate.
    fn take_signal(&mut self, signal: Vec<Vec<f32>>, out: &mut Outbox<PcmBlock>) {
        match &mut self.path {
            Path::Plain(analysis) => {
                analysis.listen(&signal);
                self.cutter.push(&signal, out);
            }
            Path::Restored(restorer) => {
                let restored = restorer.push(&signal);
                self.cutter.push(&restored, out);
            }
        }
        self.report(out);
    }

    /// Reports the detector's decision, once.
    fn report(&mut self, out: &mut Outbox<PcmBlock>) {
        let Some(decision) = self.detector().decision().filter(|_| !self.reported) else { return };
        self.reported = true;
        if decision.was_measured() {
            let hz = decision.band.bin as u64 * u64::from(self.output_rate.hz()) / FRAME as u64;
            out.note(Fact::BandwidthDetected { hz: u32::try_from(hz).unwrap_or(u32::MAX) });
        }
        if decision.band.full {
            out.note(Fact::AlreadyFullBand);
        }
    }

    /// Forgets the inputs that no successor needs.
    fn forget(&mut self) {
        let output = self.cutter.next_frame();
        let first = match &self.path {
            Path::Plain(_) => self.resampler.restart_frame(output),
            Path::Restored(restorer) => {
                let (signal, source) = restorer.restart_frames(output);
                self.resampler.restart_frame(signal).min(source.unwrap_or(u64::MAX))
            }
        };
        self.inputs.forget_before(first);
    }

    /// The precision may change within a stream, the rest of the format may not.
    fn check_format(&self, spec: PcmSpec) -> Result<(), StageError> {
        if (PcmSpec { depth: self.spec.depth, ..spec }) == self.spec {
            return Ok(());
        }
        Err(StageError::FormatChanged {
            detail: format!(
                "{} Hz, {} channels became {} Hz, {} channels",
                self.spec.rate.hz(),
                self.spec.channels.count(),
                spec.rate.hz(),
                spec.channels.count()
            ),
        })
    }
}
