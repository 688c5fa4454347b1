"""Metrics of one clip. All signals are mono floats at 48 kHz of equal length `[T]`, before any lossy encoder."""

from itertools import pairwise

import numpy as np
import scipy.signal

from envelope.constants import RATE
from envelope.spectrum import FloatArray

FFT_SIZE = 2048
HOP = 512
BINS = FFT_SIZE // 2 + 1
FLOOR = 1e-8
"""Clamp of the power spectrum."""
AUDIBLE = 1e-4
"""Mean power of a band of the reference from which its flatness is judged (about -70 dBFS over the band)."""


def spectrum(signal: FloatArray) -> np.ndarray:
    """Complex spectra `[frames, 1025]`: 2048 / 512, periodic Hann, centred, reflect padding."""
    window = scipy.signal.get_window("hann", FFT_SIZE, fftbins=True)
    padded = np.pad(signal.astype(np.float64), FFT_SIZE // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP]
    return np.fft.rfft(frames * window, axis=-1)


def boundary_bin(rate_in: float) -> int:
    """First bin above a source rate's Nyquist."""
    return int(BINS * rate_in / RATE)


def log_power(spectra: np.ndarray) -> FloatArray:
    """log10 of the clamped power."""
    return np.log10(np.maximum(np.abs(spectra) ** 2, FLOOR))


def distance(left: FloatArray, right: FloatArray, first: int = 0, last: int = BINS) -> float:
    """Log-spectral distance of log powers `[frames, 1025]` over the bins from `first` up to, not including, `last`."""
    difference = left[:, first:last] - right[:, first:last]
    return float(np.sqrt((difference**2).mean(axis=1)).mean())


def kept_band_snr(predicted: np.ndarray, reference: np.ndarray, boundary: int) -> float:
    """Signal-to-error ratio in dB of the spectra below the boundary bin."""
    error = np.linalg.norm(predicted[:, :boundary] - reference[:, :boundary])
    return float(20 * np.log10(np.linalg.norm(reference[:, :boundary]) / max(error, 1e-12)))


def flatness_db(spectra: np.ndarray, first: int, last: int) -> FloatArray:
    """Spectral flatness in dB per frame, `[frames]`: 0 for flat, -2.5 for Gaussian noise, far below for lines."""
    power = np.maximum(np.abs(spectra[:, first:last]) ** 2, FLOOR)
    return 10 * (np.log10(power).mean(axis=1) - np.log10(power.mean(axis=1)))


def harmonicity_error(predicted: np.ndarray, reference: np.ndarray, boundary: int) -> float:
    """Mean flatness error in dB over four bands of the octave above the boundary, where the reference is audible."""
    edges = np.linspace(boundary, min(2 * boundary, BINS), 5).astype(int)
    errors = []
    for first, last in pairwise(edges):
        audible = (np.abs(reference[:, first:last]) ** 2).mean(axis=1) > AUDIBLE
        error = np.abs(flatness_db(predicted, first, last) - flatness_db(reference, first, last))
        errors.append(error[audible])
    joined = np.concatenate(errors)
    return float(joined.mean()) if len(joined) else float("nan")


def envelope_correlation(predicted: FloatArray, reference: FloatArray, boundary_hz: float) -> float:
    """Correlation of the 1 ms energy envelopes above the boundary; nan where the reference holds nothing there."""
    sections = scipy.signal.butter(8, min(boundary_hz, 0.45 * RATE), "highpass", fs=RATE, output="sos")
    step = RATE // 1000

    def energy(signal: FloatArray) -> FloatArray:
        high = scipy.signal.sosfiltfilt(sections, signal.astype(np.float64))
        return (high[: len(high) // step * step].reshape(-1, step) ** 2).mean(axis=1)

    left, right = energy(predicted), energy(reference)
    if right.std() < 1e-12 or left.std() < 1e-15:
        return float("nan")
    return float(np.corrcoef(left, right)[0, 1])


def judge(predicted: FloatArray, reference: FloatArray, rate_in: float) -> dict[str, float]:
    """All metrics of one clip whose input went through a rate of `rate_in` Hz (twice the low-pass for codecs)."""
    ours, truth = spectrum(predicted), spectrum(reference)
    left, right = log_power(ours), log_power(truth)
    boundary, sixteen = boundary_bin(rate_in), boundary_bin(32_000)
    result = {
        "lsd": distance(left, right),
        "lsd_hf": distance(left, right, boundary),
        "lsd_lf": distance(left, right, 0, boundary),
        "snr_lf": kept_band_snr(ours, truth, boundary),
        "harmonicity_db": harmonicity_error(ours, truth, boundary),
        "envelope": envelope_correlation(predicted, reference, rate_in / 2),
        "lsd_16_24": distance(left, right, sixteen),
    }
    result["lsd_to_16"] = distance(left, right, boundary, sixteen) if boundary < sixteen else float("nan")
    return result
