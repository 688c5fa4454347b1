"""What all dashboards share: variables, links, annotations, and the order of their rows."""

import json
import zlib

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models
from panel import DATA, spelled

TAG = "treble"
LABELS = {
    "cluster": ("Cluster", "label_values(up, cluster)"),
    "job": ("Job", 'label_values(up{cluster=~"$cluster"}, job)'),
    "instance": ("Instance", 'label_values(up{cluster=~"$cluster",job=~"$job"}, instance)'),
    "stage": ("Stage", 'label_values(treble_records_received_total{cluster=~"$cluster",job=~"$job",instance=~"$instance"}, stage)'),
    "group": ("Group", 'label_values(kafka_consumergroup_lag{cluster=~"$cluster",job=~"$job"}, consumergroup)'),
    "topic": ("Topic", 'label_values(kafka_consumergroup_lag{cluster=~"$cluster",job=~"$job",consumergroup=~"$group"}, topic)'),
}
# What is marked on the time axis: name, colour, expression, what the mark says. A process marks the moment at which it began.
MARKS = [
    ("Alerts", "red", 'ALERTS{alertstate="firing",alertname!~"Watchdog|InfoInhibitor",cluster=~"$cluster"}', "{{alertname}}", "stage"),
    ("Starts", "blue", "1000 * process_start_time_seconds{@all}", "started: {{instance}}", "component"),
    ("Models", "purple", "treble_model_info{@all} unless treble_model_info{@all} offset 2m", "model {{model}} {{version}}", "model"),
    ("Rebalances", "yellow", 'sum by (stage) (increase(treble_kafka_rebalances_total{@all,kind="assigned"}[$__rate_interval])) > 0', "rebalance of {{stage}}", "stage"),
]


def variable(name):
    label, values = LABELS[name]
    chosen = models.VariableOption(text=["All"], value=["$__all"])
    made = dashboard.QueryVariable(name).label(label).query(values).datasource(DATA).current(chosen)
    # An absent label matches `.*`: a cluster may be named on the outside only.
    every = ".*" if name == "cluster" else ".+"
    return made.multi(True).include_all(True).all_value(every).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)


class Board:
    """A dashboard in the making. Panels stand in the order in which they are added, row after row."""

    def __init__(self, uid, title, question, variables=()):
        self.made = dashboard.Dashboard(f"Treble: {title}").uid(uid).description(question).tags([TAG]).readonly()
        self.made.timezone("browser").refresh("30s").time("now-1h", "now").tooltip(models.DashboardCursorSync.CROSSHAIR)
        source = dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
        source.current(models.VariableOption(text="default", value="default"))
        self.made.variables([source] + [variable(name) for name in ("cluster", "job", "instance", *variables)])
        link = dashboard.DashboardLink("Treble").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
        self.made.link(link.as_dropdown(True).include_vars(True).keep_time(True))
        for name, colour, expression, _, _ in MARKS:
            mark = dashboard.AnnotationQuery().name(name).icon_color(colour).datasource(DATA).expr(spelled(expression))
            self.made.annotation(mark.enable(name in ("Alerts", "Starts")).hide(False))

    def row(self, title, *panels):
        self.made.with_row(dashboard.Row(title).id(zlib.crc32(f"row {title}".encode()) % 100_000 + 1))
        for panel in panels:
            self.made.with_panel(panel)
        return self

    def document(self):
        """The dashboard as JSON, ready for Grafana's provisioning."""
        document = json.loads(json.dumps(self.made.build(), cls=JSONEncoder))
        # The toolkit gives every variable what belongs to intervals only.
        for listed in document["templating"]["list"]:
            for stray in ("auto", "auto_min", "auto_count"):
                listed.pop(stray, None)
        # And it does not know how the Prometheus data source titles a mark.
        for mark, (name, _, _, title, tag) in zip(document["annotations"]["list"], MARKS):
            mark |= {"titleFormat": title, "tagKeys": tag, "step": "30s"}
            if name == "Starts":
                mark["useValueForTime"] = "on"
        return document
