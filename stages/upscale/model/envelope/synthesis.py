"""From gains to the high band: CONTRACT.md section 6."""

import numpy as np

from .constants import (
    BINS,
    FADE_BINS,
    FEATURE_BANDS,
    FEATURE_EPS,
    GAIN_FLOOR,
    GATE_POWER,
    HEADROOM,
    HIGH_BAND_BINS,
    HIGH_BANDS,
    HIGH_FIRST_BIN,
    MAX_CUTOFF_BIN,
    MIN_CUTOFF_BIN,
)
from .excitation import copy_spectra, noise_spectra
from .features import band_mask, band_power
from .spectrum import ComplexArray, FloatArray, overlap_add, stft


def spread(values: FloatArray, cutoff: int) -> FloatArray:
    """Interpolate band values `[K, 56]` linearly to the bins `[K, 512 - cutoff]`, held beyond the outer band centres."""
    centre = HIGH_FIRST_BIN + (HIGH_BAND_BINS - 1) / 2
    place = np.clip((np.arange(cutoff, BINS - 1) - centre) / HIGH_BAND_BINS, 0, HIGH_BANDS - 1)
    lower = np.minimum(np.floor(place).astype(int), HIGH_BANDS - 2)
    share = (place - lower).astype(np.float32)
    return (1 - share) * values[:, lower] + share * values[:, lower + 1]


def fade(cutoff: int) -> FloatArray:
    """Amplitude ramp `[512 - cutoff]` over the first six bins above the cutoff."""
    offset = np.arange(BINS - 1 - cutoff)
    return np.where(offset < FADE_BINS, np.sin(np.pi / 2 * (offset + 0.5) / FADE_BINS), 1).astype(np.float32)


def limit_gains(gains: FloatArray, spectra: ComplexArray, cutoff: int) -> FloatArray:
    """Clamp log10 powers `[K, 56]` between the floor and the loudest low band plus the headroom."""
    level = np.log10(band_power(spectra)[:, :FEATURE_BANDS] + np.float32(FEATURE_EPS))
    top = level[:, band_mask(cutoff) == 1].max(axis=1, keepdims=True) + HEADROOM
    return np.clip(gains, GAIN_FLOOR, top)


def gate(spectra: ComplexArray, cutoff: int) -> FloatArray:
    """Share `[K, 1]` in (0, 1) of the high band that a frame may have: 0 in digital silence, 1 for anything audible."""
    low = spectra[:, :cutoff]
    level = (low.real**2 + low.imag**2).mean(axis=1, keepdims=True)
    return level / (level + np.float32(GATE_POWER))


def high_spectra(spectra: ComplexArray, gains: FloatArray, mix: FloatArray, cutoff: int, seed: int) -> ComplexArray:
    """High-band spectra `[K, 513]` from input spectra `[K, 513]`, gains and mix `[K, 56]`."""
    result = np.zeros_like(spectra)
    if not MIN_CUTOFF_BIN <= cutoff <= MAX_CUTOFF_BIN:
        return result
    amplitude = np.power(np.float32(10), spread(limit_gains(gains, spectra, cutoff), cutoff) / 2)
    amplitude *= gate(spectra, cutoff) * fade(cutoff)
    share = spread(mix, cutoff)
    noise = noise_spectra(seed, 0, len(spectra))[:, cutoff:-1]
    copy = copy_spectra(spectra, cutoff)[:, :-1]
    result[:, cutoff:-1] = amplitude * (np.sqrt(1 - share) * noise + np.sqrt(share) * copy)
    return result


def add_high_band(signal: FloatArray, gains: FloatArray, mix: FloatArray, cutoff: int, seed: int) -> FloatArray:
    """Output signal `[T]`: the input as it is, plus its synthesised high band (gains and mix `[K, 56]`)."""
    if len(signal) == 0:
        return signal.astype(np.float32)
    spectra = high_spectra(stft(signal), gains, mix, cutoff, seed)
    return signal.astype(np.float32) + overlap_add(spectra, len(signal))
