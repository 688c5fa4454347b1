"""Panels: what they show, in which unit, beside which thresholds of the catalogue.

Expressions name by a word what every selector carries: `@all` is cluster, job and instance of the variables; `@stage` is that and the
stage; `@group` is cluster and job with consumer group and topic, `@topic` the same without the group; `@job` is cluster and job, for what
rules record without an instance.
"""

import re
import tomllib
import zlib
from pathlib import Path

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_kinds
from grafana_foundation_sdk.models import prometheus as queries

CATALOGUE = tomllib.loads((Path(__file__).resolve().parent.parent / "catalogue.toml").read_text())
DATA = models.DataSourceRef(type_val="prometheus", uid="$datasource")

JOB = 'cluster=~"$cluster",job=~"$job"'
ALL = f'{JOB},instance=~"$instance"'
WORDS = {
    "@all": ALL,
    "@stage": f'{ALL},stage=~"$stage"',
    "@group": f'{ALL},consumergroup=~"$group",topic=~"$topic"',
    "@topic": f'{ALL},topic=~"$topic"',
    "@recorded": f'{JOB},consumergroup=~"$group",topic=~"$topic"',
    "@job": JOB,
}
GOOD, WARNING, CRITICAL = "green", "orange", "red"


def spelled(expression):
    """`expression` with its words replaced by matchers."""
    return re.sub(r"@\w+", lambda match: WORDS[match.group(0)], expression)


def q(expression, legend="", instant=False, shape=queries.PromQueryFormat.TIME_SERIES):
    """A query: its expression and how its series are called."""
    query = prometheus.Dataquery().expr(spelled(expression)).legend_format(legend).format(shape).datasource(DATA)
    return query.instant() if instant else query.range()


def limits(warning=None, critical=None, least=False):
    """Colours at thresholds of the catalogue, by name. `least`: what is under them is bad, not what is over."""
    steps = [(CATALOGUE["thresholds"][limit], colour) for limit, colour in ((warning, WARNING), (critical, CRITICAL)) if limit is not None]
    if least:
        # Under the critical one red, under the other orange: a step tells what holds from it on.
        steps.sort()
        colours = [colour for _, colour in steps] + [GOOD]
        values = [None] + [value for value, _ in steps]
        return list(zip(values, colours))
    return [(None, GOOD)] + sorted(steps)


def coloured(panel, steps):
    made = dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE)
    return panel.thresholds(made.steps([models.Threshold(value=value, color=colour) for value, colour in steps]))


def named(panel, title, description, unit, span, height, asked):
    """What all panels have. The id follows from the title, so that links to a panel outlive others that come and go."""
    panel.id(zlib.crc32(title.encode()) % 100_000 + 1).title(title).description(description).unit(unit)
    panel.datasource(DATA).span(span).height(height)
    for place, query in enumerate(asked):
        panel.with_target(query.ref_id(chr(ord("A") + place)))
    return panel


def lines(title, description, unit, *asked, span=8, height=8, steps=None, lowest=0, highest=None, log=False):
    """Series over time. With `steps`, their thresholds are drawn as lines."""
    panel = named(timeseries.Panel(), title, description, unit, span, height, asked)
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM).show_legend(True)
    panel.legend(legend).tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    panel.line_width(1).fill_opacity(8).show_points(kinds.VisibilityMode.NEVER)
    if lowest is not None:
        panel.min(lowest)
    if highest is not None:
        panel.max(highest)
    if log:
        panel.scale_distribution(common.ScaleDistributionConfig().type(kinds.ScaleDistribution.LOG).log(10))
    if steps:
        coloured(panel, steps).thresholds_style(common.GraphThresholdsStyleConfig().mode(kinds.GraphThresholdsStyleMode.DASHED))
    else:
        coloured(panel, [(None, GOOD)])
    return panel


def mapped(panel, meanings):
    """Codes told as words: value → (text, colour)."""
    options = {str(value): models.ValueMappingResult(text=text, color=colour) for value, (text, colour) in meanings.items()}
    return panel.mappings([models.ValueMap(options=options)])


