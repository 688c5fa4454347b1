//! The short-time Fourier transform of a signal, summed up for the columns of a picture.

use realfft::RealFftPlanner;
use treble_core::PcmBlock;

/// Level of a bin above which it holds sound, in dB under a full-scale sine: the noise of 16 bits lies 45 dB lower.
const CONTENT_DB: f32 = -80.0;
/// One column in this many must hold it: consonants are rare, and a click is no band.
const CONTENT_COLUMNS: usize = 20;

/// Length of the window, in seconds: a compromise between 47 Hz and 21 ms of blur.
const WINDOW_SECONDS: f32 = 0.0213;

/// All channels of a file, mixed.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pub(super) samples: Vec<f32>,
    pub(super) rate_hz: u32,
}

impl Signal {
    /// Adds `block`, up to `seconds` in all.
    #[expect(clippy::cast_precision_loss, reason = "channels are few")]
    pub(super) fn add(&mut self, block: &PcmBlock, seconds: u32) {
        self.rate_hz = block.spec().rate.hz();
        let limit = self.rate_hz as usize * seconds as usize;
        let room = limit.saturating_sub(self.samples.len()).min(block.frames());
        let planes = block.planes();
        let mix = |frame: usize| planes.iter().map(|plane| plane[frame]).sum::<f32>() / planes.len() as f32;
        self.samples.extend((0..room).map(mix));
    }

    #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^24")]
    pub(super) fn nyquist_hz(&self) -> f32 {
        self.rate_hz as f32 / 2.0
    }

    #[expect(clippy::cast_precision_loss, reason = "for an axis")]
    pub(super) fn seconds(&self) -> f32 {
        self.samples.len() as f32 / self.rate_hz as f32
    }
}

/// Power of each column and bin.
#[derive(Debug)]
pub(super) struct Spectrogram {
    columns: Vec<Vec<f32>>,
    hz_per_bin: f32,
}

impl Spectrogram {
    /// The spectra of `signal` for `columns` columns that span `seconds`; those after its end are empty.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "lengths of a picture, not negative"
    )]
    pub(super) fn of(signal: &Signal, columns: usize, seconds: f32) -> Self {
        let rate = signal.rate_hz as f32;
        let size = ((rate * WINDOW_SECONDS / 2.0).round() as usize).max(8) * 2;
        let mut transform = Transform::new(size);
        let samples_per_column = seconds * rate / columns as f32;
        // Where a column is wider than a window, several are averaged, so that nothing falls between them.
        let per_column = (samples_per_column / (size / 2) as f32).ceil().clamp(1.0, 64.0) as usize;
        let column = |index: usize| {
            let begin = index as f32 * samples_per_column;
            if begin as usize >= signal.samples.len() {
                return Vec::new();
            }
            let mut power = vec![0.0; size / 2 + 1];
            for part in 0..per_column {
                let centre = begin + samples_per_column * (part as f32 + 0.5) / per_column as f32;
                transform.add_power(&signal.samples, centre as usize, &mut power);
            }
            power.iter_mut().for_each(|bin| *bin /= per_column as f32);
            power
        };
        Self { columns: (0..columns).map(column).collect(), hz_per_bin: rate / size as f32 }
    }

    /// The highest frequency at which there is sound now and then, to about 50 Hz; 0 in silence.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bins are few, frequencies not negative"
    )]
    pub(super) fn bandwidth_hz(&self) -> u32 {
        let heard: Vec<&Vec<f32>> = self.columns.iter().filter(|bins| !bins.is_empty()).collect();
        let floor = 10_f32.powf(CONTENT_DB / 10.0);
        let holds_sound = |bin: &usize| {
            heard.iter().filter(|bins| bins[*bin] > floor).count() * CONTENT_COLUMNS > heard.len()
        };
        let bins = heard.first().map_or(0, |bins| bins.len());
        let highest = (0..bins).rev().find(holds_sound);
        highest.map_or(0, |bin| (bin as f32 * self.hz_per_bin).round() as u32)
    }

    /// The highest level between two frequencies, in dB under a full-scale sine; −∞ where there is nothing.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "frequencies are not negative"
    )]
    pub(super) fn level_db(&self, column: usize, low_hz: f32, high_hz: f32) -> f32 {
        let bins = &self.columns[column];
        let first = (low_hz / self.hz_per_bin).round() as usize;
        let last = ((high_hz / self.hz_per_bin).round() as usize).max(first + 1).min(bins.len());
        let strongest = bins.get(first..last).unwrap_or_default().iter().copied().fold(0.0, f32::max);
        10.0 * strongest.log10()
    }
}

struct Transform {
    plan: std::sync::Arc<dyn realfft::RealToComplex<f32>>,
    window: Vec<f32>,
    scale: f32,
    input: Vec<f32>,
    output: Vec<realfft::num_complex::Complex<f32>>,
}

impl Transform {
    #[expect(clippy::cast_precision_loss, reason = "windows are short")]
    fn new(size: usize) -> Self {
        let plan = RealFftPlanner::new().plan_fft_forward(size);
        // Hann, periodic.
        let phase = |index: usize| std::f32::consts::TAU * index as f32 / size as f32;
        let window: Vec<f32> = (0..size).map(|index| 0.5 - 0.5 * phase(index).cos()).collect();
        let scale = 2.0 / window.iter().sum::<f32>();
        let (input, output) = (plan.make_input_vec(), plan.make_output_vec());
        Self { plan, window, scale, input, output }
    }

    /// Adds the power spectrum around `centre`; silence lies beyond both ends.
    fn add_power(&mut self, samples: &[f32], centre: usize, power: &mut [f32]) {
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

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a second of samples")]
    fn a_full_scale_sine_has_0_db_at_its_frequency_and_nothing_elsewhere() {
        let rate_hz = 16_000;
        let sine = |index: usize| (std::f32::consts::TAU * 1_000.0 * index as f32 / rate_hz as f32).sin();
        let signal = Signal { samples: (0..16_000).map(sine).collect(), rate_hz };
        let spectra = Spectrogram::of(&signal, 10, 1.0);
        let peak = spectra.level_db(5, 900.0, 1_100.0);
        assert!(peak.abs() < 1.0, "{peak} dB");
        assert!(spectra.level_db(5, 3_000.0, 7_000.0) < -60.0);
        assert_eq!(spectra.level_db(5, 9_000.0, 9_100.0), f32::NEG_INFINITY);
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "a second of samples")]
    fn the_bandwidth_ends_at_the_highest_tone_and_a_click_is_none() {
        let tone = |index: usize| (std::f32::consts::TAU * 3_000.0 * index as f32 / 16_000.0).sin() * 0.1;
        let mut samples: Vec<f32> = (0..16_000).map(tone).collect();
        samples[8_000] = 1.0;
        let spectra = Spectrogram::of(&Signal { samples, rate_hz: 16_000 }, 100, 1.0);
        assert!(spectra.bandwidth_hz().abs_diff(3_000) < 500, "{} Hz", spectra.bandwidth_hz());
        let silence = Signal { samples: vec![0.0; 8_000], rate_hz: 8_000 };
        assert_eq!(Spectrogram::of(&silence, 10, 2.0).bandwidth_hz(), 0);
    }

    #[test]
    fn columns_after_the_end_are_empty() {
        let signal = Signal { samples: vec![1.0; 8_000], rate_hz: 8_000 };
        let spectra = Spectrogram::of(&signal, 10, 2.0);
        assert!(spectra.level_db(2, 0.0, 100.0) > -20.0);
        assert_eq!(spectra.level_db(8, 0.0, 100.0), f32::NEG_INFINITY);
    }
}
