"""A real Prometheus scrapes a worker while it runs jobs, and answers every query of the dashboard and the alerts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from tests.monitoring.committed import RULES, alerts, dashboard, queries, series_of
from tests.monitoring.played_run import played_run
from tests.monitoring.prometheus_server import TOKEN, PrometheusServer, prometheus, run
from tests.monitoring.rendered_page import RENDERED, rendered_page

pytestmark = [
    pytest.mark.tools("prometheus", "promtool"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),  # of which the first test needs most, to start everything
]


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
            await server.scraped(played.instance, page)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with played.http.get(f"http://{played.instance}/metrics", headers=headers) as answer:
            yield Scraped(server, played.instance, await answer.read())


async def test_every_panel_has_data(scraped: Scraped) -> None:
    """Every query of a panel returns numbers for the worker, or for the rendered page if only that has its series."""
    without, names = [], Counter[tuple[str, str]]()
    for query in queries():
        rendered = any(spec in RENDERED for _, spec, _ in series_of(query.expression))
        expression = scraped.substituted(query.expression, ".*" if rendered else scraped.worker)
        result = await scraped.prometheus.query(expression)
        if not any(one["value"][1] not in ("NaN", "+Inf") for one in result):
            without.append((str(query), expression, result))
        names.update((query.panel, named(query.legend, one["metric"])) for one in result)
    assert without == []
    assert [name for name, times in names.items() if times > 1] == [], "two series of a panel have one name"


def named(legend: str, labels: dict[str, str]) -> str:
    """Return the name of a series in the legend, as Grafana makes it."""
    return re.sub(r"{{(\w+)}}", lambda match: labels.get(match[1], ""), legend)


async def test_every_variable_has_values(scraped: Scraped) -> None:
    """The queries of the variables return the job, the worker and the templates of its jobs."""
    expected = {"job": {"comfy-worker"}, "instance": {scraped.worker}, "template": {"smoke-resize", "other"}}
    for variable in dashboard()["templating"]["list"]:
        match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
        if match:
            result = await scraped.prometheus.query(scraped.substituted(match[1], scraped.worker))
            assert expected.pop(variable["name"]) <= {one["metric"].get(match[2]) for one in result}
    assert not expected


async def test_every_alert_has_its_series(scraped: Scraped) -> None:
    """Prometheus evaluates each rule without an error, and every series that a rule names was scraped."""
    for rule in alerts():
        await scraped.prometheus.query(rule["expr"])
        for name, _, _ in series_of(rule["expr"]):
            assert await scraped.prometheus.query(name), (rule["alert"], name)


async def test_prometheus_has_loaded_the_rules(scraped: Scraped) -> None:
    """Prometheus evaluates the file, and the alerts that need no time fire for the rendered page and not the worker."""
    await scraped.prometheus.until('ALERTS{alertname="ComfyWorkerTaskFails"}')
    groups = (await scraped.prometheus.get("rules"))["groups"]
    loaded = {rule["name"]: rule for group in groups for rule in group["rules"]}
    assert loaded.keys() == {rule["alert"] for rule in alerts()}
    assert {rule["health"] for rule in loaded.values()} == {"ok"}, loaded
    firing = {
        (one["metric"]["alertname"], one["metric"].get("instance") == scraped.worker)
        for one in await scraped.prometheus.query('ALERTS{alertstate="firing"}')
    }
    assert firing == {("ComfyWorkerTaskFails", False), ("ComfyWorkerJournalSetAside", False)}


async def test_the_linter_has_nothing_to_say(scraped: Scraped) -> None:
    """`promtool check metrics` reports no problem on the page of the worker."""
    assert await run("promtool", "check", "metrics", stdin=scraped.page) == (0, "")
