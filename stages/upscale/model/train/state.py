"""What a run carries from epoch to epoch, and how it is put down and taken up again."""

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .config import Recipe
from .network import EnvelopeNet, load_weights


@dataclass
class RunState:
    """Network, its running average, optimiser, generators and history of one run."""

    net: EnvelopeNet
    average: EnvelopeNet
    optimiser: torch.optim.AdamW
    draws: np.random.Generator
    chances: torch.Generator
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: float = float("inf")
    best_epoch: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)


def fresh(recipe: Recipe, start_from: Path | None = None, wide: int = 0) -> RunState:
    """The state before the first epoch, a function of the recipe and of the checkpoint whose weights it begins with.

    The wide head costs a third of a step and has nothing to say until it is solved: the band stage goes without.
    """
    torch.manual_seed(recipe.seed)
    net = EnvelopeNet(recipe.channels, recipe.blocks, recipe.expansion, recipe.dropout, wide)
    if start_from:
        held = torch.load(start_from, weights_only=False)["average"]
        load_weights(net, {name: weight for name, weight in held.items() if not name.startswith("wide.")})
    learnt = [weight for weight in net.parameters() if weight.requires_grad]
    decayed = [weight for weight in learnt if weight.dim() > 1]
    plain = [weight for weight in learnt if weight.dim() == 1]
    groups = [{"params": decayed}, {"params": plain, "weight_decay": 0.0}]
    return RunState(
        net=net,
        average=copy.deepcopy(net).eval(),
        optimiser=torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.weight_decay, betas=(0.9, 0.98)),
        draws=np.random.default_rng(recipe.seed),
        chances=torch.Generator().manual_seed(recipe.seed),
    )


def follow(average: nn.Module, net: nn.Module, decay: float) -> None:
    """Move the running average of the weights towards the net's."""
    with torch.no_grad():
        for mean, weight in zip(average.parameters(), net.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)


def save(path: Path, state: RunState, recipe: Recipe) -> None:
    """Write a checkpoint whole or not at all."""
    record = {
        "recipe": asdict(recipe),
        "net": state.net.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "draws": state.draws.bit_generator.state,
        "chances": state.chances.get_state(),
        "torch": torch.get_rng_state(),
        "epoch": state.epoch,
        "history": state.history,
        "best": state.best,
        "best_epoch": state.best_epoch,
        "best_weights": state.best_weights,
    }
    partial = path.with_suffix(".partial")
    torch.save(record, partial)
    partial.replace(path)


def resume(path: Path, recipe: Recipe) -> RunState:
    """Take up a checkpoint; a different recipe is an error, not a silent mixture."""
    record = torch.load(path, weights_only=False)
    if record["recipe"] != asdict(recipe):
        raise ValueError(f"{path} was made by another recipe: {record['recipe']}; choose another --out or the same flags")
    state = fresh(recipe)
    state.net.load_state_dict(record["net"])
    state.average.load_state_dict(record["average"])
    state.optimiser.load_state_dict(record["optimiser"])
    state.draws.bit_generator.state = record["draws"]
    state.chances.set_state(record["chances"])
    torch.set_rng_state(record["torch"])
    for name in ("epoch", "history", "best", "best_epoch", "best_weights"):
        setattr(state, name, record[name])
    return state
