"""The model card: what the model is, what it was trained on, how it was judged, where it fails.

`python -m train` writes it without the judge's tables; `python -m train.card FOLDER --run OUT --model OUT/treble.onnx
--notes table.md --out MODEL_CARD.md` writes it again with them.
"""

import argparse
import json
import math
from collections import defaultdict
from pathlib import Path

from .manifest import Recording, read_folder

INTRODUCTION = """# Model card: {name}

{name} fills the band that a low sample rate or a lossy codec took from speech, music and ambience. It predicts the envelope of
the missing band (56 log gains a frame, and how tonal each band is); the stage shapes noise and a copy of the low band with it and
adds the result to the untouched input. `CONTRACT.md` defines every number.

* network: {parameters} parameters, {megabytes:.2f} MB, ConvNeXt-1D of {blocks} blocks of {channels} channels, {context}
* trunk: {steps} steps of {batch} segments of {core} frames; running average after epoch {best_epoch} of {epochs}; seed {seed}
* head: solved in closed form over {refit_batches} batches, with {wide} random features of the trunk{lossy}
* waveform stage: {polish_steps} steps
* data: {minutes:.0f} minutes of audio (table below); {held}
"""


def sources_table(recordings: list[Recording]) -> str:
    """Markdown table of sources with minutes, licence and attribution."""
    seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
    credits: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for recording in recordings:
        key = (recording.source, recording.licence)
        seconds[key] += recording.seconds
        credits[key].add(recording.attribution)
    lines = ["| source | minutes | licence | attribution |", "| --- | --- | --- | --- |"]
    for (source, licence), amount in sorted(seconds.items()):
        names = sorted(credits[source, licence])
        shown = "; ".join(names[:12]) + (f"; and {len(names) - 12} more" if len(names) > 12 else "")
        lines.append(f"| {source} | {amount / 60:.1f} | {licence or 'as given by its owner'} | {shown} |")
    return "\n".join(lines) + "\n"


def curve_table(history: list[dict[str, float]]) -> str:
    """Markdown table of the figures after each epoch."""
    if not history:
        return "no epochs\n"
    names = list(history[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    for row in history:
        lines.append("| " + " | ".join(f"{row[name]:.0f}" if name == "epoch" else f"{row[name]:.3f}" for name in names) + " |")
    return "\n".join(lines) + "\n"


def compose(recordings: list[Recording], run: dict, model: Path, parameters: int, extra: str = "") -> str:
    """The whole card from a run's `history.json`, the recordings it learnt from, and further sections."""
    recipe, trunk = run["recipe"], run["trunk"] if run.get("trunk") and not run["history"] else None
    learnt = trunk["recipe"] if trunk else recipe
    best_epoch = trunk["epoch"] if trunk else run["best_epoch"]
    history = trunk["history"] if trunk else run["history"]
    live = recipe["variant"] == "live"
    held = f"held back: {', '.join(run['held_back'])}" if run["held_back"] else "no source held back"
    if run.get("left_out"):
        held += f"; left out: {', '.join(run['left_out'])}"
    lossy = f", without the lossy {', '.join(run['lossy'])}" if run.get("lossy") else ""
    head = INTRODUCTION.format(
        name=model.stem,
        parameters=f"{parameters:,}",
        megabytes=model.stat().st_size / 1e6,
        context="causal, 21.3 ms look-ahead" if live else "19 frames (101 ms) of context either side",
        minutes=sum(recording.seconds for recording in recordings) / 60,
        held=held,
        lossy=lossy,
        best_epoch=best_epoch,
        steps=best_epoch * learnt["steps"],
        **{key: recipe[key] for key in ("blocks", "channels", "polish_steps", "wide", "refit_batches")},
        **{key: learnt[key] for key in ("batch", "core", "seed", "epochs")},
    )
    curve = "\n## Training curve\n\nExpected log-spectral distance of the band stage, cutoff to 16 kHz; lower is better.\n\n"
    return head + extra + curve + curve_table(history) + "\n## Data\n\n" + sources_table(recordings)


def parameters_of(model: Path) -> int:
    """Number of weights in an ONNX file."""
    import onnx

    return sum(math.prod(tensor.dims) for tensor in onnx.load(str(model)).graph.initializer)


def main(arguments: list[str] | None = None) -> None:
    """Write the card of a finished run with the judge's tables and hand-written notes."""
    parser = argparse.ArgumentParser(prog="python -m train.card", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="output folder of `python -m train`")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--notes", type=Path, action="append", default=[], help="Markdown put after the introduction")
    parser.add_argument("--out", type=Path, required=True)
    flags = parser.parse_args(arguments)
    run = json.loads((flags.run / "history.json").read_text())
    unheard = {*run["held_back"], *run.get("left_out", [])}
    recordings = [one for one in read_folder(flags.folder) if one.source not in unheard]
    extra = "".join("\n" + note.read_text(encoding="utf-8") for note in flags.notes)
    flags.out.write_text(compose(recordings, run, flags.model, parameters_of(flags.model), extra), encoding="utf-8")


if __name__ == "__main__":
    main()
