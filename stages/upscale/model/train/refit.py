"""The head in closed form: after the band stage, the last layer is solved exactly over many batches.

Gradient steps leave the head noisy and, while the rate is still high, biased. Given the trunk, the best head is a weighted
least-squares problem, and one can afford more regressors than the trunk has channels: random features of them (`WideHead`).
Frames are weighted by the slope of the judge's root, so that the solution minimises the distance that the band stage descends.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from envelope.constants import HIGH_BANDS

from .augment import Levels, change_recording, low_pass, network_input, random_cutoffs, wideband_cutoff
from .batches import Segments
from .config import Recipe
from .loss import EXCITATION_VARIANCE
from .network import EnvelopeNet
from .prepare import Clip
from .targets import band_weight, gain_target

PENALTY = 3e-4
"""Ridge penalty relative to the mean diagonal of a group's moments; it pulls towards the head that is there."""
GROUPS = ((0, 32), (32, 43), (43, HIGH_BANDS))
"""High bands that share one system of equations; a frame takes part where the truth of the whole group is known."""


def draw(
    recipe: Recipe, segments: Segments, number: int, draws: np.random.Generator, chances: torch.Generator
) -> tuple[Levels, Tensor]:
    """A batch and its cutoffs. Every second one is unaltered: most of what the model will hear is a plain recording.

    Every fourth is heard as 16 kHz input.
    """
    levels = segments.draw(recipe.batch, draws)
    if number % 2:
        levels = change_recording(levels, chances)
    if number % 4 == 0:
        return levels, wideband_cutoff(levels.codec_cutoff)
    return levels, random_cutoffs(levels.codec_cutoff, chances)


def regressors(net: EnvelopeNet, hidden: Tensor) -> Tensor:
    """What the head is linear in, `[batch, frames, n]`: hidden state, its random features, one."""
    parts = [hidden, torch.ones_like(hidden[:, :, :1])]
    if net.wide is not None:
        parts.insert(1, net.wide.expand(hidden))
    return torch.cat(parts, dim=2)


def accumulate(net: EnvelopeNet, levels: Levels, heard: Tensor, recipe: Recipe, moments: Tensor, products: Tensor) -> None:
    """Add a batch to the moments `[groups, n, n]` and products `[n, 56]` of what the head has yet to add."""
    left = recipe.layout.context_left
    hidden, level = net.trunk(heard, left)
    core = slice(left, left + hidden.shape[1])
    gains = net.head(hidden)[:, :, :HIGH_BANDS]
    residual = (gain_target(levels, recipe.geometric_share)[:, core] + 2) / 2 - level.transpose(1, 2) - gains
    # below the cutoff the truth is known as well, and helps the bands above it
    weight = (band_weight(levels, torch.zeros_like(levels.rolloff_bin)) * (1 - levels.hole))[:, core]
    error = (4 * residual**2 * weight).sum(dim=2) / weight.sum(dim=2).clamp(min=1)
    slope = torch.rsqrt(error + EXCITATION_VARIANCE).flatten()
    rows, residual, weight = regressors(net, hidden).flatten(0, 1), residual.flatten(0, 1), weight.flatten(0, 1)
    for index, (first, last) in enumerate(GROUPS):
        use = weight[:, first:last].min(dim=1).values > 0
        part = rows[use] * slope[use, None]
        moments[index] += (part.T @ rows[use]).double()
        products[:, first:last] += (part.T @ residual[use, first:last]).double()


def refit(recipe: Recipe, net: EnvelopeNet, clips: list[Clip], cache: Path) -> None:
    """Replace the head's gain rows by their least-squares solution over random batches."""
    net.eval()
    segments = Segments(cache, clips, recipe.core + recipe.layout.context_left + recipe.layout.context_right, recipe.speech_share)
    draws, chances = np.random.default_rng(recipe.seed + 1), torch.Generator().manual_seed(recipe.seed + 1)
    count = net.head.in_features + recipe.wide + 1
    moments = torch.zeros(len(GROUPS), count, count, dtype=torch.float64)
    products = torch.zeros(count, HIGH_BANDS, dtype=torch.float64)
    for number in range(recipe.refit_batches):
        levels, cutoff = draw(recipe, segments, number, draws, chances)
        heard = network_input(low_pass(levels.source, cutoff, chances), cutoff)
        with torch.no_grad():
            accumulate(net, levels, heard, recipe, moments, products)
        if number % 20 == 0:
            sys.stderr.write(f"refit {number}/{recipe.refit_batches}\n")
    for moment, (first, last) in zip(moments, GROUPS, strict=True):
        damping = PENALTY * moment.diagonal().mean() * torch.eye(count, dtype=torch.float64)
        add_to_head(net, first, last, torch.linalg.solve(moment + damping, products[:, first:last]).T.float())


def add_to_head(net: EnvelopeNet, first: int, last: int, change: Tensor) -> None:
    """Add a solution `[last - first, n]` to the rows of the bands `first..last`."""
    channels = net.head.in_features
    with torch.no_grad():
        net.head.weight[first:last] += change[:, :channels]
        net.head.bias[first:last] += change[:, -1]
        if net.wide is not None:
            net.wide.solved.weight[first:last] += change[:, channels:-1]
