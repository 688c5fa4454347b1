"""The predictor: Conv k3, then ConvNeXt-1D blocks without padding, then a linear head."""

import torch
from torch import Tensor, nn

from envelope.constants import FEATURE_BANDS, FEATURE_CHANNELS, HIGH_BANDS

KERNEL = 7
STEM_KERNEL = 3


class FrameNorm(nn.Module):
    """Layer norm over the channels of each frame of `[batch, channels, frames]`; no statistics over time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, values: Tensor) -> Tensor:
        """Same shape."""
        centred = values - values.mean(dim=1, keepdim=True)
        variance = (centred * centred).mean(dim=1, keepdim=True)
        return centred / torch.sqrt(variance + 1e-5) * self.weight + self.bias


class Block(nn.Module):
    """ConvNeXt block: depthwise k7, per-frame norm, channel MLP, scaled residual. Yields six frames fewer."""

    def __init__(self, channels: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, KERNEL, groups=channels)
        self.norm = FrameNorm(channels)
        self.widen = nn.Conv1d(channels, channels * expansion, 1)
        self.narrow = nn.Conv1d(channels * expansion, channels, 1)
        self.scale = nn.Parameter(torch.full((channels, 1), 0.1))
        self.dropout = nn.Dropout(dropout)

    def forward(self, values: Tensor) -> Tensor:
        """`[batch, channels, frames]` to `[batch, channels, frames - 6]`."""
        hidden = self.norm(self.depthwise(values))
        hidden = self.narrow(self.dropout(nn.functional.gelu(self.widen(hidden))))
        margin = KERNEL // 2
        return values[:, :, margin:-margin] + self.scale * hidden


class EnvelopeNet(nn.Module):
    """Features `[batch, 192, frames]` to log10 gains and mix `[batch, 56, frames - 38]`.

    Levels are given to the trunk relative to the frame's own mean level, which is added back to the gains: what the net
    learns about a spectrum's shape holds at every loudness. The absolute level is one more input channel.
    """

    def __init__(self, channels: int = 128, blocks: int = 6, expansion: int = 2, dropout: float = 0.1) -> None:
        super().__init__()
        self.margin = STEM_KERNEL // 2 + blocks * (KERNEL // 2)
        self.stem = nn.Conv1d(FEATURE_CHANNELS + 1, channels, STEM_KERNEL)
        self.stem_norm = FrameNorm(channels)
        self.blocks = nn.ModuleList(Block(channels, expansion, dropout) for _ in range(blocks))
        self.head_norm = FrameNorm(channels)
        self.head = nn.Conv1d(channels, 2 * HIGH_BANDS, 1)
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            bias = torch.cat([torch.full((HIGH_BANDS,), -1.0), torch.full((HIGH_BANDS,), -2.0)])
            self.head.bias.copy_(bias)

    def forward(self, features: Tensor, delay: int | None = None) -> tuple[Tensor, Tensor]:
        """Predict; `delay` is how many frames after the first input frame the first output frame lies (default: centred)."""
        value, mask = features[:, :FEATURE_BANDS], features[:, FEATURE_BANDS:]
        whole = torch.floor(mask)
        level = (value * whole).sum(dim=1, keepdim=True) / whole.sum(dim=1, keepdim=True).clamp(min=1)
        hidden = self.stem_norm(self.stem(torch.cat([(value - level) * whole, mask, level], dim=1)))
        for block in self.blocks:
            hidden = block(hidden)
        gains, mix = self.head(self.head_norm(hidden)).chunk(2, dim=1)
        frames = gains.shape[2]
        start = self.margin if delay is None else delay
        own_level = level[:, :, start : start + frames]
        return 2 * (gains + own_level) - 2, torch.sigmoid(mix)


class Deployed(nn.Module):
    """The net with its delay fixed, as the ONNX file holds it."""

    def __init__(self, net: EnvelopeNet, context_left: int) -> None:
        super().__init__()
        self.net = net
        self.context_left = context_left

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Gains and mix of a window of features."""
        return self.net(features, self.context_left)
