"""A real Prometheus scrapes a worker while it runs jobs, and answers every query of the dashboard and the alerts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from tests.monitoring.committed import RULES, PanelQuery, alerts, dashboard, queries, series_of
from tests.monitoring.played_run import played_run
from tests.monitoring.prometheus_server import TOKEN, PrometheusServer, prometheus, run
from tests.monitoring.rendered_page import RENDERED, rendered_page

pytestmark = [
    pytest.mark.tools("prometheus", "promtool"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),  # of which the first test needs most, to start everything
]

QUERIES = queries()


@dataclass(frozen=True, slots=True)
class Scraped:
    """A Prometheus that has scraped a worker, and a rendered page."""

    prometheus: PrometheusServer
    worker: str
    page: bytes
    """The metrics page of the worker."""

    def substituted(self, expression: str, instance: str) -> str:
        """Return an expression of the dashboard with the values of its variables."""
        values = {"job": ".*", "instance": instance, "template": ".*", "window": "5m"}
        return re.sub(r"\$(\w+)", lambda match: values[match[1]], expression)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    """Play two rounds of requests, with a scrape after each, because rates need two."""
    folder = tmp_path_factory.mktemp("played")
    async with (
        played_run(folder) as played,
        rendered_page() as page,
        prometheus(folder, [played.instance, page], RULES) as server,
    ):
        for number in (1, 2):
            await played.play(number)
            await server.scraped(played.instance)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with played.http.get(f"http://{played.instance}/metrics", headers=headers) as answer:
            yield Scraped(server, played.instance, await answer.read())


@pytest.mark.parametrize("query", QUERIES, ids=str)
async def test_a_panel_has_data(scraped: Scraped, query: PanelQuery) -> None:
    """The query of a panel returns numbers for the worker that was played, or for the rendered page."""
    rendered = any(spec in RENDERED for _, spec, _ in series_of(query.expression))
    result = await scraped.prometheus.query(scraped.substituted(query.expression, ".*" if rendered else scraped.worker))
    assert [one for one in result if one["value"][1] not in ("NaN", "+Inf")], (query.expression, result)


@pytest.mark.parametrize("variable", dashboard()["templating"]["list"][1:4], ids=lambda variable: variable["name"])
async def test_a_variable_has_values(scraped: Scraped, variable: dict[str, Any]) -> None:
    """The query of a variable names series that have its label."""
    match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
    assert match, variable["query"]
    labelled = scraped.substituted(match[1], scraped.worker)
    values = {one["metric"].get(match[2]) for one in await scraped.prometheus.query(labelled)}
    expected = {"job": {"comfy-worker"}, "instance": {scraped.worker}, "template": {"smoke-resize", "other"}}
    wanted = expected[variable["name"]]
    assert wanted <= values


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
async def test_an_alert_has_its_series(scraped: Scraped, rule: dict[str, Any]) -> None:
    """Prometheus evaluates the rule without an error, and every series that it names was scraped."""
    await scraped.prometheus.query(rule["expr"])
    for name, _, _ in series_of(rule["expr"]):
        assert await scraped.prometheus.query(name), name


async def test_prometheus_has_loaded_the_rules(scraped: Scraped) -> None:
    """Prometheus evaluates the file, and the alerts that need no time fire for the rendered page and not the worker."""
    await scraped.prometheus.until('ALERTS{alertname="ComfyWorkerTaskFails"}')
    groups = (await scraped.prometheus.get("rules"))["groups"]
    loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert loaded.keys() == {rule["alert"] for rule in alerts()}
    assert {rule["health"] for rule in loaded.values()} == {"ok"}, loaded
    firing = {
        (one["metric"]["alertname"], one["metric"]["instance"] == scraped.worker)
        for one in await scraped.prometheus.query('ALERTS{alertstate="firing"}')
    }
    assert firing == {("ComfyWorkerTaskFails", False), ("ComfyWorkerJournalSetAside", False)}


async def test_the_linter_has_nothing_to_say(scraped: Scraped) -> None:
    """`promtool check metrics` reports no problem on the page of the worker."""
    assert await run("promtool", "check", "metrics", stdin=scraped.page) == (0, "")
