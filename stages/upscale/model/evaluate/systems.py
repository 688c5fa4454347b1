"""What can be judged: plain resampling, an ONNX file, files that another program rendered."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from envelope.runner import load_onnx, upscale
from envelope.spectrum import FloatArray

from .cases import Prepared

Process = Callable[[str, Prepared], FloatArray]
"""Clip name and input to output `[T]`."""


@dataclass(frozen=True)
class System:
    """A named way to fill the band."""

    name: str
    process: Process


def sinc() -> System:
    """Plain resampling: the input as it is."""
    return System("sinc", lambda _, prepared: prepared.signal)


def onnx(name: str, path: Path, seed: int = 0) -> System:
    """An envelope model in an ONNX file, run by the reference implementation of the contract."""
    predictor, layout = load_onnx(path)
    return System(name, lambda _, prepared: upscale(prepared.signal, prepared.cutoff, predictor, layout, seed))


def rendered(name: str, folder: Path) -> System:
    """Files `CLIP.wav` (float, 48 kHz) that another program made of the inputs which `--export-inputs` wrote."""

    def read(clip: str, prepared: Prepared) -> FloatArray:
        signal, _ = soundfile.read(folder / f"{clip}.wav", dtype="float32")
        result = np.zeros_like(prepared.signal)
        count = min(len(signal), len(result))
        result[:count] = signal[:count]
        return result

    return System(name, read)


def parse(text: str) -> System:
    """`sinc`, `NAME=FILE.onnx`, or `NAME=FOLDER` of rendered files."""
    if text == "sinc":
        return sinc()
    name, _, target = text.partition("=")
    if not target:
        raise ValueError(f"system {text!r}: expected sinc, NAME=FILE.onnx or NAME=FOLDER")
    path = Path(target)
    return rendered(name, path) if path.is_dir() else onnx(name, path)
