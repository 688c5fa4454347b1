"""The band stage: epochs over random segments, judged after each by sources held back and by the validation clips."""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from envelope.constants import cutoff_bin

from . import state as runs
from .augment import (
    Levels,
    blur_input,
    change_recording,
    keep_plain,
    low_pass,
    network_input,
    random_cutoffs,
    slope,
    some_wideband,
)
from .batches import Segments
from .config import Recipe
from .loss import envelope_distance, mix_loss
from .network import EnvelopeNet
from .prepare import Clip
from .targets import band_weight, gain_target, mix_target

JUDGED_CUTOFFS_HZ = (4000.0, 8000.0)
"""Nyquist of 8 and 16 kHz input."""
JUDGE_BATCHES = 3
TOP_BAND = (cutoff_bin(16_000) - 64) // 8
"""High bands below 16 kHz: above, recordings mostly differ by their noise floor."""


@dataclass(frozen=True)
class Sets:
    """Clips of one run: to learn from, of known sources to check, of sources held back."""

    train: list[Clip]
    known: list[Clip]
    unseen: list[Clip]


def split(clips: list[Clip], held_back: set[str], everything: bool = False) -> Sets:
    """Divide the cache: held-back sources are judged whole (unaltered variants only) and never learnt from."""
    unseen = [clip for clip in clips if clip.source in held_back and clip.variant == "plain"]
    rest = [clip for clip in clips if clip.source not in held_back]
    train = [clip for clip in rest if clip.split == "train" or everything]
    known = [clip for clip in rest if clip.split == "val" and clip.domain == "speech"]
    return Sets(train, known, unseen)


def train(recipe: Recipe, sets: Sets, cache: Path, out: Path, start_from: Path | None = None) -> runs.RunState:
    """Run all epochs, from the checkpoint in the output folder where there is one."""
    torch.set_num_threads(recipe.threads)
    checkpoint = out / "checkpoint.pt"
    state = runs.resume(checkpoint, recipe) if checkpoint.exists() else runs.fresh(recipe, start_from)
    context = recipe.layout.context_left + recipe.layout.context_right
    learn = Segments(cache, sets.train, recipe.core + context, recipe.speech_share)
    judges = {
        name: Segments(cache, clips, recipe.core + context)
        for name, clips in (("known", sets.known), ("unseen", sets.unseen))
        if clips
    }
    while state.epoch < recipe.epochs and not _stale(state, recipe, sets):
        started = time.monotonic()
        losses = [_step(recipe, state, learn, index) for index in range(recipe.steps)]
        state.epoch += 1
        row = {"epoch": state.epoch, "loss": sum(losses) / len(losses)}
        for name, segments in judges.items():
            row |= {f"{name}_{key}": value for key, value in judge(state.average, segments, recipe).items()}
        state.history.append(row)
        _keep_best(recipe, state, row)
        runs.save(checkpoint, state, recipe)
        _report(recipe, row, time.monotonic() - started)
    return state


def judge(net: EnvelopeNet, segments: Segments, recipe: Recipe) -> dict[str, float]:
    """Expected LSD from the cutoff to 16 kHz on fixed segments without augmentation, per judged cutoff."""
    generator = torch.Generator().manual_seed(0)
    draws = np.random.default_rng(0)
    batches = [segments.draw(32, draws) for _ in range(JUDGE_BATCHES)]
    result = {}
    net.eval()
    for hertz in JUDGED_CUTOFFS_HZ:
        values = []
        for levels in batches:
            cutoff = torch.full((len(levels.source),), float(cutoff_bin(hertz)))
            with torch.no_grad():
                values.append(float(_losses(net, levels, cutoff, recipe, generator, augmented=False)[0]))
        result[f"{hertz:.0f}"] = sum(values) / len(values)
    return result


