"""The loss of the band stage: the log-spectral distance that the predicted envelope would have, plus the mix."""

import torch
from torch import Tensor

EXCITATION_VARIANCE = 0.62
"""Variance of the difference of two independent Gaussian bins' log10 powers (2 * 0.557^2): no envelope can do better."""


def envelope_distance(gains: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Expected LSD of a noise-filled envelope, mean over frames.

    Root over the bands of the mean squared error plus the excitation's own, as the judge takes it; `[batch, frames, 56]` each.
    """
    total = weight.sum(dim=2)
    error = ((gains - target) ** 2 * weight).sum(dim=2) / total.clamp(min=1)
    frames = (total > 0).float()
    return (torch.sqrt(error + EXCITATION_VARIANCE) * frames).sum() / frames.sum().clamp(min=1)


def mix_loss(mix: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared error of the mix over the judged bands, `[batch, frames, 56]` each."""
    return ((mix - target) ** 2 * weight).sum() / weight.sum().clamp(min=1)
