"""Whole signals through a predictor, in the fixed windows that the stage uses."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from .constants import HIGH_BANDS, Layout
from .features import features, pad_context
from .spectrum import FloatArray, stft
from .synthesis import add_high_band

Predictor = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Windows `[batch, 192, frames]` to gains and mix `[batch, 56, core]`."""


def load_onnx(path: Path) -> tuple[Predictor, Layout]:
    """Predictor and layout of an ONNX file of kind `envelope`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    meta = session.get_modelmeta().custom_metadata_map
    layout = Layout(
        meta["treble.name"],
        int(meta["treble.context_left"]),
        int(meta["treble.context_right"]),
        int(meta["treble.core"]),
    )

    def predict(windows: FloatArray) -> tuple[FloatArray, FloatArray]:
        gains, mix = session.run(["gains", "mix"], {"features": windows})
        return gains, mix

    return predict, layout


def cut_windows(values: FloatArray, layout: Layout) -> FloatArray:
    """Windows `[blocks, 192, frames]` of features `[192, K]`: block j yields the frames of index j * core - 1 and up."""
    count = values.shape[1]
    blocks = -(-count // layout.core)
    spare = blocks * layout.core - count
    padded = pad_context(values, layout.context_left, layout.context_right + spare)
    view = np.lib.stride_tricks.sliding_window_view(padded, layout.frames, axis=1)[:, :: layout.core]
    return np.ascontiguousarray(view[:, :blocks].transpose(1, 0, 2))


def predict_envelope(
    signal: FloatArray, cutoff: int, predictor: Predictor, layout: Layout, batch: int = 16
) -> tuple[FloatArray, FloatArray]:
    """Gains and mix `[K, 56]` of all frames of a signal `[T]`."""
    values = features(stft(signal), cutoff)
    windows = cut_windows(values, layout)
    parts = [predictor(windows[start : start + batch]) for start in range(0, len(windows), batch)]
    count = values.shape[1]

    def join(index: int) -> FloatArray:
        blocks = np.concatenate([part[index] for part in parts])
        return blocks.transpose(0, 2, 1).reshape(-1, HIGH_BANDS)[:count]

    return join(0), join(1)


def upscale(signal: FloatArray, cutoff: int, predictor: Predictor, layout: Layout, seed: int = 0) -> FloatArray:
    """A 48 kHz signal `[T]`, band-limited at a cutoff bin, with its high band filled in."""
    if len(signal) == 0:
        return signal
    gains, mix = predict_envelope(signal, cutoff, predictor, layout)
    return add_high_band(signal, gains, mix, cutoff, seed)
