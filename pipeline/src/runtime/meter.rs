//! Measures the sound of what the last stage takes: loudness and true peak (EBU R 128, ITU-R BS.1770-4), silence, and the band.
//!
//! Attached around the stage as it is built. A successor that goes on in the middle of a stream has not heard its
//! beginning, and measures nothing.

use super::blueprint::Decorate;
use super::lineage::Timing;
use crate::spectrum::Band;
use crate::stages::ErasedStage;
use ebur128::{EbuR128, Mode};
use std::sync::Arc;
use treble_core::{AnyPayload, Fact, Measures, Outbox, Pace, PcmBlock, Restart, StageError, Window};

/// -60 dBFS.
const SILENCE: f32 = 0.001;

/// Puts a meter around the stage called `stage`, and hands all to `inner`.
#[derive(Debug)]
pub struct Metering {
    /// The stage to be measured.
    pub stage: &'static str,
    /// Whether live streams are measured too.
    pub live: bool,
    /// What else observes stages.
    pub inner: Arc<dyn Decorate>,
}

impl Decorate for Metering {
    fn decorate(&self, name: &'static str, stage: Box<dyn ErasedStage>) -> Box<dyn ErasedStage> {
        let stage = self.inner.decorate(name, stage);
        if name != self.stage {
            return stage;
        }
        Box::new(Metered { stage, live: self.live, meter: Meter::Unheard })
    }
}

#[derive(Debug)]
struct Metered {
    stage: Box<dyn ErasedStage>,
    live: bool,
    meter: Meter,
}

enum Meter {
    Unheard,
    Heard {
        meter: Box<EbuR128>,
        silent_frames: u64,
        band: Box<Band>,
    },
    /// The beginning was missed, or the format is beyond the standard.
    Void,
}

impl std::fmt::Debug for Meter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unheard => "Unheard",
            Self::Heard { .. } => "Heard",
            Self::Void => "Void",
        })
    }
}

impl Meter {
    fn hear(&mut self, block: &PcmBlock) {
        if let Self::Unheard = self {
            let spec = block.spec();
            // The histogram bounds what an endless stream costs, at a precision of 0.1 LU.
            let mode = Mode::I | Mode::TRUE_PEAK | Mode::HISTOGRAM;
            *self = match EbuR128::new(spec.channels.into(), spec.rate.hz(), mode) {
                Ok(meter) => Self::Heard {
                    meter: Box::new(meter),
                    silent_frames: 0,
                    band: Box::new(Band::new(spec.rate.hz())),
                },
                Err(_) => Self::Void,
            };
        }
        if block.frames() == 0 {
            return;
        }
        let planes: Vec<&[f32]> = block.planes().iter().map(Vec::as_slice).collect();
        if let Self::Heard { meter, silent_frames, band } = self {
            band.hear(&planes);
            let loud = |frame: &usize| planes.iter().any(|plane| plane[*frame].abs() >= SILENCE);
            *silent_frames += (0..block.frames()).filter(|frame| !loud(frame)).count() as u64;
            if meter.add_frames_planar_f32(&planes).is_err() {
                *self = Self::Void;
            }
        }
    }

    fn read(&self) -> Option<Measures> {
        let Self::Heard { meter, silent_frames, band } = self else { return None };
        let peak =
            (0..meter.channels()).filter_map(|channel| meter.true_peak(channel).ok()).fold(0.0, f64::max);
        Some(Measures {
            loudness_lufs: meter.loudness_global().ok().filter(|loudness| loudness.is_finite()),
            true_peak_dbtp: (peak > 0.0).then(|| 20.0 * peak.log10()),
            silence_seconds: *silent_frames as f64 / f64::from(meter.rate()),
            bandwidth_hz: band.highest_hz(),
        })
    }
}

/// Whether a meter that measures live streams too, or not, measures this one.
fn hears(live: bool, block: &PcmBlock) -> bool {
    live || block.spec().pace == Pace::Bulk
}

impl ErasedStage for Metered {
    fn restore(&mut self, checkpoint: &[u8]) -> Result<(), StageError> {
        if !checkpoint.is_empty() {
            self.meter = Meter::Void;
        }
        self.stage.restore(checkpoint)
    }

    fn push(&mut self, input: AnyPayload, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        if let AnyPayload::Pcm(block) = &input
            && hears(self.live, block)
        {
            self.meter.hear(block);
        }
        self.stage.push(input, out)
    }

    fn finish(&mut self, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.stage.finish(out)?;
        let meter = std::mem::replace(&mut self.meter, Meter::Unheard);
        out.facts.extend(meter.read().map(Fact::Measured));
        Ok(())
    }

    fn windows(&mut self) -> Vec<Window> {
        self.stage.windows()
    }

    fn supply(&mut self, results: Vec<Window>, out: &mut Outbox<AnyPayload>) -> Result<(), StageError> {
        self.stage.supply(results, out)
    }

    fn restart(&self) -> Restart {
        self.stage.restart()
    }

    fn timing(&self) -> Timing {
        self.stage.timing()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;
    use treble_core::{ChannelCount, PcmSpec, SampleDepth, SampleRate};

    fn spec(pace: Pace) -> PcmSpec {
        PcmSpec {
            rate: SampleRate::HZ_48000,
            channels: ChannelCount::new(2).unwrap(),
            depth: SampleDepth::F32,
            pace,
        }
    }

    #[test]
    fn a_live_stream_is_measured_where_it_was_asked_for_only() {
        let [bulk, live] = [Pace::Bulk, Pace::Live].map(|pace| PcmBlock::announce(spec(pace), 0));
        assert!(hears(false, &bulk) && hears(true, &bulk) && hears(true, &live));
        assert!(!hears(false, &live));
    }

    fn measure(amplitude: f32) -> Measures {
        let spec = spec(Pace::Bulk);
        let sine = |frame: usize| amplitude * (TAU * 997.0 * frame as f32 / 48_000.0).sin();
        let plane: Vec<f32> = (0..48_000 * 5).map(sine).collect();
        let mut meter = Meter::Unheard;
        meter.hear(&PcmBlock::announce(spec, 0));
        meter.hear(&PcmBlock::new(spec, 0, vec![plane.clone(), plane]).0);
        meter.read().unwrap()
    }

    /// EBU Tech 3341, test signal 1: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS, within 0.1 LU.
    #[test]
    fn the_standards_own_signal_reads_as_it_should() {
        let measures = measure(10_f32.powf(-23.0 / 20.0));
        assert!((measures.loudness_lufs.unwrap() + 23.0).abs() <= 0.1, "{measures:?}");
        assert!((measures.true_peak_dbtp.unwrap() + 23.0).abs() <= 0.2, "{measures:?}");
        assert!(measures.silence_seconds < 0.2, "{measures:?}");
        assert!(measures.bandwidth_hz.unwrap().abs_diff(997) < 400, "{measures:?}");
    }

    #[test]
    fn silence_has_neither_loudness_nor_peak() {
        let measures = measure(0.0);
        assert_eq!((measures.loudness_lufs, measures.true_peak_dbtp), (None, None));
        assert_eq!(measures.silence_seconds, 5.0);
    }
}
