"""The two kinds of panels of the dashboard: a graph over time, and one number.

The description of a panel says what it shows and what an engineer on call does about it.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as dashboard_builders
from grafana_foundation_sdk.builders import prometheus, stat, timeseries
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import Threshold

SOURCE = common.DataSourceRef(type_val="prometheus", uid="${datasource}")
GRID = 24
"""Columns of the dashboard."""
GRAPH_WIDTH, GRAPH_HEIGHT = 8, 8
NUMBER_WIDTH, NUMBER_HEIGHT = 3, 4
GREEN, YELLOW, RED = "green", "yellow", "red"

Panel = timeseries.Panel | stat.Panel
Limits = dashboard_builders.ThresholdsConfig


def query(expression: str, legend: str) -> prometheus.Dataquery:
    """Return a query over time. `legend` can contain labels: `{{state}}`."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).range().datasource(SOURCE)


def above(warning: float, critical: float) -> Limits:
    """Return thresholds of a value that should stay low."""
    return _thresholds(Threshold(None, GREEN), Threshold(warning, YELLOW), Threshold(critical, RED))


def below(warning: float, critical: float) -> Limits:
    """Return thresholds of a value that should stay high."""
    return _thresholds(Threshold(None, RED), Threshold(critical, YELLOW), Threshold(warning, GREEN))


def graph(
    title: str, description: str, unit: str, *queries: prometheus.Dataquery, limits: Limits | None = None
) -> timeseries.Panel:
    """Return a graph over time, with a table of its series below it and a line for each threshold."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .min(0)
        .span(GRAPH_WIDTH)
        .height(GRAPH_HEIGHT)
        .datasource(SOURCE)
        .targets(list(_numbered(queries)))
        .fill_opacity(10)
        .show_points(common.VisibilityMode.AUTO)
        .span_nulls(True)
        .legend(_legend())
        .tooltip(common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI))
    )
    if limits:
        style = common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        panel.thresholds(limits).thresholds_style(style)
    return panel


def stacked(panel: timeseries.Panel) -> timeseries.Panel:
    """Return the graph with its series on top of each other, so that the upper edge is their sum."""
    return panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL)).fill_opacity(40)


def number(title: str, description: str, unit: str, expression: str, limits: Limits | None = None) -> stat.Panel:
    """Return the latest value of a query as a number, coloured by its thresholds, before a small graph."""
    return (
        stat.Panel()
        .title(title)
        .description(description)
        .unit(unit)
        .span(NUMBER_WIDTH)
        .height(NUMBER_HEIGHT)
        .datasource(SOURCE)
        .targets(list(_numbered((query(expression, title),))))
        .reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]))
        .color_mode(common.BigValueColorMode.VALUE)
        .graph_mode(common.BigValueGraphMode.AREA)
        .no_value("–")
        .thresholds(limits or _thresholds(Threshold(None, GREEN)))
    )


def _thresholds(*steps: Threshold) -> Limits:
    """Return thresholds. The first step has no value, because it applies below the second one."""
    return Limits().steps(list(steps))


def _legend() -> common_builders.VizLegendOptions:
    """Return a legend with the latest and the highest value of each series."""
    return (
        common_builders.VizLegendOptions()
        .show_legend(True)
        .display_mode(common.LegendDisplayMode.TABLE)
        .placement(common.LegendPlacement.BOTTOM)
        .calcs(["lastNotNull", "max"])
        .sort_by("Last *")
        .sort_desc(True)
    )


def _numbered(queries: tuple[prometheus.Dataquery, ...]) -> list[prometheus.Dataquery]:
    """Return the queries with the letters that Grafana identifies them by."""
    return [one.ref_id(chr(ord("A") + number)) for number, one in enumerate(queries)]
