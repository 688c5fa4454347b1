//! What fills the high band (`model/CONTRACT.md`, section 5): noise that is a function of the sample index,
//! and the flattened top half of the low band, moved up.

use crate::spectrum::{FRAME, Spectrum, frame_start};
use realfft::num_complex::Complex32;

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
/// The seed of every stream: the same audio gets the same noise, whatever its name and however it travels.
pub(crate) const SEED: u64 = 0x0054_7265_626c_6521;
/// Bins on each side over which the low band's power is averaged to flatten it.
const SMOOTH: usize = 4;
const EPSILON: f32 = 1e-8;

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// White noise, uniform in [-1, 1), defined for every sample index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    key: u64,
}

impl Noise {
    /// The noise of a seed; equal in all channels, so that equal channels stay equal.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { key: mix64(seed.wrapping_add(GOLDEN)) }
    }

    /// Sample `n`.
    pub(crate) fn sample(self, n: i64) -> f32 {
        let counter = n.cast_unsigned().wrapping_add(1);
        let bits = mix64(self.key.wrapping_add(GOLDEN.wrapping_mul(counter))) >> 40;
        bits as f32 / 8_388_608.0 - 1.0
    }

    /// The spectrum of frame `k`, scaled to a mean power of 1.
    pub(crate) fn analyse(self, k: i64, spectrum: &mut Spectrum, out: &mut [Complex32]) {
        for (sample, n) in spectrum.frame.iter_mut().zip(frame_start(k)..) {
            *sample = self.sample(n);
        }
        spectrum.analyse(out);
        // The window's power is 384, that of the noise 1/3.
        let scale = (FRAME as f32 / 8.0).sqrt().recip();
        out.iter_mut().for_each(|bin| *bin *= scale);
    }
}

/// The low band's top half, flattened and moved up.
#[derive(Debug)]
pub(crate) struct CopyUp {
    cutoff: usize,
    width: usize,
    /// Bins `[cutoff - width, cutoff)`, flattened.
    flat: Vec<Complex32>,
}

impl CopyUp {
    /// The copy of a spectrum `x` that ends at `cutoff`, at least 8.
    pub(crate) fn new(x: &[Complex32], cutoff: usize) -> Self {
        let width = 4 * (cutoff / 8);
        let flat = (cutoff - width..cutoff)
            .map(|bin| {
                let around = &x[bin.saturating_sub(SMOOTH)..=(bin + SMOOTH).min(cutoff - 1)];
                let mean = around.iter().map(Complex32::norm_sqr).sum::<f32>() / around.len() as f32;
                x[bin] / (mean + EPSILON).sqrt()
            })
            .collect();
        Self { cutoff, width, flat }
    }

    /// The excitation at `bin`, which is not below the cutoff.
    pub(crate) fn bin(&self, bin: usize) -> Complex32 {
        self.flat[(bin - self.cutoff) % self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spectrum::BINS;

    #[test]
    fn noise_is_white_of_power_one_and_the_same_for_overlapping_frames() {
        let noise = Noise::new(SEED);
        let mean: f32 = (-5_000..5_000).map(|n| noise.sample(n)).sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
        let (mut spectrum, mut bins) = (Spectrum::new(), vec![Complex32::default(); BINS]);
        let mut power = 0.0;
        for k in -100..100 {
            noise.analyse(k, &mut spectrum, &mut bins);
            power += bins[1..BINS - 1].iter().map(Complex32::norm_sqr).sum::<f32>() / (BINS - 2) as f32;
        }
        assert!((power / 200.0 - 1.0).abs() < 0.02, "{}", power / 200.0);
    }

    #[test]
    fn copies_are_flat_and_repeat_by_multiples_of_four_bins() {
        let x: Vec<Complex32> =
            (0..BINS).map(|bin| Complex32::new(100.0 / (1.0 + bin as f32), 0.0)).collect();
        for cutoff in [64, 166, 171, 480] {
            let copy = CopyUp::new(&x, cutoff);
            for bin in cutoff..BINS {
                // src(b) of the contract, literally.
                let (b, c, s) = (bin as i64, cutoff as i64, copy.width as i64);
                let source = b - s * (b - c + 1 + s - 1).div_euclid(s);
                assert!((c - s..c).contains(&source) && (b - source) % 4 == 0);
                assert_eq!(copy.bin(bin), copy.flat[(source - (c - s)) as usize]);
                assert!((copy.bin(bin).re - 1.0).abs() < 0.2, "flattened to about 1");
            }
        }
    }
}
