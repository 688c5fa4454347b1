//! Keeps the original band: of what a waveform model adds, only the bins above the cutoff pass.

use crate::spectrum::BINS;
use crate::synthesis::fade;
use realfft::num_complex::Complex32;

/// Removes what lies below `cutoff`, and fades in what lies above it.
pub(crate) fn keep_above(cutoff: usize, spectrum: &mut [Complex32]) {
    spectrum[..cutoff].fill(Complex32::default());
    for (bin, value) in spectrum.iter_mut().enumerate().skip(cutoff) {
        *value *= fade(cutoff, bin);
    }
    spectrum[BINS - 1] = Complex32::default();
}
