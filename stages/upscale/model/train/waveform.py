"""Waveform operations of the recipe: reading, rate changes, low-rate copies, rooms, codec round trips."""

import io
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from envelope.constants import RATE
from envelope.spectrum import FloatArray


@dataclass(frozen=True)
class Slope:
    """A Kaiser-windowed sinc, about 100 dB down beyond its slope."""

    centre: float
    """Its -6 dB point, as a share of the lower Nyquist."""
    half_length: int
    """Taps on either side, in samples of the lower rate."""


GENTLE = Slope(centre=0.97, half_length=96)
"""For rate changes of whole recordings: what players and converters do."""
STEEP = Slope(centre=0.988, half_length=256)
"""For the low-rate copies that the judge takes: it slopes between 0.975 and 1 of the Nyquist, so that the kept band is kept."""


def read_mono(path: Path) -> FloatArray:
    """A file as 48 kHz mono `[T]`, channels averaged."""
    signal, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return change_rate(signal.mean(axis=1), rate, RATE)


def change_rate(signal: FloatArray, source: int, target: int, slope: Slope = GENTLE) -> FloatArray:
    """Rational resampling of `[T]` from one rate to another."""
    if source == target:
        return signal.astype(np.float32)
    common = gcd(source, target)
    up, down = target // common, source // common
    factor = max(up, down)
    taps = scipy.signal.firwin(2 * slope.half_length * factor + 1, slope.centre / factor, window=("kaiser", 10.0))
    return scipy.signal.resample_poly(signal, up, down, window=taps).astype(np.float32)


def low_rate_copy(signal: FloatArray, rate: int) -> FloatArray:
    """What is left of a 48 kHz signal `[T]` after a trip through a lower rate: the input that the stage would see."""
    low = change_rate(signal, RATE, rate, STEEP)
    back = change_rate(low, rate, RATE, STEEP)
    result = np.zeros_like(signal, dtype=np.float32)
    count = min(len(signal), len(back))
    result[:count] = back[:count]
    return result


def change_speed(signal: FloatArray, speed: float) -> FloatArray:
    """Play faster (> 1, pitch up) or slower; the step is 1/40."""
    numerator = round(40 * speed)
    return change_rate(signal, numerator, 40)


def in_a_room(signal: FloatArray, generator: np.random.Generator) -> FloatArray:
    """The signal `[T]` with a synthetic room: direct sound and an exponentially decaying, darkening noise tail."""
    decay_seconds = generator.uniform(0.08, 0.5)
    count = int(decay_seconds * RATE)
    time = np.arange(count) / RATE
    tail = generator.standard_normal(count) * np.exp(-6.9 * time / decay_seconds)
    bright = scipy.signal.lfilter([1], [1, -generator.uniform(0.0, 0.7)], tail)
    bright *= generator.uniform(0.05, 0.6) / np.sqrt(np.sum(bright**2) + 1e-12)
    response = np.concatenate([[1.0], np.zeros(int(generator.uniform(0.001, 0.01) * RATE)), bright])
    return scipy.signal.oaconvolve(signal, response)[: len(signal)].astype(np.float32)


def codec_round_trip(signal: FloatArray, generator: np.random.Generator) -> FloatArray:
    """The signal `[T]` after MP3 or Opus at a random quality, aligned with the original."""
    container, subtype = [("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("OGG", "VORBIS")][generator.integers(3)]
    stream = io.BytesIO()
    peak = max(1.0, float(np.abs(signal).max(initial=0)))
    level = float(generator.uniform(0.3, 0.95))
    soundfile.write(stream, signal / peak, RATE, format=container, subtype=subtype, compression_level=level)
    stream.seek(0)
    decoded, _ = soundfile.read(stream, dtype="float32")
    return align(decoded * peak, signal)


def align(signal: FloatArray, reference: FloatArray, most: int = 4096) -> FloatArray:
    """Shift a signal by up to `most` samples to where it correlates best with a reference `[T]`; result `[T]`."""
    count = min(len(signal), len(reference))
    correlation = scipy.signal.correlate(signal[:count], reference[:count], method="fft")
    lags = np.arange(-(count - 1), count)
    near = np.abs(lags) <= most
    lag = int(lags[near][np.argmax(correlation[near])])
    result = np.zeros(len(reference), dtype=np.float32)
    moved = signal[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag, np.float32), signal])
    result[: min(len(moved), len(result))] = moved[: len(result)]
    return result
