"""What dashboards ask of Prometheus: every query with its variables filled in."""

import json
import re
from pathlib import Path

DASHBOARDS = Path(__file__).resolve().parent / "dashboards"
# A variable stands for everything; an interval for what Grafana would choose with scrapes every 15 s.
EVERYTHING = {"__rate_interval": "1m", "__interval": "15s", "__range": "1h", "cluster": ".*"}


def filled(expression, values=()):
    """`expression` with `values` for its variables, and everything for the others."""
    known = EVERYTHING | dict(values)
    return re.sub(r"\$\{?(\w+)\}?", lambda match: known.get(match.group(1), ".+"), expression)


def documents():
    """The dashboards as they are committed, by uid."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))}


def queries():
    """(dashboard, panel, query): every target of every panel; marks on the time axis count as panels."""
    for uid, document in documents().items():
        for panel in document["panels"]:
            for target in panel.get("targets", []):
                yield uid, panel["title"], target
        for mark in document["annotations"]["list"]:
            yield uid, f"mark: {mark['name']}", mark
