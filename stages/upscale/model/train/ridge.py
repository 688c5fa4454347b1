"""The baseline that a trained network has to beat: ridge regression on random features of the low band.

`python -m train.ridge FOLDER --cache CACHE --out FILE.onnx --hold-back SOURCE,...`: the same data, augmentation, contract and
synthesis; only the predictor differs. It is solved in closed form.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from envelope.constants import FEATURE_BANDS, FEATURE_CHANNELS, HIGH_BANDS, LAYOUTS, Layout

from . import augment, loop, prepare
from .batches import Segments
from .export import VERSION, write_onnx
from .manifest import read_folder
from .targets import band_weight, gain_target

KERNEL = 5
"""Frames that a random feature sees."""
GROUPS = ((0, 34), (34, 44), (44, 50), (50, 56))
"""High bands that share one set of weights: where a recording's roll-off falls inside a group, its frames are left out of it."""


class RidgeNet(nn.Module):
    """Fixed random convolution, ReLU, and a solved linear layer; features `[batch, 192, frames]` to gains and mix."""

    def __init__(self, features: int, layout: Layout, generator: torch.Generator) -> None:
        super().__init__()
        self.layout = layout
        self.after = KERNEL // 2 if layout.context_right else 0
        self.before = KERNEL - 1 - self.after
        self.random = nn.Conv1d(FEATURE_CHANNELS + 1, features, KERNEL)
        self.linear = nn.Conv1d(features + 2 * FEATURE_BANDS + 1, HIGH_BANDS, 1)
        scale = (1.5 / (FEATURE_BANDS * KERNEL)) ** 0.5
        with torch.no_grad():
            self.random.weight.copy_(scale * torch.randn(self.random.weight.shape, generator=generator))
            self.random.bias.copy_(0.5 * torch.randn(features, generator=generator))

    def expand(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Regressors `[batch, n, frames - 4]` and the same frames' own level, to which the gains are relative."""
        value, mask = features[:, :FEATURE_BANDS], features[:, FEATURE_BANDS:]
        whole = torch.floor(mask)
        level = (value * whole).sum(dim=1, keepdim=True) / whole.sum(dim=1, keepdim=True).clamp(min=1)
        relative = torch.cat([(value - level) * whole, mask, level], dim=1)
        own = slice(self.before, features.shape[2] - self.after)
        return torch.cat([torch.relu(self.random(relative)), relative[:, :, own]], dim=1), level[:, :, own]

    def forward(self, features: Tensor, delay: int) -> tuple[Tensor, Tensor]:
        """Gains and (all noise) mix of the frames that the layout yields."""
        last = features.shape[2] - self.layout.context_right + self.after
        regressors, level = self.expand(features[:, :, delay - self.before : last])
        gains = 2 * (self.linear(regressors) + level) - 2
        return gains, torch.zeros_like(gains)


def solve(net: RidgeNet, segments: Segments, batches: int, seed: int, penalty: float = 1e-3) -> None:
    """Accumulate the normal equations of each band group over random batches and set the linear layer."""
    draws, chances = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    count = net.linear.in_channels + 1
    moments = torch.zeros(len(GROUPS), count, count, dtype=torch.float64)
    products = torch.zeros(count, HIGH_BANDS, dtype=torch.float64)
    for number in range(batches):
        levels = augment.change_recording(segments.draw(16, draws), chances)
        cutoff = augment.random_cutoffs(levels.codec_cutoff, chances)
        heard = augment.network_input(augment.low_pass(levels.source, cutoff, chances), cutoff)
        with torch.no_grad():
            regressors, level = net.expand(heard)
        rows = torch.cat([regressors, torch.ones_like(regressors[:, :1])], dim=1).transpose(1, 2).reshape(-1, count)
        own = slice(net.before, heard.shape[2] - net.after)
        wanted = (gain_target(levels, 0.5)[:, own] + 2) / 2 - level.transpose(1, 2)
        known = band_weight(levels, torch.zeros_like(cutoff))[:, own].reshape(-1, HIGH_BANDS)
        _accumulate(moments, products, rows, wanted.reshape(-1, HIGH_BANDS), known)
        if number % 20 == 0:
            sys.stderr.write(f"ridge {number}/{batches}\n")
    for moment, (first, last) in zip(moments, GROUPS, strict=True):
        damped = moment + penalty * moment.diagonal().mean() * torch.eye(count, dtype=torch.float64)
        weights = torch.linalg.solve(damped, products[:, first:last]).T.float()
        with torch.no_grad():
            net.linear.weight[first:last] = weights[:, :-1, None]
            net.linear.bias[first:last] = weights[:, -1]


def _accumulate(moments: Tensor, products: Tensor, rows: Tensor, wanted: Tensor, known: Tensor) -> None:
    for index, (first, last) in enumerate(GROUPS):
        use = known[:, first:last].min(dim=1).values > 0
        part = rows[use]
        moments[index] += (part.T @ part).double()
        products[:, first:last] += (part.T @ wanted[use, first:last]).double()


def main(arguments: list[str] | None = None) -> None:
    """Fit and write the baseline as an ONNX file of the same contract."""
    parser = argparse.ArgumentParser(prog="python -m train.ridge", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="ONNX file")
    parser.add_argument("--hold-back", default="")
    parser.add_argument("--everything", action="store_true", help="learn from the validation clips too")
    parser.add_argument("--no-variants", action="store_true", help="the cache was made without variants")
    parser.add_argument("--variant", choices=sorted(LAYOUTS), default="quality")
    parser.add_argument("--features", type=int, default=512)
    parser.add_argument("--batches", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    flags = parser.parse_args(arguments)
    torch.set_num_threads(flags.threads)
    clips = prepare.build(read_folder(flags.folder), flags.cache, flags.seed, not flags.no_variants)
    sets = loop.split(clips, {name for name in flags.hold_back.split(",") if name}, flags.everything)
    net = RidgeNet(flags.features, LAYOUTS[flags.variant], torch.Generator().manual_seed(flags.seed))
    solve(net, Segments(flags.cache, sets.train, 102), flags.batches, flags.seed)
    write_onnx(net.eval(), flags.variant, VERSION, flags.out)


if __name__ == "__main__":
    main()
