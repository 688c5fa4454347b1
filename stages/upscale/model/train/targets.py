"""What the network should say: gain and mix of every high band, and where that can be judged."""

import torch
from torch import Tensor

from envelope.constants import HIGH_BAND_BINS, HIGH_BANDS, HIGH_FIRST_BIN

from .augment import GAUSSIAN_LOG_DEFICIT, Levels

FIRST = HIGH_FIRST_BIN // 4
"""First four-bin band of the high bands."""
NOISE_FLATNESS = -0.22
"""Mean flatness (log10 geometric over arithmetic mean, 16 bins) of Gaussian noise."""
TONAL_MARGIN = 0.12


def gain_target(levels: Levels, geometric_share: float) -> Tensor:
    """Target log10 power `[batch, frames, 56]`.

    Between the band's mean power and the power of the Gaussian noise with its mean log power: the first is the loudness
    of spiky bands, the second is what a log-spectral distance asks for. They agree on noise.
    """
    power = torch.pow(10.0, levels.target[:, :, FIRST:])
    arithmetic = torch.log10(0.5 * (power[:, :, 0::2] + power[:, :, 1::2]))
    logmean = 0.5 * (levels.logmean[:, :, FIRST::2] + levels.logmean[:, :, FIRST + 1 :: 2])
    return (1 - geometric_share) * arithmetic + geometric_share * (logmean + GAUSSIAN_LOG_DEFICIT)


def flatness(levels: Levels) -> Tensor:
    """log10 of geometric over arithmetic mean power in 16 bins around each four-bin band's end, `[batch, frames, 128]`.

    Entry j spans the four-bin bands j - 1 to j + 2 and is averaged over three frames.
    """
    power = torch.pow(10.0, levels.target)

    def window(values: Tensor) -> Tensor:
        padded = torch.nn.functional.pad(values, (1, 2), mode="replicate")
        return torch.nn.functional.avg_pool1d(padded, 4, 1)

    ratio = window(levels.logmean) - torch.log10(window(power))
    padded = torch.nn.functional.pad(ratio.transpose(1, 2), (1, 1), mode="replicate")
    return torch.nn.functional.avg_pool1d(padded, 3, 1).transpose(1, 2)


def mix_target(levels: Levels, cutoff: Tensor) -> Tensor:
    """Share of copied-up low band `[batch, frames, 56]` whose tonality would come closest to the target's.

    0 where the target is as flat as noise, or where the copy would be no more tonal than noise.
    """
    flat = flatness(levels)
    band = FIRST + 2 * torch.arange(HIGH_BANDS)[None, :]
    wanted = flat[:, :, FIRST::2]
    cutoff = cutoff[:, None].long()
    width = 4 * torch.div(cutoff, 8, rounding_mode="floor")
    moves = torch.div(4 * band - cutoff + width, width, rounding_mode="floor").clamp(min=0)
    origin = (band - moves * (width // 4)).clamp(0, flat.shape[2] - 1)
    offered = flat.gather(2, origin[:, None, :].expand(-1, flat.shape[1], -1))
    share = (NOISE_FLATNESS - wanted) / (NOISE_FLATNESS - offered).clamp(min=TONAL_MARGIN)
    useful = (wanted < NOISE_FLATNESS - TONAL_MARGIN) & (offered < NOISE_FLATNESS - TONAL_MARGIN)
    return torch.where(useful, share.clamp(0, 1), torch.zeros(()))


def band_weight(levels: Levels, cutoff: Tensor) -> Tensor:
    """1 where a band is to be filled and its truth is known, `[batch, frames, 56]`.

    From the band that holds the cutoff (its gain shapes the fade) to the last that lies wholly below the recording's roll-off.
    """
    low = HIGH_FIRST_BIN + HIGH_BAND_BINS * torch.arange(HIGH_BANDS)[None, :]
    above = low + HIGH_BAND_BINS > cutoff[:, None]
    known = low + HIGH_BAND_BINS <= levels.rolloff_bin[:, None]
    return (above & known).float()[:, None, :] * levels.weight[:, :, None]
