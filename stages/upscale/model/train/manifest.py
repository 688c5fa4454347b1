"""Which recordings there are: a manifest where the folder has one, else every audio file with a split by name."""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

SUFFIXES = {".flac", ".wav", ".ogg", ".mp3", ".aiff"}
VAL_SHARE = 10
"""Without a manifest, one file in so many is kept for validation."""


@dataclass(frozen=True)
class Recording:
    """One file of the training folder."""

    path: Path
    source: str
    kind: str
    split: str
    rolloff_hz: float
    """Above this frequency the file holds nothing, so nothing is to be learnt there."""
    attribution: str = ""
    licence: str = ""
    seconds: float = 0.0


def read_folder(folder: Path) -> list[Recording]:
    """Recordings of a folder, in a stable order. The first path part names the source (voice, microphone, codec)."""
    manifest = folder / "MANIFEST.tsv"
    found = _read_manifest(folder, manifest) if manifest.exists() else _scan(folder)
    if not found:
        raise ValueError(f"no audio under {folder}: expected {', '.join(sorted(SUFFIXES))} files or a MANIFEST.tsv")
    return sorted(found, key=lambda recording: recording.path)


def domain(kind: str, source: str) -> str:
    """One of speech, music, ambience: the rows that results are reported by."""
    name = f"{kind} {source}"
    if "speech" in name:
        return "speech"
    return "ambience" if "ambience" in name or "sfx" in name else "music"


def _read_manifest(folder: Path, manifest: Path) -> list[Recording]:
    with manifest.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [
        Recording(
            path=folder / row["file"],
            source=row["file"].split("/")[0],
            kind=row["kind"],
            split=row["split"],
            rolloff_hz=float(row["rolloff_hz"]),
            attribution=row["attribution"],
            licence=row["licence"],
            seconds=float(row["seconds"]),
        )
        for row in rows
    ]


def _scan(folder: Path) -> list[Recording]:
    found = []
    for path in folder.rglob("*"):
        if path.suffix.lower() not in SUFFIXES:
            continue
        relative = path.relative_to(folder)
        digest = hashlib.sha256(relative.as_posix().encode()).digest()
        source = relative.parts[0] if len(relative.parts) > 1 else folder.name
        split = "val" if digest[0] % VAL_SHARE == 0 else "train"
        found.append(Recording(path, source, source, split, rolloff_hz=24_000.0))
    return found
