"""docs/ci.md tells of everything that has to be set up."""

from __future__ import annotations

import re

import pytest

from tests.ci.workflows import ROOT, TEXTS, WORKFLOWS, jobs

DOCS = (ROOT / "docs" / "ci.md").read_text("utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_has_its_row(name: str) -> None:
    """What it does and when."""
    assert f"| `{name}.yml` |" in DOCS


def test_every_name_that_has_to_be_set_up_is_told() -> None:
    """Environments, secrets and variables."""
    text = "".join(TEXTS.values())
    names = set(re.findall(r"\b(?:secrets|vars)\.(\w+)", text)) | {job.body.get("environment") for job in jobs()}
    assert {"VAST_API_KEY", "DEPLOY", "plan", "production"} == names - {None}
    assert all(f"`{name}`" in DOCS for name in names - {None})


def test_every_required_check_is_a_job() -> None:
    """A check that no job reports is waited for for ever."""
    _, _, rule = DOCS.partition("required checks ")
    required = {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", rule.partition(". So")[0])}
    found: set[str] = set()
    for job in jobs():
        pythons = job.body.get("strategy", {}).get("matrix", {}).get("python", [""])
        found |= {str(job.body.get("name")).replace("${{ matrix.python }}", one) for one in pythons}
    assert len(required) == 4
    assert required <= found
