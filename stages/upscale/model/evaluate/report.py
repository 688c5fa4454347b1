"""Means per domain, case and system: as a table and as JSON."""

import math
from collections import defaultdict

Row = dict[str, str | float]
COLUMNS = ("lsd_to_16", "lsd", "lsd_hf", "lsd_16_24", "lsd_lf", "snr_lf", "harmonicity_db", "envelope")


def mean(values: list[float]) -> float:
    """Mean of the finite values; nan without any."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")


def summarise(rows: list[Row], by: tuple[str, ...]) -> list[Row]:
    """Means of the metrics over the clips that share the given keys, in order of appearance."""
    groups: defaultdict[tuple[str | float, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in by)].append(row)
    summary = []
    for key, members in groups.items():
        figures: Row = {column: mean([float(member[column]) for member in members]) for column in COLUMNS}
        summary.append(dict(zip(by, key, strict=True)) | {"clips": len(members)} | figures)
    return summary


def table(summary: list[Row], by: tuple[str, ...]) -> str:
    """Markdown table of a summary."""
    head = [*by, "clips", *COLUMNS]
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for row in summary:
        cells = [str(row[key]) for key in (*by, "clips")]
        cells += [f"{row[column]:.1f}" if column == "snr_lf" else f"{row[column]:.3f}" for column in COLUMNS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
