"""The waveform stage: a few steps on the synthesised signal itself, after the band stage.

The band stage asks for the right envelope; what the listener and the judge get is that envelope times an excitation, through
windows and overlap-add. Here the high band is synthesised as in CONTRACT.md section 6, differentiably, and compared in log
spectra of three resolutions.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from envelope.constants import (
    BINS,
    FEATURE_EPS,
    FFT_SIZE,
    HIGH_BAND_BINS,
    HIGH_BANDS,
    HIGH_FIRST_BIN,
    HOP,
    RATE,
    WINDOW_OVERLAP,
)

from . import state as runs
from .augment import low_pass, network_input, random_cutoffs
from .config import Recipe
from .manifest import Recording
from .network import EnvelopeNet
from .waveform import read_mono

RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))
"""FFT size and hop of each comparison."""
FLOOR = 1e-8
FADE_MARGIN_HZ = 300.0
"""Bins this close above the cutoff are still fading in and are not compared."""


@dataclass(frozen=True)
class Wave:
    """One recording in memory: 48 kHz mono `[T]` and its roll-off."""

    signal: np.ndarray
    rolloff_hz: float
    weight: float


def load(recordings: list[Recording]) -> list[Wave]:
    """Training recordings in memory, weighted as the band stage weights clips."""
    seconds: dict[str, float] = {}
    waves = []
    signals = [(recording, read_mono(recording.path)) for recording in recordings]
    for recording, signal in signals:
        seconds[recording.source] = seconds.get(recording.source, 0.0) + len(signal)
    for recording, signal in signals:
        waves.append(Wave(signal, recording.rolloff_hz, len(signal) / seconds[recording.source] ** 0.5))
    return waves


def draw(waves: list[Wave], count: int, samples: int, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Random segments `[batch, samples]` at random gain, and their roll-offs in Hz `[batch]`."""
    chances = np.array([wave.weight for wave in waves])
    picks = generator.choice(len(waves), count, p=chances / chances.sum())
    batch = np.zeros((count, samples), np.float32)
    for row, pick in enumerate(picks):
        signal = waves[pick].signal
        start = int(generator.integers(max(1, len(signal) - samples)))
        part = signal[start : start + samples]
        batch[row, : len(part)] = part * 10 ** generator.uniform(-0.75, 0.4)
    return torch.from_numpy(batch), torch.tensor([waves[pick].rolloff_hz for pick in picks])


def spectra(signal: Tensor, size: int, hop: int) -> Tensor:
    """Complex spectra `[batch, frames, bins]` of `[batch, samples]`, no padding."""
    window = torch.hann_window(size)
    return torch.stft(signal, size, hop, window=window, center=False, return_complex=True).transpose(1, 2)


def spread(values: Tensor) -> Tensor:
    """Band values `[batch, frames, 56]` interpolated to all bins `[batch, frames, 513]`."""
    centre = HIGH_FIRST_BIN + (HIGH_BAND_BINS - 1) / 2
    place = ((torch.arange(BINS) - centre) / HIGH_BAND_BINS).clamp(0, HIGH_BANDS - 1)
    lower = place.floor().long().clamp(max=HIGH_BANDS - 2)
    share = place - lower
    return (1 - share) * values[..., lower] + share * values[..., lower + 1]


def copy_up(low: Tensor, cutoff: Tensor) -> Tensor:
    """Flattened copy of spectra `[batch, frames, 513]` for the bins above each cutoff `[batch]`; 0 below."""
    power = low.abs() ** 2
    smooth = torch.nn.functional.avg_pool1d(power, 9, 1, padding=4, count_include_pad=False)
    flat = low / torch.sqrt(smooth + 1e-8)
    bins, edge = torch.arange(BINS)[None, :], cutoff.long()[:, None]
    width = 4 * torch.div(edge, 8, rounding_mode="floor")
    moves = torch.div(bins - edge + width, width, rounding_mode="floor").clamp(min=0)
    origin = (bins - moves * width)[:, None, :].expand_as(flat)
    return flat.gather(2, origin)


