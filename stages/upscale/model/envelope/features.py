"""What the network sees: CONTRACT.md section 3."""

import numpy as np

from .constants import (
    FEATURE_BANDS,
    FEATURE_BINS,
    FEATURE_EPS,
    FEATURE_MEAN,
    FEATURE_SCALE,
)
from .spectrum import ComplexArray, FloatArray


def band_power(spectra: ComplexArray) -> FloatArray:
    """Mean power `[K, 128]` of each four bins of spectra `[K, 513]` (Nyquist left out)."""
    power = spectra.real**2 + spectra.imag**2
    return power[:, :-1].reshape(len(power), -1, FEATURE_BINS).mean(axis=-1)


def band_mask(cutoff: int) -> FloatArray:
    """Share `[96]` of each feature band that lies below the cutoff bin."""
    share = (cutoff - FEATURE_BINS * np.arange(FEATURE_BANDS)) / FEATURE_BINS
    return np.clip(share, 0, 1).astype(np.float32)


def features(spectra: ComplexArray, cutoff: int) -> FloatArray:
    """Network input `[192, K]` of spectra `[K, 513]` at one cutoff bin."""
    level = np.log10(band_power(spectra)[:, :FEATURE_BANDS] + np.float32(FEATURE_EPS))
    mask = np.broadcast_to(band_mask(cutoff), level.shape)
    value = np.where(mask == 1, (level - FEATURE_MEAN) / FEATURE_SCALE, 0)
    return np.concatenate([value, mask], axis=1).T.astype(np.float32)


def pad_context(values: FloatArray, left: int, right: int) -> FloatArray:
    """Frames of silence before and after features `[192, K]`, as section 3 defines frames outside the stream."""
    silence = np.zeros(values.shape[0], dtype=np.float32)
    silence[FEATURE_BANDS:] = values[FEATURE_BANDS:, 0]
    silent_level = (np.log10(FEATURE_EPS) - FEATURE_MEAN) / FEATURE_SCALE
    silence[:FEATURE_BANDS] = np.where(silence[FEATURE_BANDS:] == 1, silent_level, 0)
    column = silence[:, None]
    return np.concatenate([np.repeat(column, left, 1), values, np.repeat(column, right, 1)], axis=1)
