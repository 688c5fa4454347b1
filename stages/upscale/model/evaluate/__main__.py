"""`python -m evaluate FOLDER --out OUT --system sinc --system ours=treble.onnx`: table, JSON and pictures."""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import soundfile

from envelope.constants import RATE
from envelope.spectrum import FloatArray
from train.manifest import Recording, domain, read_folder
from train.waveform import read_mono

from . import systems
from .cases import CASES
from .metrics import FFT_SIZE, judge
from .report import Row, summarise, table


def choose(recordings: list[Recording], sources: set[str], split: str, most: int) -> list[Recording]:
    """Up to `most` recordings of each source, evenly spread; all sources where none is named."""
    groups: defaultdict[str, list[Recording]] = defaultdict(list)
    for recording in recordings:
        if (not sources or recording.source in sources) and split in ("all", recording.split):
            groups[recording.source].append(recording)
    chosen = []
    for members in groups.values():
        step = max(1, len(members) // most)
        chosen += members[::step][:most]
    return chosen


def measure(recording: Recording, reference: FloatArray, flags: argparse.Namespace, able: list[systems.System]) -> Iterator[Row]:
    """Metrics of one clip for every case and system; pictures and inputs are written on the way where asked for."""
    for case in flags.case:
        prepared = CASES[case](reference)
        clip = f"{recording.source}.{recording.path.stem}.{case}"
        if flags.export_inputs:
            flags.export_inputs.mkdir(parents=True, exist_ok=True)
            soundfile.write(flags.export_inputs / f"{clip}.wav", prepared.signal, RATE, subtype="FLOAT")
        outputs = {system.name: system.process(clip, prepared) for system in able}
        for name, output in outputs.items():
            row: Row = {"domain": domain(recording.kind, recording.source), "source": recording.source}
            yield row | {"clip": recording.path.stem, "case": case, "system": name} | judge(output, reference, prepared.rate_in)
        if flags.pictures:
            from .pictures import draw

            draw({"input": prepared.signal} | outputs | {"reference": reference}, clip, flags.out / "pictures" / f"{clip}.png")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Flags of the judge."""
    parser = argparse.ArgumentParser(prog="python -m evaluate", description=__doc__)
    parser.add_argument("folder", type=Path, help="reference audio, as for `python -m train`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--system", action="append", metavar="sinc|NAME=FILE.onnx|NAME=FOLDER", help="may be repeated")
    parser.add_argument("--case", action="append", choices=list(CASES), help="default: all")
    parser.add_argument("--source", action="append", default=[], help="only these sources")
    parser.add_argument("--split", choices=["train", "val", "all"], default="val")
    parser.add_argument("--clips", type=int, default=26, help="most clips per source")
    parser.add_argument("--pictures", action="store_true", help="a spectrogram of every clip and case")
    parser.add_argument("--export-inputs", type=Path, help="write every input as float WAV for another program to process")
    flags = parser.parse_args(arguments)
    flags.case = flags.case or list(CASES)
    flags.system = flags.system or ["sinc"]
    return flags


def main(arguments: list[str] | None = None) -> list[Row]:
    """Judge and write `rows.json`, `summary.json`, `table.md`; the rows."""
    flags = parse(arguments)
    able = [systems.parse(text) for text in flags.system]
    chosen = choose(read_folder(flags.folder), set(flags.source), flags.split, flags.clips)
    flags.out.mkdir(parents=True, exist_ok=True)
    rows: list[Row] = []
    for number, recording in enumerate(chosen):
        sys.stderr.write(f"\rjudge {number + 1}/{len(chosen)}")
        reference = read_mono(recording.path)
        if len(reference) > FFT_SIZE:
            rows += measure(recording, reference, flags, able)
    sys.stderr.write("\n")
    text = ""
    for by in (("domain", "case", "system"), ("source", "case", "system")):
        text += table(summarise(rows, by), by) + "\n"
    (flags.out / "table.md").write_text(text)
    (flags.out / "summary.json").write_text(json.dumps(summarise(rows, ("source", "case", "system")), indent=1))
    (flags.out / "rows.json").write_text(json.dumps(rows, indent=1))
    return rows


if __name__ == "__main__":
    main()