def predictor_loss(
    predict: Callable[[torch.Tensor, int], tuple[torch.Tensor, torch.Tensor]],
    levels: Levels,
    cutoff: torch.Tensor,
    recipe: Recipe,
    values: torch.Tensor,
    judged: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Envelope distance and mix loss of a predictor on features `[batch, 192, frames]`."""
    left = recipe.layout.context_left
    gains, mix = (output.transpose(1, 2) for output in predict(values, left))
    core = slice(left, left + gains.shape[1])
    weight = band_weight(levels, cutoff)[:, core]
    if judged:
        weight = weight.clone()
        weight[:, :, TOP_BAND:] = 0
    else:
        weight = weight * (1 - levels.hole)[:, core]
    distance = envelope_distance(gains, gain_target(levels, recipe.geometric_share)[:, core], weight)
    return distance, mix_loss(mix, mix_target(levels, cutoff)[:, core], weight)


def _losses(
    net: EnvelopeNet, levels: Levels, cutoff: torch.Tensor, recipe: Recipe, generator: torch.Generator, augmented: bool
) -> tuple[torch.Tensor, torch.Tensor]:

    def predict(values: torch.Tensor, delay: int) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=augmented and recipe.precision == "bfloat16"):
            return net(values, delay)

    if augmented:
        heard = blur_input(network_input(low_pass(levels.source, cutoff, generator), cutoff), generator)
    else:
        heard = network_input(slope(levels.source, cutoff), cutoff)
    return predictor_loss(predict, levels, cutoff, recipe, heard, judged=not augmented)


def _step(recipe: Recipe, state: runs.RunState, segments: Segments, index: int) -> float:
    step = state.epoch * recipe.steps + index
    for group in state.optimiser.param_groups:
        group["lr"] = recipe.rate * learning_rate(step, recipe)
    plain = segments.draw(recipe.batch, state.draws)
    levels = keep_plain(plain, change_recording(plain, state.chances), recipe.plain_share, state.chances)
    cutoff = random_cutoffs(levels.codec_cutoff, state.chances)
    cutoff = some_wideband(cutoff, levels.codec_cutoff, recipe.wideband_share, state.chances)
    state.net.train()
    distance, mix = _losses(state.net, levels, cutoff, recipe, state.chances, augmented=True)
    state.optimiser.zero_grad(set_to_none=True)
    (distance + recipe.mix_weight * mix).backward()
    torch.nn.utils.clip_grad_norm_(state.net.parameters(), 1.0)
    state.optimiser.step()
    runs.follow(state.average, state.net, min(recipe.average, (step + 1) / (step + 20)))
    return float(distance.detach())


def learning_rate(step: int, recipe: Recipe) -> float:
    """Share of the peak rate at a step: linear warm-up, then half a cosine down to 2 %."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    progress = (step - recipe.warmup_steps) / max(1, recipe.epochs * recipe.steps - recipe.warmup_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1)))


def _keep_best(recipe: Recipe, state: runs.RunState, row: dict[str, float]) -> None:
    """Keep the average's weights where the held-back figure is best; without patience or figure, the last."""
    figures = [value for key, value in row.items() if key.startswith("unseen_")] if recipe.patience else []
    score = sum(figures) / len(figures) if figures else -float(state.epoch)
    if score < state.best:
        state.best, state.best_epoch = score, state.epoch
        state.best_weights = {name: value.clone() for name, value in state.average.state_dict().items()}


def _stale(state: runs.RunState, recipe: Recipe, sets: Sets) -> bool:
    return bool(recipe.patience) and bool(sets.unseen) and state.epoch - state.best_epoch >= recipe.patience and state.epoch > 0


def _report(recipe: Recipe, row: dict[str, float], seconds: float) -> None:
    figures = "  ".join(f"{key} {value:.4f}" for key, value in row.items() if key != "epoch")
    left = (recipe.epochs - row["epoch"]) * seconds / 60
    sys.stderr.write(f"epoch {row['epoch']}/{recipe.epochs}  {figures}  {seconds:.0f} s, {left:.0f} min left\n")
    sys.stderr.flush()