def synthesise(gains: Tensor, mix: Tensor, low: Tensor, cutoff: Tensor, generator: torch.Generator) -> Tensor:
    """High band `[batch, samples]` of gains and mix `[batch, frames, 56]` over input spectra `[batch, frames, 513]`."""
    count, frames = gains.shape[:2]
    samples = (frames - 1) * HOP + FFT_SIZE
    noise = spectra(torch.randn(count, samples, generator=generator), FFT_SIZE, HOP) / 384**0.5
    share = spread(mix).clamp(1e-4, 1 - 1e-4)
    excitation = torch.sqrt(1 - share) * noise + torch.sqrt(share) * copy_up(low, cutoff)
    above = (torch.arange(BINS)[None, :] >= cutoff[:, None])[:, None, :]
    high = torch.pow(10.0, spread(gains).clamp(-8, 5) / 2) * excitation * above
    parts = torch.fft.irfft(high, n=FFT_SIZE) * (torch.hann_window(FFT_SIZE) / WINDOW_OVERLAP)
    return torch.nn.functional.fold(parts.transpose(1, 2), (1, samples), (1, FFT_SIZE), stride=(1, HOP))[:, 0, 0]


def spectral_loss(made: Tensor, wanted: Tensor, cutoff_hz: Tensor, rolloff_hz: Tensor) -> Tensor:
    """Log-spectral distance of signals `[batch, samples]` between cutoff and roll-off, mean over three resolutions."""
    total = torch.zeros(())
    for size, hop in RESOLUTIONS:
        left, right = (torch.log10((spectra(signal, size, hop).abs() ** 2).clamp(min=FLOOR)) for signal in (made, wanted))
        hertz = torch.arange(size // 2 + 1)[None, :] * (RATE / size)
        use = ((hertz > cutoff_hz[:, None] + FADE_MARGIN_HZ) & (hertz < rolloff_hz[:, None] - 200)).float()[:, None, :]
        audible = (right * use).amax(dim=2) - (1 - use.amax(dim=2)) > -7
        error = ((left - right) ** 2 * use).sum(dim=2) / use.sum(dim=2).clamp(min=1)
        frames = audible.float()
        total = total + (torch.sqrt(error + 1e-4) * frames).sum() / frames.sum().clamp(min=1)
    return total / len(RESOLUTIONS)


def step_loss(net: EnvelopeNet, wave: Tensor, rolloff_hz: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """Loss of one batch of segments `[batch, samples]`."""
    whole = spectra(wave, FFT_SIZE, HOP)
    level = torch.log10((whole.abs() ** 2)[..., :-1].unflatten(2, (-1, 4)).mean(dim=3) + FEATURE_EPS)
    cutoff = random_cutoffs(torch.full((len(wave),), 480), generator)
    features = network_input(low_pass(level, cutoff, generator), cutoff)
    left = recipe.layout.context_left
    gains, mix = (output.transpose(1, 2) for output in net(features, left))
    core = slice(left, left + gains.shape[1])
    made = synthesise(gains, mix.detach(), whole[:, core], cutoff, generator)
    wanted = wave[:, left * HOP : left * HOP + made.shape[1]]
    inner = slice(FFT_SIZE - HOP, made.shape[1] - FFT_SIZE + HOP)
    return spectral_loss(made[:, inner], wanted[:, inner], cutoff * RATE / FFT_SIZE, rolloff_hz)


def polish(recipe: Recipe, weights: dict[str, Tensor], recordings: list[Recording], out: Path) -> dict[str, Tensor]:
    """Weights after the waveform stage; kept beside the checkpoint, so that a finished stage is not run again."""
    held = out / "polished.pt"
    if held.exists():
        return torch.load(held)
    state = runs.fresh(recipe, wide=recipe.wide)
    state.net.load_state_dict(weights)
    state.average.load_state_dict(weights)
    waves = load(recordings)
    context = recipe.layout.context_left + recipe.layout.context_right
    samples = (recipe.core + context - 1) * HOP + FFT_SIZE
    state.net.train()
    for step in range(recipe.polish_steps):
        for group in state.optimiser.param_groups:
            group["lr"] = recipe.polish_rate * min(
                1.0, (step + 1) / 20, 0.02 + (recipe.polish_steps - step) / recipe.polish_steps
            )
        wave, rolloff = draw(waves, recipe.batch, samples, state.draws)
        loss = step_loss(state.net, wave, rolloff, recipe, state.chances)
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
        state.optimiser.step()
        runs.follow(state.average, state.net, min(0.99, (step + 1) / (step + 20)))
        if step % 50 == 0:
            sys.stderr.write(f"polish {step}/{recipe.polish_steps}  loss {float(loss.detach()):.4f}\n")
    result = state.average.state_dict()
    torch.save(result, held)
    return result
