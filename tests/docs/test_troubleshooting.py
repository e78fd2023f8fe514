"""`docs/troubleshooting.md` has an entry for each error code, with the status that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tests.docs.pages import ROOT
from worker.errors import DeployError, WorkerError
from worker.outputs import problems

PAGE = (ROOT / "docs" / "troubleshooting.md").read_text("utf-8")
ENTRIES = dict(re.findall(r"^#### `(\w+)`\n(.+?)(?=\n\n|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def classes(root: type[Any]) -> Iterator[type[Any]]:
    """Yield the classes of an error tree, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def test_each_error_code_has_an_entry_with_its_status() -> None:
    """The page lists every code that a response can have, and begins the entry with the HTTP status."""
    codes = {kind.code: kind.status for kind in classes(WorkerError) if kind.__module__.startswith("worker.")}
    for code, status in codes.items():
        assert code in ENTRIES, f"{code} has no entry"
        assert ENTRIES[code].startswith(f"**{status}"), f"the entry of {code} does not begin with {status}"


def test_each_deployment_code_has_an_entry() -> None:
    """The page lists every code that `comfy-worker deploy` prints."""
    assert {kind.code for kind in classes(DeployError)} <= ENTRIES.keys()


def test_each_problem_of_a_completed_job_has_an_entry() -> None:
    """The page lists every code that `problems` of a response can have."""
    codes = {
        code for code in vars(problems).values() if isinstance(code, str) and re.fullmatch(r"[a-z]+(_[a-z]+)+", code)
    }
    assert {"no_outputs"} <= codes <= ENTRIES.keys()


def test_each_entry_is_of_a_code() -> None:
    """No entry is left of a code that was removed."""
    known = {kind.code for kind in (*classes(WorkerError), *classes(DeployError))}
    assert ENTRIES.keys() - known == {"model_not_delivered", "output_not_seen", "no_outputs"}
