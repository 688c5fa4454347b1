"""The frame grid and the transform: CONTRACT.md section 1."""

import numpy as np
import numpy.typing as npt
import scipy.fft

from .constants import BINS, FFT_SIZE, HOP, WINDOW_OVERLAP

FloatArray = npt.NDArray[np.floating]
ComplexArray = npt.NDArray[np.complexfloating]

WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)).astype(np.float32)
"""Periodic Hann window `[1024]`."""
FIRST_FRAME = -1


def frame_count(samples: int) -> int:
    """Frames that overlap a signal of so many samples; the first has index -1."""
    return 0 if samples == 0 else -(-(samples + FFT_SIZE // 2) // HOP) + 1


def frame_signal(signal: FloatArray) -> FloatArray:
    """Cut `[T]` into the existing frames `[K, 1024]`, zeros outside the signal."""
    count = frame_count(len(signal))
    start = FFT_SIZE // 2 - FIRST_FRAME * HOP
    padded = np.zeros((max(count, 1) - 1) * HOP + FFT_SIZE, dtype=np.float32)
    padded[start : start + len(signal)] = signal
    return np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[::HOP][:count]


def transform(frames: FloatArray) -> ComplexArray:
    """Windowed spectra `[K, 513]` of frames `[K, 1024]`."""
    return scipy.fft.rfft(frames * WINDOW, axis=-1)


def stft(signal: FloatArray) -> ComplexArray:
    """Spectra `[K, 513]` of all frames of a signal `[T]`."""
    return transform(frame_signal(signal))


def overlap_add(spectra: ComplexArray, samples: int) -> FloatArray:
    """Signal `[T]` of spectra `[K, 513]`: windowed inverse, summed, divided by the constant 1.5."""
    assert spectra.shape[-1] == BINS
    frames = scipy.fft.irfft(spectra, n=FFT_SIZE, axis=-1) * (WINDOW / np.float32(WINDOW_OVERLAP))
    total = np.zeros((max(len(frames), 1) - 1) * HOP + FFT_SIZE, dtype=np.float32)
    for index, frame in enumerate(frames):
        total[index * HOP : index * HOP + FFT_SIZE] += frame
    start = FFT_SIZE // 2 - FIRST_FRAME * HOP
    return total[start : start + samples]
