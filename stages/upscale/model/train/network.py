"""The predictor: Conv k3, then ConvNeXt-1D blocks without padding, then a linear head."""

import torch
from torch import Tensor, nn

from envelope.constants import FEATURE_BANDS, FEATURE_CHANNELS, HIGH_BANDS

KERNEL = 7
STEM_KERNEL = 3


class FrameNorm(nn.Module):
    """Layer norm over the channels of each frame of `[batch, frames, channels]`; no statistics over time."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Same shape."""
        return nn.functional.layer_norm(values, self.weight.shape, self.weight, self.bias)


class Block(nn.Module):
    """ConvNeXt block: depthwise k7, per-frame norm, channel MLP, scaled residual. Yields six frames fewer."""

    def __init__(self, channels: int, expansion: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, KERNEL, groups=channels)
        self.norm = FrameNorm(channels)
        self.widen = nn.Linear(channels, channels * expansion)
        self.narrow = nn.Linear(channels * expansion, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.1))
        self.dropout = dropout

    def forward(self, values: Tensor) -> Tensor:
        """`[batch, frames, channels]` to `[batch, frames - 6, channels]`."""
        hidden = self.norm(self.depthwise(values.transpose(1, 2)).transpose(1, 2))
        hidden = nn.functional.gelu(self.widen(hidden))
        if self.training:
            # whole channels of an example, so that frames cannot fill in for each other
            hidden = hidden * nn.functional.dropout(torch.ones_like(hidden[:, :1]), self.dropout)
        margin = KERNEL // 2
        return values[:, margin:-margin] + self.scale * self.narrow(hidden)


class WideHead(nn.Module):
    """What the linear head cannot say: fixed random features of the hidden state, and weights that `refit` solves for.

    Zero until then.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.random = nn.Linear(channels, width)
        self.solved = nn.Linear(width, HIGH_BANDS, bias=False)
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            self.random.weight.copy_(1.2 * channels**-0.5 * torch.randn(width, channels, generator=generator))
            self.random.bias.copy_(0.5 * torch.randn(width, generator=generator))
            self.solved.weight.zero_()
        self.requires_grad_(requires_grad=False)

    def expand(self, hidden: Tensor) -> Tensor:
        """Features `[batch, frames, width]` of a hidden state `[batch, frames, channels]`."""
        return torch.relu(self.random(hidden))

    def forward(self, hidden: Tensor) -> Tensor:
        """What to add to the head's gains, `[batch, frames, 56]`."""
        return self.solved(self.expand(hidden))


class EnvelopeNet(nn.Module):
    """Features `[batch, 192, frames]` to log10 gains and mix `[batch, 56, frames - 38]`, of fewer frames with fewer blocks.

    Levels are given to the trunk relative to the frame's own mean level, which is added back to the gains: what the net
    learns about a spectrum's shape holds at every loudness. The absolute level is one more input channel.
    """

    def __init__(self, channels: int = 128, blocks: int = 6, expansion: int = 2, dropout: float = 0.1, wide: int = 0) -> None:
        super().__init__()
        self.context = STEM_KERNEL - 1 + blocks * (KERNEL - 1)
        self.stem = nn.Conv1d(FEATURE_CHANNELS + 1, channels, STEM_KERNEL)
        self.stem_norm = FrameNorm(channels)
        self.blocks = nn.ModuleList(Block(channels, expansion, dropout) for _ in range(blocks))
        self.head_norm = FrameNorm(channels)
        self.head = nn.Linear(channels, 2 * HIGH_BANDS)
        self.wide = WideHead(channels, wide) if wide else None
        nn.init.normal_(self.head.weight, std=0.01)
        with torch.no_grad():
            bias = torch.cat([torch.full((HIGH_BANDS,), -1.0), torch.full((HIGH_BANDS,), -2.0)])
            self.head.bias.copy_(bias)

    def trunk(self, features: Tensor, delay: int) -> tuple[Tensor, Tensor]:
        """Normed hidden state `[batch, frames - 38, channels]` and the output frames' own level `[batch, 1, frames - 38]`."""
        # a causal layout offers more of the past than few blocks look at
        spare = max(0, delay - self.context)
        delay -= spare
        value, mask = features[:, :FEATURE_BANDS, spare:], features[:, FEATURE_BANDS:, spare:]
        whole = torch.floor(mask)
        level = (value * whole).sum(dim=1, keepdim=True) / whole.sum(dim=1, keepdim=True).clamp(min=1)
        hidden = self.stem(torch.cat([(value - level) * whole, mask, level], dim=1)).transpose(1, 2)
        hidden = self.stem_norm(hidden)
        for block in self.blocks:
            hidden = block(hidden)
        return self.head_norm(hidden), level[:, :, delay : delay + hidden.shape[1]]

    def forward(self, features: Tensor, delay: int) -> tuple[Tensor, Tensor]:
        """Predict; `delay` is how many frames after the first input frame the first output frame lies."""
        hidden, level = self.trunk(features, delay)
        gains, mix = self.head(hidden).transpose(1, 2).chunk(2, dim=1)
        if self.wide is not None:
            gains = gains + self.wide(hidden).transpose(1, 2)
        return 2 * (gains + level) - 2, torch.sigmoid(mix)


def load_weights(net: EnvelopeNet, weights: dict[str, Tensor]) -> None:
    """Load weights, which may be from before the wide head was there: it then stays zero."""
    missing, unexpected = net.load_state_dict(weights, strict=False)
    if unexpected or any(not name.startswith("wide.") for name in missing):
        raise ValueError(f"weights of another network: missing {missing}, unexpected {unexpected}")


class Deployed(nn.Module):
    """The net with its delay fixed, as the ONNX file holds it."""

    def __init__(self, net: EnvelopeNet, context_left: int) -> None:
        super().__init__()
        self.net = net
        self.context_left = context_left

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Gains and mix of a window of features."""
        return self.net(features, self.context_left)
