"""Asks a live Prometheus everything that dashboards and rules ask, and judges the answers."""

import json
import re
import sys
import time
import tomllib
import urllib.error
from fnmatch import fnmatchcase
from urllib.parse import urlencode

from stand import ROOT, fetch

sys.path[:0] = [str(ROOT / "monitoring"), str(ROOT / "monitoring/grafana")]
from asked import documents, filled, queries
from promql import selectors

MOST_SERIES = 50
MOST_SECONDS = 0.5
TRIES = 8


class Asker:
    """Questions to one Prometheus."""

    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, path, **parameters):
        try:
            return json.loads(fetch(f"{self.base}/{path}?{urlencode(parameters)}"))["data"]
        except urllib.error.HTTPError as error:
            raise ValueError(json.loads(error.read()).get("error", str(error))) from error

    def now(self, expression):
        return self.ask("query", query=expression)["result"]

    def over(self, expression, seconds, step):
        now = time.time()
        return self.ask("query_range", query=expression, start=now - seconds, end=now, step=step)["result"]

    def values(self, query):
        """The values of a variable of a dashboard: label_values(metric, label)."""
        metric, label = re.fullmatch(r"label_values\((.*), *(\w+)\)", filled(query)).groups()
        return self.ask(f"label/{label}/values", **{"match[]": metric})


def allowed(exceptions, kind, about):
    """The reason for which nothing may come back, if there is one."""
    return next((entry["reason"] for entry in exceptions if entry["of"] == kind and any(fnmatchcase(about, a) for a in entry["about"])), None)


def panel_faults(asker, exceptions, seconds):
    """What is wrong with the answers to the panels' queries, and how many were asked."""
    faults, count, slowest = [], 0, (0.0, "")
    for uid, title, target in queries():
        expression, about = target["expr"], f"{uid}/{title}"
        for name, values in chosen(asker, uid, expression):
            asked = filled(expression, values).replace("[1m]", "[15s]")
            count += 1
            try:
                series, took = timed(asker, asked, seconds)
            except ValueError as error:
                faults.append(f"{about}: {error}: {asked}")
                continue
            slowest = max(slowest, (took, about))
            if len(series) > MOST_SERIES and not about.split("/")[1].startswith("mark"):
                faults.append(f"{about}: {len(series)} series{name}, at most {MOST_SERIES}")
            if took > MOST_SECONDS:
                faults.append(f"{about}: {took:.2f} s{name}, at most {MOST_SECONDS}")
            # For one value of a variable there may be nothing to show; for all of them there is.
            if not series and not name and not allowed(exceptions, "panel", about):
                faults.append(f"{about}: nothing: {asked}")
    return faults, count, slowest


def chosen(asker, uid, expression):
    """Everything at once, then each value of each variable that `expression` asks about."""
    yield "", {}
    for variable in documents()[uid]["templating"]["list"]:
        if variable["type"] == "query" and f"${variable['name']}" in expression and variable["name"] in ("stage", "group", "topic"):
            for value in asker.values(variable["query"]):
                yield f" for {variable['name']}={value}", {variable["name"]: re.escape(value).replace("\\", "\\\\")}


def timed(asker, expression, seconds):
    """Series over time, and how long the answer took: the best of a few, since others use this machine too."""
    best = None
    for _ in range(TRIES):
        began = time.monotonic()
        series = asker.over(expression, seconds, 2)
        took = time.monotonic() - began
        best = took if best is None else min(best, took)
        if best < MOST_SECONDS:
            break
    return series, best


def found(asker, selector):
    """Whether `selector` finds series; a scrape that a busy machine missed is waited for."""
    for _ in range(TRIES):
        if asker.now(f"count({selector})"):
            return True
        time.sleep(1)
    return False


def rule_faults(asker, exceptions):
    """Selectors of rules that find nothing, and how many were asked."""
    faults, asked = [], set()
    for group in asker.ask("rules")["groups"]:
        for rule in group["rules"]:
            if rule["health"] == "err":
                faults.append(f"{rule['name']}: {rule['lastError']}")
            for selector in selectors(rule["query"]):
                text = str(selector)
                if text in asked or selector.metric.startswith("ALERTS"):
                    continue
                asked.add(text)
                if not allowed(exceptions, "rule", text) and not found(asker, text):
                    faults.append(f"{rule['name']}: no series: {text}")
    return faults, len(asked)


def exceptions():
    return tomllib.loads((ROOT / "monitoring/grafana/empty.toml").read_text())["exception"]
