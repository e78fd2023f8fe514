"""The dashboard: its variables and its rows."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as models

from monitoring.panels import SOURCE
from monitoring.rows import ROWS
from worker.observers import metric_specs as specs

ALL = ".*"
"""Matches all values, also those of workers that are gone."""
WINDOWS = ("5m", "15m", "1h", "6h", "1d")
ALERTS = 'ALERTS{alertname=~"ComfyWorker.*", alertstate="firing"}'


def text() -> str:
    """Return the dashboard as JSON."""
    return JSONEncoder(indent=2, ensure_ascii=False).encode(build()) + "\n"


def build() -> models.Dashboard:
    """Return the dashboard."""
    dashboard = (
        builders.Dashboard("comfy-worker: fleet")
        .uid("comfy-worker")
        .description("Workers that run ComfyUI. docs/monitoring.md explains the panels and the alerts.")
        .tags(["comfy-worker"])
        .refresh("1m")
        .time("now-6h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables([_data_source(), *_choices(), _window()])
        .annotation(_firing_alerts())
    )
    for title, panels in ROWS.items():
        dashboard.with_row(builders.Row(title))
        for panel in panels():
            dashboard.with_panel(panel)
    return _with_ids(dashboard.build())


def _data_source() -> builders.DatasourceVariable:
    """Return the variable for the Prometheus that scrapes the workers."""
    return builders.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _choices() -> list[builders.QueryVariable]:
    """Return the variables that choose workers and templates. Each offers what the ones before it leave."""
    info = specs.INFO.full_name
    jobs = f"{specs.JOB_DURATION.full_name}_count"
    chosen = 'job=~"$job", instance=~"$instance"'
    return [
        _choice("job", "Job", f"label_values({info}, job)", "The job of Prometheus that scrapes the workers."),
        _choice("instance", "Worker", f'label_values({info}{{job=~"$job"}}, instance)', "The address of the worker."),
        _choice(
            *("template", "Template", f"label_values({jobs}{{{chosen}}}, template)"),
            "The template of a job. Only the panels with the times of jobs use it.",
        ),
    ]


def _choice(name: str, label: str, query: str, description: str) -> builders.QueryVariable:
    """Return a variable with any number of the values that a query of Prometheus returns."""
    return (
        builders.QueryVariable(name)
        .label(label)
        .description(description)
        .query(query)
        .definition(query)
        .datasource(SOURCE)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(ALL)
        .current(models.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def _window() -> builders.IntervalVariable:
    """Return the variable for the time over which rates and quantiles are computed."""
    options = [models.VariableOption(window == WINDOWS[0], window, window) for window in WINDOWS]
    return (
        builders.IntervalVariable("window")
        .label("Window")
        .description(
            "Rates and quantiles are of this time before each point. Choose a longer one if there are few jobs."
        )
        .values(",".join(WINDOWS))
        .options(options)
        .current(options[0])
    )


def _firing_alerts() -> builders.AnnotationQuery:
    """Return marks in the graphs for the times in which an alert of monitoring/prometheus/alerts.yml fires."""
    return (
        builders.AnnotationQuery()
        .name("Alerts")
        .datasource(SOURCE)
        .enable(True)
        .icon_color("red")
        .expr(ALERTS)
        .title_format("{{alertname}}")
        .text_format("{{instance}}")
        .step("60s")
    )


def _with_ids(dashboard: models.Dashboard) -> models.Dashboard:
    """Return the dashboard with an id for each panel, by which Grafana links to it."""
    for number, panel in enumerate(dashboard.panels or [], 1):
        panel.id_val = number
    return dashboard
