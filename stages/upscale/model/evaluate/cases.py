"""What a clip goes through before a system gets it, and what the judge then has to know."""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import soundfile

from envelope.constants import FFT_SIZE, RATE
from envelope.spectrum import FloatArray, stft
from train.prepare import codec_cutoff
from train.waveform import align, low_rate_copy


@dataclass(frozen=True)
class Prepared:
    """Input of a system: 48 kHz signal `[T]`, its cutoff bin, and the rate whose Nyquist splits kept from missing."""

    signal: FloatArray
    cutoff: int
    rate_in: float


Case = Callable[[FloatArray], Prepared]


def from_rate(rate: int) -> Case:
    """The clip after a trip through a lower sample rate."""

    def prepare(reference: FloatArray) -> Prepared:
        cutoff = int(rate / 2 * FFT_SIZE / RATE)
        return Prepared(low_rate_copy(reference, rate), cutoff, float(rate))

    return prepare


def from_codec(container: str, subtype: str, level: float) -> Case:
    """The clip after a lossy codec that low-passes it."""

    def prepare(reference: FloatArray) -> Prepared:
        stream = io.BytesIO()
        soundfile.write(stream, np.clip(reference, -1, 1), RATE, format=container, subtype=subtype, compression_level=level)
        stream.seek(0)
        decoded, _ = soundfile.read(stream, dtype="float32")
        signal = align(decoded, reference)
        cutoff = codec_cutoff(np.abs(stft(reference)) ** 2, np.abs(stft(signal)) ** 2)
        return Prepared(signal, cutoff, 2 * cutoff * RATE / FFT_SIZE)

    return prepare


CASES: dict[str, Case] = {
    "8k": from_rate(8_000),
    "12k": from_rate(12_000),
    "16k": from_rate(16_000),
    "22.05k": from_rate(22_050),
    "24k": from_rate(24_000),
    "mp3": from_codec("MP3", "MPEG_LAYER_III", 0.7),
    "opus": from_codec("OGG", "OPUS", 0.97),
}
