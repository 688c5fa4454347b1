"""Rules for dashboards: the seventeen of Grafana's dashboard-linter (docs/index.md there), and our own.

Ours: `schema-plain` (no API wrapper, no panel of old), `panel-id` (present, unique), `panel-place` (inside the grid, none over another),
`metric-known` (each metric is in docs/metrics.md, recorded by a rule, or foreign and listed), `threshold-known` (each step of colour is a
threshold of the catalogue or stands in the rules).
"""

import re
from dataclasses import dataclass

from known import limits_known, metrics_known
from promql import selectors
from units import UNITS

LINTER = [
    "template-datasource", "template-job", "template-instance", "template-label-promql", "template-on-time-change-reload", "panel-datasource",
    "panel-title-description", "panel-units", "panel-no-targets", "target-logql", "target-logql-auto", "target-promql", "target-rate-interval",
    "target-job", "target-instance", "target-counter-agg", "uneditable-dashboard",
]
OWN = ["schema-plain", "panel-id", "panel-place", "metric-known", "threshold-known"]
RULES = LINTER + OWN
PANELS = {"timeseries", "stat", "bargauge", "table", "heatmap", "state-timeline"}
WITH_UNITS = {"stat", "table", "timeseries", "gauge", "bargauge"}


@dataclass(frozen=True)
class Fault:
    """What a dashboard does wrong. `about` is the panel or metric that an exception may name."""

    rule: str
    about: str
    text: str

    def __str__(self):
        return f"{self.rule}: {self.about}: {self.text}"


def panels_of(document):
    """Panels, those inside rows included; rows themselves left out."""
    for panel in document.get("panels", []):
        inside = panel.get("panels", []) if panel.get("type") == "row" else []
        yield from inside
        if panel.get("type") != "row":
            yield panel


def variables(document, kind=None):
    listed = document.get("templating", {}).get("list", [])
    return {variable["name"]: variable for variable in listed if kind in (None, variable.get("type"))}


def template_faults(document):
    sources = variables(document, "datasource")
    for name, source in sources.items():
        if name != "datasource" or source.get("label") != "Data source":
            yield Fault("template-datasource", name, "is not called 'datasource', labelled 'Data source'")
    if not sources:
        yield Fault("template-datasource", "dashboard", "has no variable for the data source")
    queried = variables(document, "query")
    for name in ("job", "instance"):
        variable = queried.get(name, {})
        whole = variable.get("multi") and variable.get("includeAll") and variable.get("allValue") == ".+"
        if not whole or variable.get("datasource", {}).get("uid") != "$datasource" or variable.get("label") != name.title():
            yield Fault(f"template-{name}", name, f"no variable labelled {name.title()} over $datasource, many at once, all of them `.+`")
    for name, variable in queried.items():
        if not re.fullmatch(r"label_values\((?:[\w:]+(?:\{[^{}]*\})?, *)?\w+\)", str(variable.get("query"))):
            yield Fault("template-label-promql", name, f"not label_values(metric{{matchers}}, label): {variable.get('query')}")
        if variable.get("refresh") != 2:
            yield Fault("template-on-time-change-reload", name, "is not read again when the time range changes")


def panel_faults(panel):
    title = panel.get("title") or f"panel {panel.get('id')}"
    if not panel.get("title") or len(panel.get("description") or "") < 10:
        yield Fault("panel-title-description", title, "needs a title, and a description that says what it shows")
    if not isinstance(panel.get("datasource"), dict) or panel["datasource"].get("uid") != "$datasource":
        yield Fault("panel-datasource", title, "does not use $datasource")
    defaults = panel.get("fieldConfig", {}).get("defaults", {})
    if panel.get("type") in WITH_UNITS and defaults.get("unit") not in UNITS:
        yield Fault("panel-units", title, f"no unit that Grafana knows: {defaults.get('unit')}")
    for step in defaults.get("thresholds", {}).get("steps", []):
        if step.get("value") is not None and step["value"] not in limits_known():
            yield Fault("threshold-known", title, f"{step['value']} is no threshold of the catalogue")
    if not panel.get("targets"):
        yield Fault("panel-no-targets", title, "asks nothing")
    if panel.get("type") not in PANELS:
        yield Fault("schema-plain", title, f"a panel of type {panel.get('type')}: one of {', '.join(sorted(PANELS))}")


def balanced(expression):
    """Whether brackets of `expression` close what they open. promtool parses it for good (`lint`)."""
    opened = []
    for char in re.sub(r'"(?:[^"\\]|\\.)*"', "", expression):
        if char in "([{":
            opened.append(char)
        elif char in ")]}" and (not opened or opened.pop() + char not in ("()", "[]", "{}")):
            return False
    return not opened and bool(expression.strip())


def target_faults(panel, target):
    title, expression = panel.get("title") or "", target.get("expr") or ""
    if "|=" in expression or "| json" in expression:
        yield Fault("target-logql", title, "asks a log store, which Treble has none of")
    if "$__auto" in expression:
        yield Fault("target-logql-auto", title, "$__auto belongs to log stores")
    if not balanced(expression):
        yield Fault("target-promql", title, f"is no expression: {expression!r}")
        return
    for selector in selectors(expression):
        if selector.range not in (None, "$__rate_interval") and selector.function in ("rate", "irate"):
            yield Fault("target-rate-interval", title, f"{selector}[{selector.range}]: a rate is over $__rate_interval")
        for label in ("job", "instance"):
            if selector.matchers.get(label) != ("=~", f'"${label}"'):
                yield Fault(f"target-{label}", selector.metric, f"{title}: no {label}=~\"${label}\"")
        if selector.metric.endswith("_total") and not (selector.range and selector.function in ("rate", "irate", "increase")):
            yield Fault("target-counter-agg", selector.metric, f"{title}: a counter without rate or increase")
        names = {selector.metric} | {selector.metric.removesuffix(end) for end in ("_bucket", "_sum", "_count")}
        if not names & metrics_known():
            yield Fault("metric-known", selector.metric, f"{title}: nobody exports or records it")


def place_faults(document):
    taken = {}
    for panel in document.get("panels", []):
        at = panel.get("gridPos", {})
        cells = {(x, y) for x in range(at.get("x", 0), at.get("x", 0) + at.get("w", 0)) for y in range(at.get("y", 0), at.get("y", 0) + at.get("h", 0))}
        title = panel.get("title") or ""
        if not cells or any(x >= 24 for x, _ in cells):
            yield Fault("panel-place", title, "does not fit into 24 columns")
        over = {taken[cell] for cell in cells if cell in taken}
        for other in sorted(over):
            yield Fault("panel-place", title, f"lies over {other}")
        taken |= dict.fromkeys(cells, title)


def faults(document):
    """All faults of a dashboard."""
    if "dashboard" in document:
        return [Fault("schema-plain", "dashboard", "lies in the wrapper of the API; provisioning takes it plain")]
    found = list(template_faults(document)) + list(place_faults(document))
    if document.get("editable") is not False:
        found.append(Fault("uneditable-dashboard", "dashboard", "may be changed by hand"))
    ids = [panel.get("id") for panel in document.get("panels", [])]
    for panel in document.get("panels", []):
        if not panel.get("id") or ids.count(panel["id"]) > 1:
            found.append(Fault("panel-id", panel.get("title") or "", "has no id of its own"))
    for panel in panels_of(document):
        found += panel_faults(panel)
        for target in panel.get("targets", []):
            found += target_faults(panel, target)
    return list(dict.fromkeys(found))
