"""The recipe's settings. The defaults are those of the shipped model."""

from dataclasses import dataclass

from envelope.constants import LAYOUTS, Layout

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class Recipe:
    """Everything that a run depends on besides the data."""

    variant: str = "quality"
    seed: int = 1
    epochs: int = 30
    steps: int = 400
    """Batches per epoch (an epoch is a unit of progress, not a pass over the data)."""
    batch: int = 16
    core: int = 96
    """Frames of each segment that the loss sees; the context comes on top."""
    speech_share: float = 0.55
    """Of the segments; music has two thirds of the others, ambience one."""
    plain_share: float = 0.0
    """Of the segments of the band stage that keep their equaliser, level and background."""
    wideband_share: float = 0.0
    """Of the segments of the band stage that are heard as 16 kHz input, beside those that the draw of cutoffs makes so."""
    channels: int = 128
    blocks: int = 6
    expansion: int = 2
    dropout: float = 0.1
    rate: float = 3e-3
    precision: str = "float32"
    """Of the network's arithmetic in the band stage; `bfloat16` takes a fifth off a step where the processor has it."""
    weight_decay: float = 0.05
    warmup_steps: int = 100
    average: float = 0.998
    """Decay of the weights' running average, which is what is judged and shipped."""
    geometric_share: float = 0.75
    mix_weight: float = 0.5
    wide: int = 1024
    """Random features of the hidden state that the closed-form head also sees; 0: none."""
    refit_batches: int = 500
    """Batches over which the head is solved in closed form; 0 leaves it as the band stage ended."""
    polish_steps: int = 0
    """Steps of the waveform stage; 0 leaves it out."""
    polish_rate: float = 5e-4
    patience: int = 0
    """Epochs without a better held-back figure until the run ends, which then keeps its best; 0: keep the last."""
    threads: int = 2

    @property
    def layout(self) -> Layout:
        """Context and core of the variant."""
        return LAYOUTS[self.variant]
