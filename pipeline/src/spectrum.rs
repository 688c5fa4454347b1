//! Up to which frequency there is sound.

use realfft::RealFftPlanner;
use std::fmt;

/// Level of a bin above which it holds sound, in dB under a full-scale sine: the noise of 16 bits lies 45 dB lower.
const CONTENT_DB: f32 = -80.0;
/// One column in this many must hold it: consonants are rare, and a click is no band.
const CONTENT_COLUMNS: usize = 20;

/// Length of the window, in seconds: a compromise between 47 Hz and 21 ms of blur.
pub(crate) const WINDOW_SECONDS: f32 = 0.0213;

/// Windows a second that [`Band`] looks at: sound that is there one time in twenty is found within seconds.
const LOOKS_PER_SECOND: usize = 10;

/// Whether power says that there is sound.
fn holds_sound(power: f32) -> bool {
    power > 10_f32.powf(CONTENT_DB / 10.0)
}

/// The highest frequency at which there is sound now and then in `columns` of power, to about 50 Hz; 0 in silence.
pub(crate) fn highest_hz(columns: &[&Vec<f32>], hz_per_bin: f32) -> u32 {
    let bins = columns.first().map_or(0, |bins| bins.len());
    let count = |bin: usize| columns.iter().filter(|bins| holds_sound(bins[bin])).count();
    highest_bin(bins, columns.len(), count).map_or(0, |bin| frequency(bin, hz_per_bin))
}

fn highest_bin(bins: usize, columns: usize, count: impl Fn(usize) -> usize) -> Option<usize> {
    (0..bins).rev().find(|bin| count(*bin) * CONTENT_COLUMNS > columns)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bins are few, frequencies not negative"
)]
fn frequency(bin: usize, hz_per_bin: f32) -> u32 {
    (bin as f32 * hz_per_bin).round() as u32
}

/// Up to which frequency there is sound in a stream of any length, in bounded memory: about 12 KiB at 48 kHz. Where the
/// stream is cut does not show.
pub(crate) struct Band {
    transform: Transform,
    samples: Vec<f32>,
    size: usize,
    /// Samples from one window to the next.
    hop: usize,
    /// Samples since the last window began.
    at: usize,
    power: Vec<f32>,
    /// By bin, the windows in which it held sound.
    counts: Vec<u32>,
    windows: u32,
    hz_per_bin: f32,
}

impl fmt::Debug for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Band").field("windows", &self.windows).finish_non_exhaustive()
    }
}

impl Band {
    /// Nothing was heard yet of a stream of `rate_hz`.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are far below 2^24"
    )]
    pub(crate) fn new(rate_hz: u32) -> Self {
        let rate = rate_hz as f32;
        let size = ((rate * WINDOW_SECONDS / 2.0).round() as usize).max(8) * 2;
        Self {
            transform: Transform::new(size),
            samples: Vec::with_capacity(size),
            size,
            hop: (rate_hz as usize / LOOKS_PER_SECOND).max(size),
            at: 0,
            power: vec![0.0; size / 2 + 1],
            counts: vec![0; size / 2 + 1],
            windows: 0,
            hz_per_bin: rate / size as f32,
        }
    }

    /// Hears the channels `planes`, mixed.
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    pub(crate) fn hear(&mut self, planes: &[&[f32]]) {
        for frame in 0..planes.first().map_or(0, |plane| plane.len()) {
            if self.at < self.size {
                self.samples.push(planes.iter().map(|plane| plane[frame]).sum::<f32>() / planes.len() as f32);
                if self.samples.len() == self.size {
                    self.look();
                }
            }
            self.at = (self.at + 1) % self.hop;
        }
    }

    fn look(&mut self) {
        self.power.fill(0.0);
        self.transform.add_power(&self.samples, self.size / 2, &mut self.power);
        for (count, power) in self.counts.iter_mut().zip(&self.power) {
            *count += u32::from(holds_sound(*power));
        }
        self.windows += 1;
        self.samples.clear();
    }

    /// The highest frequency at which there was sound now and then; `None` where nothing was heard.
    pub(crate) fn highest_hz(&self) -> Option<u32> {
        let count = |bin: usize| self.counts[bin] as usize;
        let bin = highest_bin(self.counts.len(), self.windows as usize, count)?;
        Some(frequency(bin, self.hz_per_bin))
    }
}

/// The power spectrum of a window.
pub(crate) struct Transform {
    plan: std::sync::Arc<dyn realfft::RealToComplex<f32>>,
    window: Vec<f32>,
    scale: f32,
    input: Vec<f32>,
    output: Vec<realfft::num_complex::Complex<f32>>,
}

impl Transform {
    #[expect(clippy::cast_precision_loss, reason = "windows are short")]
    /// Of windows of `size` samples, an even number.
    pub(crate) fn new(size: usize) -> Self {
        let plan = RealFftPlanner::new().plan_fft_forward(size);
        // Hann, periodic.
        let phase = |index: usize| std::f32::consts::TAU * index as f32 / size as f32;
        let window: Vec<f32> = (0..size).map(|index| 0.5 - 0.5 * phase(index).cos()).collect();
        let scale = 2.0 / window.iter().sum::<f32>();
        let (input, output) = (plan.make_input_vec(), plan.make_output_vec());
        Self { plan, window, scale, input, output }
    }

    /// Adds the power spectrum around `centre`; silence lies beyond both ends.
    pub(crate) fn add_power(&mut self, samples: &[f32], centre: usize, power: &mut [f32]) {
        let half = self.window.len() / 2;
        for (index, (slot, weight)) in self.input.iter_mut().zip(&self.window).enumerate() {
            let sample = (centre + index).checked_sub(half).and_then(|at| samples.get(at));
            *slot = sample.copied().unwrap_or(0.0) * weight;
        }
        self.plan
            .process(&mut self.input, &mut self.output)
            .expect("the buffers were made by the plan and have its lengths");
        for (sum, bin) in power.iter_mut().zip(&self.output) {
            *sum += (bin * self.scale).norm_sqr();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn heard(frequencies: &[f64], piece: usize) -> Option<u32> {
        let sample = |at: usize| -> f64 {
            frequencies.iter().map(|hz| 0.1 * (TAU * hz * at as f64 / 48_000.0).sin()).sum()
        };
        let samples: Vec<f32> = (0..96_000).map(|at| sample(at) as f32).collect();
        let mut band = Band::new(48_000);
        samples.chunks(piece).for_each(|piece| band.hear(&[piece, piece]));
        band.highest_hz()
    }

    #[test]
    fn the_band_ends_at_the_highest_tone_wherever_the_stream_is_cut() {
        let found = heard(&[440.0, 9_000.0], 96_000).unwrap();
        assert!(found.abs_diff(9_000) < 400, "{found} Hz");
        assert_eq!(heard(&[440.0, 9_000.0], 777), Some(found));
        assert_eq!(heard(&[], 4_800), None, "silence has no band");
    }
}
