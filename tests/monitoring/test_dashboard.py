"""The committed dashboard is what the script makes, has the types of Grafana's SDK, and names metrics that exist."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from monitoring.dashboard import text
from tests.monitoring.committed import DASHBOARD, PanelQuery, dashboard, panels, queries, series_of, unknown_names
from tests.monitoring.sdk_types import wrong_types
from tests.test_errors import tree
from worker.errors import WorkerError
from worker.observers.metric_specs import LIVE, RECORDED

UNITS = {value for value in vars(units).values() if isinstance(value, str)}
PANELS = panels()
QUERIES = queries()


def problems(document: dict[str, Any]) -> list[str]:
    """Return what the SDK does not know in a dashboard: fields, types of values, panels and queries."""
    register_default_plugins()
    decoded = Dashboard.from_json(copy.deepcopy(document))
    again = json.loads(JSONEncoder().encode(decoded))
    return [*wrong_types(decoded, Dashboard, "dashboard"), *differences(document, again, "dashboard")]


def differences(before: object, after: object, where: str) -> list[str]:
    """Return the paths at which two JSON values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = before.keys() | after.keys()
        return [one for name in names for one in differences(before.get(name), after.get(name), f"{where}.{name}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [one for number, pair in pairs for one in differences(*pair, f"{where}[{number}]")]
    return [] if before == after else [where]


def test_the_file_is_what_the_script_makes() -> None:
    """monitoring/grafana/comfy-worker.json is what `make docs` writes."""
    assert DASHBOARD.read_text("utf-8") == text(), "run `make docs`"


def test_the_file_has_the_types_of_the_sdk() -> None:
    """Every field of the file is known to the SDK and has the type that the SDK declares."""
    assert problems(dashboard()) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("refresh",), 60),
        (("tooltip",), True),
        (("templating", "list", 1, "multi"), "yes"),
        (("panels", 1, "gridPos", "w"), "wide"),
        (("panels", 1, "targets", 0, "expression"), "up"),
        (("panels", 1, "options", "colorMode"), "rainbow"),
        (("panels", 1, "fieldConfig", "defaults", "unit"), 1),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else repr(value),
)
def test_a_wrong_field_would_be_found(path: tuple[str | int, ...], value: object) -> None:
    """An unknown field and a value of a wrong type are found."""
    document: Any = dashboard()
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    assert problems(document), path


def test_panels_have_ids_and_do_not_overlap() -> None:
    """Every panel has its own id, and its own place within the 24 columns."""
    everything = dashboard()["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in everything)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    """Every panel has a description, a unit of Grafana, a legend for each query and the chosen data source."""
    assert len(panel["description"].split()) >= 10
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert [target["refId"] for target in panel["targets"]] == [*"ABCDEFGH"[: len(panel["targets"])]]
    assert all(target["legendFormat"] for target in panel["targets"])
    assert {one["datasource"]["uid"] for one in (panel, *panel["targets"])} == {"${datasource}"}


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_names_what_the_worker_has(query: PanelQuery) -> None:
    """The metrics and labels of a query are in metric_specs, and every series is filtered by the variables."""
    named = list(series_of(query.expression))
    assert named
    assert unknown_names(query.expression) == []
    assert all('job=~"$job", instance=~"$instance"' in matchers for _, _, matchers in named)
    labels = {"instance", *(label for _, spec, _ in named if spec for label in spec.labels)}
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= labels


@pytest.mark.parametrize(
    "expression",
    ["comfy_worker_jobs", "rate(comfy_worker_job_queue_seconds[5m])", 'comfy_worker_jobs_total{status="failed"}'],
)
def test_an_unknown_name_would_be_found(expression: str) -> None:
    """A metric, a series of a histogram and a label that do not exist are found."""
    assert unknown_names(expression)


def test_error_codes_exist() -> None:
    """Every error code in a query is one of the worker's."""
    known = {kind.code for kind in tree(WorkerError)}
    named = {
        code
        for query in QUERIES
        for codes in re.findall(r'code=~"([^"]+)"', query.expression)
        for code in codes.split("|")
    }
    assert named
    assert named <= known


NOT_SHOWN = {
    "comfy_worker_engine_sandbox": "a state that does not change while a worker runs",
    "comfy_worker_info": "the variables use it",
}


def test_every_metric_is_shown() -> None:
    """Every metric of the worker is in a panel, except those in NOT_SHOWN."""
    shown = {spec for query in QUERIES for _, spec, _ in series_of(query.expression)}
    assert {spec.full_name for spec in (*RECORDED, *LIVE) if spec not in shown} == NOT_SHOWN.keys()


def test_variables_name_what_the_worker_has() -> None:
    """The variables read metrics and labels that exist."""
    for variable in dashboard()["templating"]["list"]:
        assert unknown_names(str(variable.get("query"))) == []
    assert [variable["name"] for variable in dashboard()["templating"]["list"]] == [
        *("datasource", "job", "instance", "template", "window")
    ]
