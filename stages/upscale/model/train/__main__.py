"""`python -m train FOLDER --out OUT`: from a folder of audio to `treble.onnx` and `MODEL_CARD.md`."""

import argparse
import json
import sys
from dataclasses import asdict, fields
from pathlib import Path

import torch

from envelope.constants import LAYOUTS

from . import card, loop, prepare
from .config import PRECISIONS, Recipe
from .export import VERSION, build_net, write_onnx
from .manifest import read_folder
from .polish import polish
from .refit import refit


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Flags: the recipe's fields, the data, and which sources to hold back."""
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("folder", type=Path, help="audio, with a MANIFEST.tsv or one sub-folder per source")
    parser.add_argument(
        "--out", type=Path, required=True, help="checkpoint, ONNX file and history; resumed if it holds a checkpoint"
    )
    parser.add_argument("--cache", type=Path, help="band levels of the recordings (default: OUT/cache); may be shared by runs")
    parser.add_argument("--hold-back", default="", metavar="SOURCE,...", help="sources never learnt from, judged instead")
    parser.add_argument("--leave-out", default="", metavar="SOURCE,...", help="sources neither learnt from nor judged")
    parser.add_argument("--lossy", default="", metavar="SOURCE,...", help="sources that a codec went over: not for the head")
    parser.add_argument("--everything", action="store_true", help="learn from the validation clips too (for the shipped model)")
    parser.add_argument("--start-from", type=Path, help="checkpoint of a run whose weights this one begins with")
    parser.add_argument("--no-variants", action="store_true", help="skip speed, room and codec variants")
    for setting in fields(Recipe):
        choices = {"variant": sorted(LAYOUTS), "precision": PRECISIONS}.get(setting.name)
        kind = type(setting.default)
        parser.add_argument(f"--{setting.name.replace('_', '-')}", type=kind, default=setting.default, choices=choices)
    return parser.parse_args(arguments)


def trunk_of(checkpoint: Path | None) -> dict | None:
    """What the checkpoint that a run began with had been through."""
    if not checkpoint:
        return None
    record = torch.load(checkpoint, weights_only=False)
    return {"recipe": record["recipe"], "epoch": record["epoch"], "history": record["history"]}


def named(text: str) -> set[str]:
    """Sources of a comma-separated list."""
    return {name for name in text.split(",") if name}


def main(arguments: list[str] | None = None) -> Path:
    """Prepare, train, export; the ONNX file's path."""
    flags = parse(arguments)
    recipe = Recipe(**{setting.name: getattr(flags, setting.name) for setting in fields(Recipe)})
    flags.out.mkdir(parents=True, exist_ok=True)
    cache = flags.cache or flags.out / "cache"
    recordings = read_folder(flags.folder)
    clips = prepare.build(recordings, cache, recipe.seed, not flags.no_variants)
    held_back, lossy, left_out = named(flags.hold_back), named(flags.lossy), named(flags.leave_out)
    unknown = (held_back | lossy | left_out) - {clip.source for clip in clips}
    if unknown:
        raise SystemExit(f"--hold-back, --lossy or --leave-out names no source of {flags.folder}: {', '.join(sorted(unknown))}")
    sets = loop.split([clip for clip in clips if clip.source not in left_out], held_back, flags.everything)
    state = loop.train(recipe, sets, cache, flags.out, flags.start_from)
    learnt = [one for one in recordings if one.source not in held_back | left_out and (one.split == "train" or flags.everything)]
    weights = state.best_weights or state.average.state_dict()
    if recipe.refit_batches:
        net = build_net(recipe, weights)
        refit(recipe, net, [clip for clip in sets.train if clip.source not in lossy], cache)
        weights = net.state_dict()
    if recipe.polish_steps:
        weights = polish(recipe, weights, learnt, flags.out)
    path = flags.out / f"{recipe.layout.name}.onnx"
    write_onnx(build_net(recipe, weights), recipe.variant, VERSION, path)
    summary = {
        "recipe": asdict(recipe),
        "held_back": sorted(held_back),
        "lossy": sorted(lossy),
        "left_out": sorted(left_out),
        "start_from": flags.start_from.parent.name if flags.start_from else None,
        "trunk": trunk_of(flags.start_from),
        "everything": flags.everything,
        "best_epoch": state.best_epoch,
        "history": state.history,
    }
    (flags.out / "history.json").write_text(json.dumps(summary, indent=1))
    (flags.out / "MODEL_CARD.md").write_text(card.compose(learnt, summary, path, card.parameters_of(path)), encoding="utf-8")
    sys.stderr.write(f"wrote {path} (weights of epoch {state.best_epoch})\n")
    return path


if __name__ == "__main__":
    main()
