"""The cache: every recording, in several variants, as band levels per frame. Training never touches waveforms again.

Cutoffs, filter shapes, equalisers, gains, noise and mixing act on band powers (they are offsets and sums there), so they are
drawn afresh for every batch at no cost. What needs waveforms, that is speed, rooms and codecs, is drawn once per variant here.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from envelope.constants import FEATURE_BINS, FEATURE_EPS, FFT_SIZE, MAX_CUTOFF_BIN, MIN_CUTOFF_BIN, RATE
from envelope.features import band_power
from envelope.spectrum import FloatArray, stft

from . import waveform
from .manifest import Recording, domain

BANDS = FFT_SIZE // 2 // FEATURE_BINS
"""Four-bin bands from DC to Nyquist: 128."""
TABLES = ("input", "target", "logmean")
"""log10 band power of the input, of the target, and mean log10 bin power of the target; f16 `[frames, 128]` each."""


@dataclass(frozen=True)
class Clip:
    """One variant of one recording in the cache."""

    start: int
    frames: int
    source: str
    domain: str
    split: str
    variant: str
    rolloff_bin: int
    codec_cutoff: int
    """Cutoff bin of the codec that the input went through; `MAX_CUTOFF_BIN` where there was none."""


@dataclass(frozen=True)
class Variant:
    """Target and input waveforms `[T]` of one variant."""

    name: str
    target: FloatArray
    source: FloatArray
    speed: float = 1.0


def build(recordings: list[Recording], folder: Path, seed: int, variants: bool = True) -> list[Clip]:
    """Write the cache of all recordings into a folder, or reuse the one that is there."""
    index = folder / "clips.json"
    stamp = {"seed": seed, "variants": variants, "files": [recording.path.name for recording in recordings]}
    if index.exists():
        held = json.loads(index.read_text())
        if held["stamp"] == stamp:
            return [Clip(**clip) for clip in held["clips"]]
    folder.mkdir(parents=True, exist_ok=True)
    clips: list[Clip] = []
    streams = [(folder / f"{table}.f16").open("wb") for table in TABLES]
    position = 0
    for number, recording in enumerate(recordings):
        for variant in _variants(recording, np.random.default_rng([seed, number]), variants):
            tables, cutoff = _levels(variant)
            for stream, table in zip(streams, tables, strict=True):
                stream.write(table.astype(np.float16).tobytes())
            clips.append(_clip(recording, variant, position, len(tables[0]), cutoff))
            position += len(tables[0])
        if number % 50 == 0:
            sys.stderr.write(f"prepare {number}/{len(recordings)} recordings, {position} frames\n")
    for stream in streams:
        stream.close()
    index.write_text(json.dumps({"stamp": stamp, "clips": [asdict(clip) for clip in clips]}))
    return clips


def tables(folder: Path) -> tuple[np.ndarray, ...]:
    """The cached tables, memory-mapped, f16 `[frames, 128]` each."""
    return tuple(np.memmap(folder / f"{table}.f16", dtype=np.float16, mode="r").reshape(-1, BANDS) for table in TABLES)


def _variants(recording: Recording, generator: np.random.Generator, variants: bool) -> Iterator[Variant]:
    signal = waveform.read_mono(recording.path)
    yield Variant("plain", signal, signal)
    if recording.split == "val" or not variants:
        return
    for name, low, high in (("slower", 0.8, 0.95), ("faster", 1.025, 1.1)):
        speed = round(40 * generator.uniform(low, high)) / 40
        changed = waveform.change_speed(signal, speed)
        if generator.random() < 0.4:
            changed = waveform.in_a_room(changed, generator)
        yield Variant(name, changed, changed, speed)
    if len(signal) > RATE // 2:
        yield Variant("codec", signal, waveform.codec_round_trip(signal, generator))


def _levels(variant: Variant) -> tuple[tuple[FloatArray, FloatArray, FloatArray], int]:
    spectra = stft(variant.target)
    power = spectra.real**2 + spectra.imag**2
    logmean = np.log10(power[:, :-1] + FEATURE_EPS).reshape(len(power), BANDS, FEATURE_BINS).mean(axis=-1)
    target = np.log10(band_power(spectra) + FEATURE_EPS)
    if variant.source is variant.target:
        return (target, target, logmean), MAX_CUTOFF_BIN
    heard = stft(variant.source)
    cutoff = codec_cutoff(power, heard.real**2 + heard.imag**2)
    return (np.log10(band_power(heard) + FEATURE_EPS), target, logmean), cutoff


def codec_cutoff(before: FloatArray, after: FloatArray) -> int:
    """First bin above which a codec kept nothing, from mean powers `[K, 513]` before and after."""
    kernel = np.ones(9) / 9
    ratio = np.convolve(after.mean(axis=0), kernel, "same") / (np.convolve(before.mean(axis=0), kernel, "same") + 1e-9)
    kept = np.flatnonzero(ratio > 0.4)
    last = int(kept[-1]) - 3 if len(kept) else 0
    return int(np.clip(last, MIN_CUTOFF_BIN, MAX_CUTOFF_BIN))


def _clip(recording: Recording, variant: Variant, start: int, frames: int, cutoff: int) -> Clip:
    rolloff = min(recording.rolloff_hz * variant.speed, RATE / 2)
    return Clip(
        start=start,
        frames=frames,
        source=recording.source,
        domain=domain(recording.kind, recording.source),
        split=recording.split,
        variant=variant.name,
        rolloff_bin=int(rolloff * FFT_SIZE / RATE),
        codec_cutoff=cutoff,
    )
