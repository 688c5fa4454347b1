"""What every training example goes through, in the domain of band levels: each draw is one more recording chain."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from envelope.constants import FEATURE_BANDS, FEATURE_BINS, FEATURE_EPS, FEATURE_MEAN, FEATURE_SCALE, cutoff_bin

from .prepare import BANDS

GAUSSIAN_LOG_DEFICIT = 0.2507
"""log10 of the mean minus the mean of log10 of a Gaussian bin's power."""

COMMON_CUTOFFS_HZ = (3500.0, *3 * (4000.0,), 5512.5, 6000.0, *4 * (8000.0,), 11025.0, 12000.0, 15500.0, 16000.0)
"""Nyquist of the usual low rates, and usual codec low-passes; the commonest more than once."""
WIDEBAND = float(cutoff_bin(8000))
"""Cutoff bin of 16 kHz input: the commonest, and the one that is judged."""
SLOPE_SHARE = 0.06
"""How far below the cutoff a resampler's -3 dB point may lie, as a share of the cutoff."""


@dataclass
class Levels:
    """Band levels of a batch, log10, `[batch, frames, 128]`, and what is known of its recordings."""

    source: Tensor
    target: Tensor
    logmean: Tensor
    codec_cutoff: Tensor
    """Cutoff bin that a codec left, `[batch]`."""
    rolloff_bin: Tensor
    """Bin above which nothing may be learnt, `[batch]`."""
    weight: Tensor
    """1 for frames that exist and are not digital silence, `[batch, frames]`."""
    hole: Tensor
    """1 where a codec left nothing of a band, `[batch, frames, 56]`: that is no truth to learn from."""


NOISE_SHARE = 0.3
"""Share of the examples that get a noise floor of another recording."""


def _power(level: Tensor) -> Tensor:
    return (torch.pow(10.0, level) - FEATURE_EPS).clamp(min=0)


def _level(power: Tensor) -> Tensor:
    return torch.log10(power + FEATURE_EPS)


def _uniform(count: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, 1, 1, generator=generator)


def _chance(count: int, probability: float, generator: torch.Generator) -> Tensor:
    return (torch.rand(count, 1, 1, generator=generator) < probability).float()


def random_equaliser(count: int, generator: torch.Generator) -> Tensor:
    """log10 power offsets `[batch, 1, 128]`: overall gain, a tilt, and three broad bells."""
    place = torch.linspace(0, 1, BANDS)[None, None, :]
    curve = _uniform(count, -1.5, 0.8, generator)
    active = _chance(count, 0.6, generator)
    curve = curve + active * _uniform(count, -0.5, 0.5, generator) * (place - 0.3)
    for _ in range(3):
        centre, width = _uniform(count, 0, 1, generator), _uniform(count, 0.04, 0.3, generator)
        height = active * _uniform(count, -0.3, 0.3, generator)
        curve = curve + height * torch.exp(-(((place - centre) / width) ** 2))
    return curve


def random_noise(count: int, frames: int, generator: torch.Generator) -> Tensor:
    """Power of stationary coloured noise `[batch, frames, 128]`, in a share of the examples; 0 in the others."""
    place = torch.linspace(0, 1, BANDS)[None, None, :]
    level = _uniform(count, -7.5, -3.5, generator) + _uniform(count, -1.5, 1.0, generator) * place
    heard = (torch.rand(count, generator=generator) < NOISE_SHARE).nonzero()[:, 0]
    power = torch.zeros(count, frames, BANDS)
    draws = -torch.log(torch.rand(2, len(heard), frames, BANDS, generator=generator) + 1e-9).mean(dim=0)
    power[heard] = torch.pow(10.0, level[heard]) * draws
    return power


def change_recording(levels: Levels, generator: torch.Generator) -> Levels:
    """Another room tone, equaliser, level, or a second sound in the background; the same for input and target."""
    count, frames = levels.source.shape[:2]
    curve = random_equaliser(count, generator)
    gain = torch.pow(10.0, curve)
    extra = random_noise(count, frames, generator)
    blend = _chance(count, 0.15, generator) * torch.pow(10.0, _uniform(count, -3.0, 0.0, generator))
    source, target, geometric = _power(levels.source), _power(levels.target), _power(levels.logmean)
    source = (source + blend * source.roll(1, 0)) * gain + extra
    target = (target + blend * target.roll(1, 0)) * gain + extra
    geometric = (geometric + blend * geometric.roll(1, 0)) * gain + extra * 10**-GAUSSIAN_LOG_DEFICIT
    mixed = blend[:, 0, 0] > 0
    rolloff = torch.where(mixed, torch.minimum(levels.rolloff_bin, levels.rolloff_bin.roll(1)), levels.rolloff_bin)
    codec = torch.where(mixed, torch.minimum(levels.codec_cutoff, levels.codec_cutoff.roll(1)), levels.codec_cutoff)
    return Levels(_level(source), _level(target), _level(geometric), codec, rolloff, levels.weight, levels.hole)


