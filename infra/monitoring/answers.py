"""Keeps what Prometheus answers to every panel, for the preview: the panel as Grafana reads it, and its series."""

import json

from questions import documents, filled


def answers(asker, document, seconds):
    for panel in document["panels"]:
        shown = {key: panel.get(key) for key in ("id", "type", "title", "description", "gridPos", "fieldConfig", "options", "transformations")}
        shown["series"] = []
        for target in panel.get("targets", []):
            asked = filled(target["expr"]).replace("[1m]", "[15s]")
            for series in asker.over(asked, seconds, max(1, seconds // 120)):
                shown["series"].append({"ref": target["refId"], "legend": target["legendFormat"], "labels": series["metric"], "values": series["values"]})
        yield shown


def keep_answers(asker, file, seconds):
    kept = {uid: {"title": document["title"], "description": document["description"], "panels": list(answers(asker, document, seconds))}
            for uid, document in documents().items()}
    file.write_text(json.dumps(kept))
