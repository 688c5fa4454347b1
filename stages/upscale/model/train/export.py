"""From weights to the ONNX file of the contract."""

import tempfile
from pathlib import Path

import onnx
import torch

from envelope.constants import FEATURE_CHANNELS, LAYOUTS, metadata

from .config import Recipe
from .network import Deployed, EnvelopeNet, load_weights

OPSET = 17
VERSION = "1.2.0"
"""Of the weights that this recipe makes; raised with every change of what is shipped."""


def build_net(recipe: Recipe, weights: dict[str, torch.Tensor]) -> EnvelopeNet:
    """The network of a recipe with given weights, ready to predict."""
    net = EnvelopeNet(recipe.channels, recipe.blocks, recipe.expansion, recipe.dropout, recipe.wide)
    load_weights(net, weights)
    return net.eval()


def write_onnx(net: EnvelopeNet, variant: str, version: str, path: Path) -> None:
    """Write one variant with its metadata; both axes stay dynamic, the runner picks one fixed shape."""
    layout = LAYOUTS[variant]
    example = torch.zeros(1, FEATURE_CHANNELS, layout.frames)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.onnx"
        torch.onnx.export(
            Deployed(net, layout.context_left),
            (example,),
            str(draft),
            input_names=["features"],
            output_names=["gains", "mix"],
            dynamic_axes={
                "features": {0: "batch", 2: "frames"},
                "gains": {0: "batch", 2: "core"},
                "mix": {0: "batch", 2: "core"},
            },
            opset_version=OPSET,
            dynamo=False,
        )
        model = onnx.load(str(draft))
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata(layout, version))
    model.producer_name = "treble-model"
    model.producer_version = version
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
