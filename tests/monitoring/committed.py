"""The committed dashboard and alert rules, and the metrics that their PromQL names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from worker.observers.metric_specs import LIVE, RECORDED, MetricSpec, MetricType

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "monitoring" / "grafana" / "comfy-worker.json"
RULES = ROOT / "monitoring" / "prometheus" / "alerts.yml"
RULE_TESTS = ROOT / "monitoring" / "prometheus" / "alerts.test.yml"

SERIES = {
    name: spec
    for spec in (*RECORDED, *LIVE)
    for name in (
        [spec.full_name + suffix for suffix in ("_bucket", "_sum", "_count")]
        if spec.type is MetricType.HISTOGRAM
        else [spec.full_name]
    )
}
"""Specifications of the metrics, by the names that their series have in Prometheus."""
OF_PROMETHEUS = {"job", "instance", "le"}
"""Labels that Prometheus adds."""


@dataclass(frozen=True, slots=True)
class PanelQuery:
    """One query of a panel, with the row and the title of its panel."""

    row: str
    panel: str
    expression: str
    legend: str

    def __str__(self) -> str:
        return f"{self.panel}: {self.legend}"


def dashboard() -> dict[str, Any]:
    """Return the committed dashboard."""
    return json.loads(DASHBOARD.read_text("utf-8"))


def panels() -> list[dict[str, Any]]:
    """Return the panels that show something, with the title of their row as `row`."""
    found, row = [], ""
    for panel in dashboard()["panels"]:
        if panel["type"] == "row":
            row = panel["title"]
        else:
            found.append({**panel, "row": row})
    return found


def queries() -> list[PanelQuery]:
    """Return the queries of all panels."""
    return [
        PanelQuery(panel["row"], panel["title"], target["expr"], target["legendFormat"])
        for panel in panels()
        for target in panel["targets"]
    ]


def alerts() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def series_of(expression: str) -> Iterator[tuple[str, MetricSpec | None, str]]:
    """Yield each series that an expression names: its name, its specification if there is one, and its matchers."""
    for name, matchers in re.findall(r"\b(comfy_worker_\w+)(?:\{([^}]*)\})?", expression):
        yield name, SERIES.get(name), matchers


def unknown_names(expression: str) -> list[str]:
    """Return the series and labels that an expression names and that the worker does not have."""
    problems = []
    for name, spec, matchers in series_of(expression):
        if spec is None:
            problems.append(name)
        else:
            labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers)))
            problems += [f"{name}{{{label}}}" for label in labels - {*spec.labels, *OF_PROMETHEUS}]
    return problems
