"""What the gains shape: counter-based noise and the copied-up low band. CONTRACT.md section 5."""

import numpy as np

from .constants import BINS, COPY_SMOOTH_BINS, FFT_SIZE, HOP
from .spectrum import FIRST_FRAME, ComplexArray, FloatArray, transform

_STEP = 0x9E3779B97F4A7C15
_U64 = (1 << 64) - 1


def _mix64(value: np.ndarray) -> np.ndarray:
    """Finaliser of splitmix64 over u64 `[n]`, wrapping."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def noise_samples(seed: int, channel: int, start: int, count: int) -> FloatArray:
    """White noise `e[start .. start + count]`, uniform in [-1, 1), a pure function of its arguments."""
    key = _mix64(np.array([(seed + _STEP * (channel + 1)) & _U64], dtype=np.uint64))
    index = (np.arange(start, start + count, dtype=np.int64)).astype(np.uint64) + np.uint64(1)
    with np.errstate(over="ignore"):
        bits = _mix64(key + np.uint64(_STEP) * index) >> np.uint64(40)
    return bits.astype(np.float32) * np.float32(2.0**-23) - np.float32(1)


def noise_spectra(seed: int, channel: int, count: int) -> ComplexArray:
    """Unit-power noise spectra `[K, 513]` of the frames -1, 0, ... of a stream."""
    start = FIRST_FRAME * HOP - FFT_SIZE // 2
    samples = noise_samples(seed, channel, start, (count - 1) * HOP + FFT_SIZE)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SIZE)[::HOP]
    return transform(frames) * np.float32(1 / np.sqrt(128))


def copy_source(cutoff: int) -> np.ndarray:
    """Source bin `[513 - cutoff]` of every bin from the cutoff up."""
    width = 4 * (cutoff // 8)
    bins = np.arange(cutoff, BINS)
    return bins - width * (-(-(bins - cutoff + 1) // width))


def copy_spectra(spectra: ComplexArray, cutoff: int) -> ComplexArray:
    """Flattened copy `[K, 513 - cutoff]` of the top half of the low band, for the bins from the cutoff up."""
    low = spectra[:, :cutoff]
    power = (low.real**2 + low.imag**2).astype(np.float64)
    total = np.concatenate([np.zeros((len(low), 1)), np.cumsum(power, axis=1)], axis=1)
    index = np.arange(cutoff)
    first = np.maximum(index - COPY_SMOOTH_BINS, 0)
    last = np.minimum(index + COPY_SMOOTH_BINS, cutoff - 1) + 1
    smooth = (total[:, last] - total[:, first]) / (last - first)
    flat = low / np.sqrt(np.maximum(smooth, 0) + 1e-8)
    return flat[:, copy_source(cutoff)].astype(np.complex64)
