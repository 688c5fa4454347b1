//! The short-time Fourier transform of a signal, summed up for the columns of a picture.

use crate::spectrum::{Transform, WINDOW_SECONDS, highest_hz};
use treble_core::PcmBlock;

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
    pub(super) fn bandwidth_hz(&self) -> u32 {
        let heard: Vec<&Vec<f32>> = self.columns.iter().filter(|bins| !bins.is_empty()).collect();
        highest_hz(&heard, self.hz_per_bin)
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
