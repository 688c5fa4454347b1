//! One stream, from its first input to its last output frame.

use crate::checkpoint::Checkpoint;
use crate::cut::Cutter;
use crate::inputs::Inputs;
use crate::rate::{Resampler, output_frames};
use treble_core::{Fact, Outbox, PcmBlock, PcmSpec, Restart, SampleDepth, SampleRate, StageError};

/// The state of a stream whose format is known.
#[derive(Debug)]
pub(crate) struct Stream {
    spec: PcmSpec,
    output_rate: SampleRate,
    inputs: Inputs,
    resampler: Resampler,
    cutter: Cutter,
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

impl Stream {
    /// A stream at its beginning; announces the output's format.
    pub(crate) fn begin(spec: PcmSpec, rate: SampleRate, out: &mut Outbox<PcmBlock>) -> Self {
        out.emit(PcmBlock::announce(output_spec(spec, rate), 0));
        Self::at(spec, rate, 0, 0, 0)
    }

    /// A stream that continues from `checkpoint`.
    pub(crate) fn resume(checkpoint: &Checkpoint) -> Self {
        let &Checkpoint { spec, output_rate, input, input_frame, output_frame } = checkpoint;
        Self::at(spec, output_rate, input, input_frame, output_frame)
    }

    fn at(spec: PcmSpec, output_rate: SampleRate, input: u64, input_frame: u64, output_frame: u64) -> Self {
        let resampler = Resampler::resume(spec.rate, output_rate, spec.channels.count(), input_frame);
        let cutter = Cutter::new(output_spec(spec, output_rate), output_frame, resampler.next_output());
        Self { spec, output_rate, inputs: Inputs::resume(input, input_frame), resampler, cutter }
    }

    /// Takes the next input.
    pub(crate) fn push(&mut self, input: PcmBlock, out: &mut Outbox<PcmBlock>) -> Result<(), StageError> {
        self.check_format(input.spec())?;
        let start = self.inputs.push(input.frames() as u64);
        if input.discontinuity() {
            self.cutter.gap(output_frames(start, self.spec.rate, self.output_rate));
        }
        if input.frames() > 0 {
            let planes = self.resampler.push(limited(input.into_planes(), out));
            self.cutter.push(&planes, out);
        }
        self.inputs.forget_before(self.resampler.restart_frame(self.cutter.next_frame()));
        Ok(())
    }

    /// Takes the end of the stream.
    pub(crate) fn finish(&mut self, out: &mut Outbox<PcmBlock>) {
        let planes = self.resampler.finish();
        if !planes.is_empty() {
            self.cutter.push(&planes, out);
        }
        self.cutter.finish(out);
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
        };
        Restart { input, output: self.cutter.next_item(), checkpoint: checkpoint.encode() }
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