def tile(title, description, unit, *asked, span=4, height=4, steps=None, nothing=None, meanings=None, decimals=None, plain=False):
    """The newest value, large. `nothing` is what is said where there is no series; `plain`: no sparkline."""
    panel = named(stat.Panel(), title, description, unit, span, height, asked)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.graph_mode(kinds.BigValueGraphMode.NONE if plain else kinds.BigValueGraphMode.AREA)
    panel.color_mode(kinds.BigValueColorMode.VALUE)
    if nothing is not None:
        panel.no_value(nothing)
    if decimals is not None:
        panel.decimals(decimals)
    if meanings:
        mapped(panel, meanings)
    return coloured(panel, steps or [(None, GOOD)])


def bars(title, description, unit, *asked, span=8, height=8, steps=None):
    """One bar for each series, with its newest value."""
    panel = named(bargauge.Panel(), title, description, unit, span, height, asked).min(0)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).orientation(kinds.VizOrientation.HORIZONTAL)
    panel.display_mode(kinds.BarGaugeDisplayMode.BASIC)
    return coloured(panel, steps or [(None, "blue")])


def states(title, description, *asked, meanings, span=24, height=8):
    """Codes over time, as bands of colour."""
    panel = named(statetimeline.Panel(), title, description, "short", span, height, asked)
    panel.show_value(kinds.VisibilityMode.AUTO).merge_values(True).row_height(0.8).line_width(0).fill_opacity(80)
    return mapped(coloured(panel, [(None, "gray")]), meanings)


def heat(title, description, unit, expression, span=12, height=8):
    """How a distribution moves: the buckets of a histogram over time."""
    query = q(expression, "{{le}}", shape=queries.PromQueryFormat.HEATMAP)
    panel = named(heatmap.Panel(), title, description, "short", span, height, [query])
    panel.calculate(False).cell_gap(1).y_axis(heatmap.YAxisConfig().unit(unit).axis_placement(kinds.AxisPlacement.LEFT))
    colour = heatmap.HeatmapColorOptions().mode(heatmap_kinds.HeatmapColorMode.SCHEME).scheme("Blues").steps(64)
    return panel.color(colour).show_legend().mode(kinds.TooltipDisplayMode.SINGLE)


def cells(title, description, unit, columns, span=12, height=8, steps=None):
    """A table: each column is the newest value of one expression, rows are what their labels share. `columns`: heading → expression;
    one headed `-` gives its labels only."""
    asked = [q(expression, heading, True, queries.PromQueryFormat.TABLE) for heading, expression in columns.items()]
    panel = named(table.Panel(), title, description, unit, span, height, asked)
    letters = [chr(ord("A") + place) for place in range(len(columns))]
    renamed = {f"Value #{letter}": heading for letter, heading in zip(letters, columns) if heading != "-"}
    if len(columns) == 1:
        renamed = {"Value": next(iter(columns))}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    hidden = {"Time": True, "__name__": True, "job": True, "cluster": True}
    hidden |= {f"Value #{letter}": True for letter, heading in zip(letters, columns) if heading == "-"}
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden, "renameByName": renamed}))
    return coloured(panel, steps or [(None, "text")])


def in_unit(panel, heading, unit, decimals=None):
    """A column of a table in a unit of its own."""
    properties = [models.DynamicConfigValue(id_val="unit", value=unit)]
    if decimals is not None:
        properties.append(models.DynamicConfigValue(id_val="decimals", value=decimals))
    return panel.override_by_name(heading, properties)


def quantiles(metric, matchers, by="", shares=(0.5, 0.95, 0.99)):
    """Quantiles of a histogram, over all series or by a label."""
    grouped = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    rate = f"sum by ({grouped}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval]))"
    return [q(f"histogram_quantile({share}, {rate})", f"p{share * 100:g}{legend}") for share in shares]
