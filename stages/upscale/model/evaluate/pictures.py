"""Spectrograms side by side: input, systems, reference."""

from pathlib import Path

import matplotlib as mpl

from envelope.constants import RATE
from envelope.spectrum import FloatArray

from .metrics import HOP, log_power, spectrum

mpl.use("Agg")
import matplotlib.pyplot as plt


def draw(signals: dict[str, FloatArray], title: str, path: Path) -> None:
    """One panel per signal `[T]` on the same scale, 0 to 24 kHz, -80 to 30 dB of bin power."""
    figure, axes = plt.subplots(1, len(signals), figsize=(4 * len(signals), 3.6), sharey=True, layout="constrained")
    for axis, (name, signal) in zip(axes, signals.items(), strict=True):
        level = 10 * log_power(spectrum(signal)).T
        seconds = level.shape[1] * HOP / RATE
        axis.imshow(
            level, origin="lower", aspect="auto", extent=(0, seconds, 0, 24), vmin=-80, vmax=30, cmap="magma", rasterized=True
        )
        axis.set_title(name)
        axis.set_xlabel("seconds")
    axes[0].set_ylabel("kHz")
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=72)
    plt.close(figure)
