"""Tables of the docs agree with the code, and links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, headings_of
from tests.test_errors import tree
from worker.api.server import ROUTES
from worker.errors import WorkerError
from worker.job import JobState
from worker.observers.metric_specs import LIVE, RECORDED, MetricSpec
from worker.proxy.metrics.specs import PROXY_LIVE, PROXY_RECORDED

HTTP = (ROOT / "docs" / "http.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
METRIC_SPECS = (*RECORDED, *LIVE, *PROXY_RECORDED, *PROXY_LIVE)
METRICS = (ROOT / "docs" / "metrics.md").read_text("utf-8")


@pytest.mark.parametrize("kind", list(tree(WorkerError)), ids=lambda kind: kind.__name__)
def test_every_error_code_is_documented_beside_its_status(kind: type[WorkerError]) -> None:
    """A row of the status has the code."""
    if kind.__name__ == "ClientError":
        return
    rows = [line for line in HTTP.splitlines() if line.startswith("|") and str(kind.status) in line.split("|")[1]]
    assert any(f"`{kind.code}`" in row for row in rows), f"{kind.code} is not in the row of {kind.status}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_readme(route: object) -> None:
    """The table of routes is complete."""
    path = route.path  # type: ignore[attr-defined]
    assert path in README


@pytest.mark.parametrize("spec", METRIC_SPECS, ids=lambda spec: spec.name)
def test_every_metric_is_documented(spec: MetricSpec) -> None:
    """The table of metrics has the name, the type, the labels and the meaning that the code gives."""
    labels = ", ".join(f"`{label}`" for label in spec.labels)
    assert f"| `{spec.full_name}` | {spec.type} | {labels} | {spec.help} |" in METRICS.splitlines()


def test_no_metric_of_the_page_is_made_up() -> None:
    """Whatever the page names, in its table or in its examples, is there."""
    names = {spec.full_name for spec in METRIC_SPECS}
    for name in re.findall(r"\bcomfy_worker_\w+", METRICS):
        assert name in names or re.sub(r"_(bucket|sum|count)$", "", name) in names, name


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.QUEUED])
def test_every_state_is_documented(state: JobState) -> None:
    """Clients switch on states."""
    assert f"`{state.value}`" in HTTP


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that exists, and a heading of it where it has an anchor."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in headings_of(linked), f"{page.name} links to {target}, which has no such heading"


def test_the_index_lists_every_page() -> None:
    """docs/README.md links to each page of docs/."""
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        if page.name not in ("README.md", "workflows.in.md"):
            assert f"({page.name}" in index, f"the index lacks {page.name}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_named_tests_exist(page: Path) -> None:
    """A test that a page names as a guard is there."""
    for path, name in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", page.read_text("utf-8")):
        file = ROOT / path
        assert file.exists(), f"{page.name} names {path}"
        assert not name or f"def {name}(" in file.read_text("utf-8"), f"{page.name} names {path}::{name}"
