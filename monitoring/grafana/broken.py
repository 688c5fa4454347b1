"""A dashboard that breaks no rule, and for each rule one that breaks that rule alone."""

import copy

GOOD = {
    "uid": "good",
    "title": "Good",
    "editable": False,
    "templating": {
        "list": [
            {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus"},
            *(
                {"name": name, "type": "query", "label": name.title(), "query": f"label_values(up, {name})", "datasource": {"uid": "$datasource"},
                 "multi": True, "includeAll": True, "allValue": ".+", "refresh": 2}
                for name in ("job", "instance")
            ),
        ]
    },
    "panels": [
        {"id": 1, "type": "row", "title": "Row", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 1}},
        {"id": 2, "type": "timeseries", "title": "Records", "description": "Records read a second.", "datasource": {"uid": "$datasource"},
         "gridPos": {"x": 0, "y": 1, "w": 12, "h": 8}, "fieldConfig": {"defaults": {"unit": "rps"}},
         "targets": [{"expr": 'sum(rate(treble_records_received_total{job=~"$job",instance=~"$instance"}[$__rate_interval]))'}]},
    ],
}
ASKED = GOOD["panels"][1]["targets"][0]["expr"]


def changed(*path, to):
    """A copy of the good dashboard in which what lies at `path` is `to`; `None` takes it away."""
    document = copy.deepcopy(GOOD)
    place = document
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return document


def variable(place, **to):
    return changed("templating", "list", place, to=GOOD["templating"]["list"][place] | to)


def panel(**to):
    return changed("panels", 1, to=GOOD["panels"][1] | to)


def asking(expression):
    return panel(targets=[{"expr": expression}])


BROKEN = {
    "none": GOOD,
    "template-datasource": variable(0, name="source"),
    "template-job": variable(1, multi=False),
    "template-instance": variable(2, allValue=".*"),
    "template-label-promql": variable(1, query="query_result(up)"),
    "template-on-time-change-reload": variable(1, refresh=1),
    "panel-datasource": panel(datasource="Prometheus"),
    "panel-title-description": panel(description=""),
    "panel-units": panel(fieldConfig={"defaults": {"unit": "furlongs"}}),
    "panel-no-targets": panel(targets=[]),
    "target-logql": asking(ASKED + ' |= "error"'),
    "target-logql-auto": panel(targets=[{"expr": ASKED}, {"expr": ASKED.replace("$__rate_interval", "$__auto").replace("rate(", "increase(")}]),
    "target-promql": asking(ASKED[:-1]),
    "target-rate-interval": asking(ASKED.replace("$__rate_interval", "5m")),
    "target-job": asking(ASKED.replace('job=~"$job",', "")),
    "target-instance": asking(ASKED.replace(',instance=~"$instance"', "")),
    "target-counter-agg": asking('sum(treble_records_received_total{job=~"$job",instance=~"$instance"})'),
    "uneditable-dashboard": changed("editable", to=True),
    "schema-plain": panel(type="graph"),
    "panel-id": panel(id=1),
    "panel-place": panel(gridPos={"x": 13, "y": 1, "w": 12, "h": 8}),
    "metric-known": asking(ASKED.replace("records_received", "records_wished")),
    "threshold-known": panel(fieldConfig={"defaults": {"unit": "rps", "thresholds": {"steps": [{"value": None}, {"value": 42}]}}}),
}