def keep_plain(plain: Levels, changed: Levels, share: float, generator: torch.Generator) -> Levels:
    """A batch of which this share of the examples, on average, is as it was recorded."""
    # nothing is drawn for a share of nought, so that a seed means what it meant before there were shares
    if not share:
        return changed
    kept = torch.rand(len(plain.source), generator=generator) < share

    def choose(before: Tensor, after: Tensor) -> Tensor:
        return torch.where(kept.reshape(-1, *[1] * (before.dim() - 1)), before, after)

    return Levels(*(choose(getattr(plain, one.name), getattr(changed, one.name)) for one in fields(Levels)))


def wideband_cutoff(codec_cutoff: Tensor) -> Tensor:
    """Cutoff bins `[batch]` of 16 kHz input, or what a codec left below that."""
    return codec_cutoff.float().clamp(max=WIDEBAND)


def some_wideband(cutoff: Tensor, codec_cutoff: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Cutoff bins `[batch]` of which this share, on average, are those of 16 kHz input."""
    if not share:
        return cutoff
    chosen = torch.rand(len(cutoff), generator=generator) < share
    return torch.where(chosen, wideband_cutoff(codec_cutoff), cutoff)


def random_cutoffs(codec_cutoff: Tensor, generator: torch.Generator) -> Tensor:
    """Cutoff bins `[batch]`: common ones, any from 3.3 to 17 kHz, or what the example's codec left."""
    count = len(codec_cutoff)
    pick = torch.randint(len(COMMON_CUTOFFS_HZ), (count,), generator=generator)
    common = torch.tensor(COMMON_CUTOFFS_HZ)[pick]
    spread = 3300.0 * torch.pow(torch.tensor(17_000 / 3300), torch.rand(count, generator=generator))
    chosen = torch.where(torch.rand(count, generator=generator) < 0.6, common, spread)
    cutoff = (chosen * 1024 / 48_000).floor()
    keeps_codec = (codec_cutoff < 400) & (torch.rand(count, generator=generator) < 0.6)
    return torch.where(keeps_codec, codec_cutoff.float(), torch.minimum(cutoff, codec_cutoff.float())).clamp(min=64)


def network_input(level: Tensor, cutoff: Tensor) -> Tensor:
    """Features `[batch, 192, frames]` of input levels `[batch, frames, 128]` at cutoff bins `[batch]`."""
    level = level[:, :, :FEATURE_BANDS].transpose(1, 2)
    edges = FEATURE_BINS * torch.arange(FEATURE_BANDS)
    mask = ((cutoff[:, None] - edges) / FEATURE_BINS).clamp(0, 1)[:, :, None].expand_as(level)
    value = torch.where(mask == 1, (level - FEATURE_MEAN) / FEATURE_SCALE, torch.zeros(()))
    return torch.cat([value, mask], dim=1)


def low_pass(level: Tensor, cutoff: Tensor, generator: torch.Generator) -> Tensor:
    """Levels `[batch, frames, 128]` behind a low-pass of random steepness, its edge at the cutoff or somewhat below."""
    count = len(cutoff)
    place = cutoff[:, None, None]
    edge = place - _uniform(count, 0.0, SLOPE_SHARE, generator) * place + _uniform(count, -1.5, 2.0, generator)
    steepness = torch.exp(_uniform(count, -1.2, 1.3, generator))
    centres = FEATURE_BINS * torch.arange(BANDS)[None, None, :] + 1.5
    response = torch.sigmoid((edge - centres) / steepness)
    rumble = _chance(count, 0.1, generator) * torch.sigmoid((_uniform(count, 2, 7, generator) - centres) / 1.0)
    return _level(_power(level) * response * (1 - rumble))


def slope(level: Tensor, cutoff: Tensor) -> Tensor:
    """Levels `[batch, frames, 128]` behind the judge's own low-rate recipe: -3 dB at 0.96 of the cutoff."""
    centres = FEATURE_BINS * torch.arange(BANDS)[None, None, :] + 1.5
    place = cutoff[:, None, None]
    return _level(_power(level) * torch.sigmoid((0.96 * place - centres) / (0.006 * place)))


def blur_input(values: Tensor, generator: torch.Generator) -> Tensor:
    """Features with a little noise on the levels, as coarse quantisers leave it."""
    level, mask = values[:, :FEATURE_BANDS], values[:, FEATURE_BANDS:]
    amount = _uniform(len(values), 0, 0.06, generator) * _chance(len(values), 0.5, generator)
    noise = amount * torch.randn(level.shape, generator=generator)
    return torch.cat([level + noise * torch.floor(mask), mask], dim=1)
