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

    /// Writes the integers for `samples` of one channel, of which the first has number `first_index`, to `out`.
    pub(crate) fn plane<'a>(
        &mut self,
        samples: &[f32],
        channel: usize,
        first_index: u64,
        out: impl Iterator<Item = &'a mut i32>,
    ) {
        let key = mix(channel as u64);
        for ((&sample, slot), index) in samples.iter().zip(out).zip(first_index..) {
            let scaled = f64::from(sample) * self.scale;
            // Counted before dither: noise that pushes a full-scale sample over the edge is no fault of the source.
            self.clipped += u64::from(scaled.abs() > self.scale);
            let noise = if self.dithered { tpdf(key, index) } else { 0.0 };
            *slot = nearest((scaled + noise).clamp(-self.scale, self.scale - 1.0));
        }
    }
}

/// The nearest integer, ties to even, of a value that fits. Adding 3·2^51 leaves no room for a fraction; the
/// processor rounds as asked, where `round_ties_even` is a call into the C library on plain x86-64.
#[expect(clippy::cast_possible_truncation, reason = "clamped to 24 bits before")]
fn nearest(value: f64) -> i32 {
    const NO_FRACTION: f64 = 6_755_399_441_055_744.0;
    ((value + NO_FRACTION) - NO_FRACTION) as i32
}

/// Triangular noise in [−1, 1], in least significant bits: the sum of two uniform halves of one hash.
fn tpdf(key: u64, index: u64) -> f64 {
    let bits = mix(key.wrapping_add(index));
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
        let mut got = [0];
        quantiser.plane(&[sample], 0, 0, got.iter_mut());
        assert_eq!(got, [expect], "{sample} from {source:?} to {target:?}");
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

    #[test]
    fn rounding_is_to_nearest_and_ties_to_even() {
        for (value, expect) in
            [(0.5, 0), (1.5, 2), (-0.5, 0), (-1.5, -2), (2.4999, 2), (-8_388_607.5, -8_388_608)]
        {
            assert_eq!(nearest(value), expect, "{value}");
        }
    }

    /// Mean and variance of the whole error, for values on and between the integers: 0 and 1/12 + 1/6 = 1/4.
    #[test]
    fn the_error_is_independent_of_the_signal_in_mean_and_variance() {
        const COUNT: u64 = 200_000;
        for offset in [0.0, 0.25, 0.5, 0.9] {
            let sample = (100.0 + offset) / 32_768.0;
            let mut quantiser = Quantiser::new(SampleDepth::F32, BitDepth::B16);
            let mut got = vec![0; COUNT as usize];
            quantiser.plane(&vec![sample; COUNT as usize], 1, 0, got.iter_mut());
            let errors = got.iter().map(|&n| f64::from(n) - 100.0 - f64::from(offset));
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
            (0..COUNT).map(|at| tpdf(mix(0), at) * tpdf(mix(channel), at + lag)).sum::<f64>() / COUNT as f64
        };
        assert!((correlation(0, 0) - 1.0 / 6.0).abs() < 0.002);
        for (channel, lag) in [(0, 1), (0, 2), (0, 4096), (1, 0), (1, 1), (2, 0), (31, 0)] {
            assert!(correlation(channel, lag).abs() < 0.002, "channel {channel}, lag {lag}");
        }
    }
}
