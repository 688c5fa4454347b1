//! Features of the low band, and a high band from gains (`model/CONTRACT.md`, sections 3 and 6).

use crate::excitation::CopyUp;
use crate::spectrum::BINS;
use realfft::num_complex::Complex32;

/// Feature bands and the bins in each.
pub(crate) const FEATURE_BANDS: usize = 96;
const FEATURE_BINS: usize = 4;
/// High bands, the first bin of the first, and the bins in each.
pub(crate) const HIGH_BANDS: usize = 56;
const HIGH_FIRST: f32 = 64.0;
const HIGH_BINS: f32 = 8.0;
/// Bins of crossfade above the cutoff: 281 Hz.
const FADE_BINS: usize = 6;
const EPSILON: f32 = 1e-8;
const LEAST_GAIN: f32 = -8.0;
/// By how much, in powers of ten, a high band may pass the loudest low one.
const HEADROOM: f32 = 1.5;
/// The power at which the gate is half open.
const GATE: f32 = 1e-7;

/// `log10` of the power of each feature band.
pub(crate) fn log_powers(x: &[Complex32]) -> [f32; FEATURE_BANDS] {
    std::array::from_fn(|band| {
        let bins = &x[band * FEATURE_BINS..(band + 1) * FEATURE_BINS];
        let power = bins.iter().map(Complex32::norm_sqr).sum::<f32>() / FEATURE_BINS as f32;
        (power + EPSILON).log10()
    })
}

/// How much of a feature band lies below the cutoff, in quarters.
pub(crate) fn mask(cutoff: usize, band: usize) -> f32 {
    (cutoff.saturating_sub(band * FEATURE_BINS)).min(FEATURE_BINS) as f32 / FEATURE_BINS as f32
}

/// The feature of a band from its `log10` power.
pub(crate) fn feature(log_power: f32) -> f32 {
    f32::midpoint(log_power, 2.0)
}

/// The weight of a high band's bin: rises from 0 to 1 over the crossfade.
pub(crate) fn fade(cutoff: usize, bin: usize) -> f32 {
    if bin >= cutoff + FADE_BINS {
        return 1.0;
    }
    let position = ((bin - cutoff) as f32 + 0.5) / FADE_BINS as f32;
    (std::f32::consts::FRAC_PI_2 * position).sin()
}

/// What the model says of one frame, band by band.
#[derive(Debug)]
pub(crate) struct Prediction {
    /// `log10` of the mean power.
    pub(crate) gains: [f32; HIGH_BANDS],
    /// The share of copied low band in it, in [0, 1].
    pub(crate) mix: [f32; HIGH_BANDS],
}

impl Prediction {
    /// Gain and mix at a bin: linear between the centres of bands, held at the ends.
    fn at(&self, bin: usize) -> (f32, f32) {
        let position = ((bin as f32 - (HIGH_FIRST + (HIGH_BINS - 1.0) / 2.0)) / HIGH_BINS)
            .clamp(0.0, (HIGH_BANDS - 1) as f32);
        let band = (position as usize).min(HIGH_BANDS - 2);
        let right = position - band as f32;
        let between = |values: &[f32]| (1.0 - right) * values[band] + right * values[band + 1];
        (between(&self.gains), between(&self.mix))
    }
}

/// Writes the high band of a frame with spectrum `x` to `out`; bins below the cutoff become 0.
pub(crate) fn high_band(
    x: &[Complex32],
    cutoff: usize,
    mut prediction: Prediction,
    noise: &[Complex32],
    out: &mut [Complex32],
) {
    let powers = log_powers(x);
    let top = powers[..cutoff.min(FEATURE_BANDS * FEATURE_BINS) / FEATURE_BINS]
        .iter()
        .copied()
        .fold(f32::MIN, f32::max);
    for gain in &mut prediction.gains {
        *gain = gain.min(top + HEADROOM).max(LEAST_GAIN);
    }
    let level = x[..cutoff].iter().map(Complex32::norm_sqr).sum::<f32>() / cutoff as f32;
    let gate = level / (level + GATE);
    let copy = CopyUp::new(x, cutoff);
    out.fill(Complex32::default());
    for bin in cutoff..BINS - 1 {
        let (gain, mix) = prediction.at(bin);
        let excitation = noise[bin] * (1.0 - mix).max(0.0).sqrt() + copy.bin(bin) * mix.max(0.0).sqrt();
        out[bin] = excitation * (gate * fade(cutoff, bin) * 10.0_f32.powf(gain / 2.0));
    }
}
