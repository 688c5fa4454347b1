"""The head in closed form: after the band stage, the last linear layer is solved exactly over many batches.

Gradient steps leave the head noisy and, while the rate is still high, biased. Given the trunk, the best head is a weighted
least-squares problem of one small system per band. Frames are weighted by the slope of the judge's root, so that the solution
minimises the same distance that the band stage descends.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from envelope.constants import HIGH_BANDS

from .augment import Levels, change_recording, low_pass, network_input, random_cutoffs
from .batches import Segments
from .config import Recipe
from .loss import EXCITATION_VARIANCE
from .network import EnvelopeNet
from .prepare import Clip
from .targets import band_weight, gain_target

PENALTY = 1e-4
"""Ridge penalty relative to the mean diagonal of a band's moments; it pulls towards the head that is there."""


def normal_equations(net: EnvelopeNet, levels: Levels, cutoff: Tensor, heard: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Moments `[56, n, n]` and products `[56, n]` of the trunk's output against what the head has yet to add."""
    left = recipe.layout.context_left
    with torch.no_grad():
        hidden, level = net.trunk(heard, left)
        gains = net.head(hidden)[:, :, :HIGH_BANDS]
    core = slice(left, left + hidden.shape[1])
    weight = band_weight(levels, cutoff)[:, core]
    residual = (gain_target(levels, recipe.geometric_share)[:, core] + 2) / 2 - level.transpose(1, 2) - gains
    mean_error = (4 * residual**2 * weight).sum(dim=2, keepdim=True) / weight.sum(dim=2, keepdim=True).clamp(min=1)
    weight = weight / torch.sqrt(mean_error + EXCITATION_VARIANCE)
    rows = torch.cat([hidden, torch.ones_like(hidden[:, :, :1])], dim=2).flatten(0, 1)
    weight, residual = weight.flatten(0, 1), residual.flatten(0, 1)
    moments = torch.stack([rows.T @ (rows * weight[:, band, None]) for band in range(HIGH_BANDS)])
    return moments, (rows.T @ (weight * residual)).T


def refit(recipe: Recipe, net: EnvelopeNet, clips: list[Clip], cache: Path) -> None:
    """Replace the head's gain rows by their least-squares solution over random batches.

    Every second batch is unaltered but for its cutoff: most of what the model will hear is a plain recording.
    """
    net.eval()
    context = recipe.layout.context_left + recipe.layout.context_right
    segments = Segments(cache, clips, recipe.core + context)
    draws, chances = np.random.default_rng(recipe.seed + 1), torch.Generator().manual_seed(recipe.seed + 1)
    count = net.head.in_features + 1
    moments = torch.zeros(HIGH_BANDS, count, count, dtype=torch.float64)
    products = torch.zeros(HIGH_BANDS, count, dtype=torch.float64)
    for number in range(recipe.refit_batches):
        levels = segments.draw(recipe.batch, draws)
        if number % 2:
            levels = change_recording(levels, chances)
        cutoff = random_cutoffs(levels.codec_cutoff, chances)
        heard = network_input(low_pass(levels.source, cutoff, chances), cutoff)
        for total, part in zip((moments, products), normal_equations(net, levels, cutoff, heard, recipe), strict=True):
            total += part.double()
        if number % 20 == 0:
            sys.stderr.write(f"refit {number}/{recipe.refit_batches}\n")
    damping = PENALTY * moments.diagonal(dim1=1, dim2=2).mean(dim=1)[:, None, None] * torch.eye(count)
    change = torch.linalg.solve(moments + damping, products[:, :, None])[:, :, 0].float()
    with torch.no_grad():
        net.head.weight[:HIGH_BANDS] += change[:, :-1]
        net.head.bias[:HIGH_BANDS] += change[:, -1]
