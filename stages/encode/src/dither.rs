//! Float to integer samples: exact where the source fits, with TPDF dither where it does not.
//!
//! Triangular dither of two least significant bits, peak to peak, makes the error independent of the signal
//! in mean and variance (Lipshitz, Wannamaker and Vanderkooy, "Quantization and Dither: A Theoretical
//! Survey", JAES 40(5), 1992). The noise comes from a counter-based generator: it is a pure function of the
//! channel and the sample index, has no state, and so a replay of any part of a stream gives the same bits.
//!
//! Whether a sample is dithered is decided by the depth that its block declares and never by its value: a
//! decision by value would correlate the noise with the signal, which is what dither is there to prevent.

use crate::config::BitDepth;
use treble_core::SampleDepth;

/// Turns samples of full scale ±1 into integers of `target` bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantiser {
    scale: f64,
    dithered: bool,
    /// Samples that lay beyond full scale and were limited to it.
    pub(crate) clipped: u64,
}

impl Quantiser {
    /// For samples of depth `source`, written with `target` bits.
    pub(crate) fn new(source: SampleDepth, target: BitDepth) -> Self {
        let source_bits = match source {
            SampleDepth::S16 => 16,
            SampleDepth::S24 => 24,
            SampleDepth::F32 => u8::MAX,
        };
        let scale = f64::from(1_u32 << (target.bits() - 1));
        Self { scale, dithered: source_bits > target.bits(), clipped: 0 }
    }

    /// The integer for `sample`, which is the `index`-th of its channel; limited to full scale.
    #[expect(clippy::cast_possible_truncation, reason = "clamped to the range of the target first")]
    pub(crate) fn quantise(&mut self, sample: f32, channel: usize, index: u64) -> i32 {
        let scaled = f64::from(sample) * self.scale;
        // Counted before dither: noise that pushes a full-scale sample over the edge is no fault of the source.
        if scaled > self.scale || scaled < -self.scale {
            self.clipped += 1;
        }
        let noise = if self.dithered { tpdf(channel as u64, index) } else { 0.0 };
        (scaled + noise).round_ties_even().clamp(-self.scale, self.scale - 1.0) as i32
    }
}

/// Triangular noise in (−1, 1), in least significant bits: the sum of two uniform halves of one hash.
fn tpdf(channel: u64, index: u64) -> f64 {
    let bits = mix(mix(channel).wrapping_add(index));
    let (high, low) = ((bits >> 32) as u32, bits as u32);
    (f64::from(high) + f64::from(low)) / f64::from(u32::MAX) - 1.0
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) on a Weyl step of `counter`.
const fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: SampleDepth, target: BitDepth, sample: f32, expect: i32, clipped: u64) {
        let mut quantiser = Quantiser::new(source, target);
        assert_eq!(quantiser.quantise(sample, 0, 0), expect, "{sample} from {source:?} to {target:?}");
        assert_eq!(quantiser.clipped, clipped, "{sample}");
    }

    #[test]
    fn what_fits_passes_bit_exact() {
        use {BitDepth::*, SampleDepth::*};
        for n in [-32_768, -32_767, -1, 0, 1, 12_345, 32_767] {
            check(S16, B16, n as f32 / 32_768.0, n, 0);
            check(S16, B24, n as f32 / 32_768.0, n * 256, 0);
        }
        for n in [-8_388_608, -8_388_607, -1, 0, 1, 4_194_305, 8_388_607] {
            check(S24, B24, n as f32 / 8_388_608.0, n, 0);
        }
    }

    #[test]
    fn beyond_full_scale_is_limited_and_counted() {
        use {BitDepth::*, SampleDepth::*};
        check(S16, B16, 1.0, 32_767, 0);
        check(S16, B16, -1.0, -32_768, 0);
        check(F32, B24, 1.5, 8_388_607, 1);
        check(F32, B16, -1.5, -32_768, 1);
        check(F32, B24, f32::MAX, 8_388_607, 1);
        check(F32, B24, f32::MIN, -8_388_608, 1);
    }

    /// Mean and variance of the whole error, for values on and between the integers: 0 and 1/12 + 1/6 = 1/4.
    #[test]
    fn the_error_is_independent_of_the_signal_in_mean_and_variance() {
        const COUNT: u64 = 200_000;
        for offset in [0.0, 0.25, 0.5, 0.9] {
            let sample = (100.0 + offset) / 32_768.0;
            let mut quantiser = Quantiser::new(SampleDepth::F32, BitDepth::B16);
            let errors =
                (0..COUNT).map(|at| f64::from(quantiser.quantise(sample, 1, at)) - 100.0 - f64::from(offset));
            let (sum, squares) = errors.fold((0.0, 0.0), |(sum, squares), e| (sum + e, squares + e * e));
            assert!((sum / COUNT as f64).abs() < 0.005, "mean {} at {offset}", sum / COUNT as f64);
            assert!(
                (squares / COUNT as f64 - 0.25).abs() < 0.005,
                "variance {} at {offset}",
                squares / COUNT as f64
            );
        }
    }

    /// Correlation between neighbours, and between channels, of noise of variance 1/6.
    #[test]
    fn the_noise_is_white_and_differs_between_channels() {
        const COUNT: u64 = 200_000;
        let correlation = |channel: u64, lag: u64| {
            (0..COUNT).map(|at| tpdf(0, at) * tpdf(channel, at + lag)).sum::<f64>() / COUNT as f64
        };
        assert!((correlation(0, 0) - 1.0 / 6.0).abs() < 0.002);
        for (channel, lag) in [(0, 1), (0, 2), (0, 4096), (1, 0), (1, 1), (2, 0), (31, 0)] {
            assert!(correlation(channel, lag).abs() < 0.002, "channel {channel}, lag {lag}");
        }
    }
}
