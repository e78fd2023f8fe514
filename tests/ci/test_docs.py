"""docs/ci.md agrees with the workflows."""

from __future__ import annotations

import re

import pytest

from tests.ci.workflows import ROOT, TEXTS, WORKFLOWS, jobs

DOCS = (ROOT / "docs" / "ci.md").read_text("utf-8")


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_workflow_has_its_row(name: str) -> None:
    """Every workflow has a row."""
    assert f"| `{name}.yml` |" in DOCS


def test_every_name_that_has_to_be_set_up_is_told() -> None:
    """Every environment, secret and variable is named."""
    text = "".join(TEXTS.values())
    names = set(re.findall(r"\b(?:secrets|vars)\.(\w+)", text)) | {job.body.get("environment") for job in jobs()}
    assert {"VAST_API_KEY", "DEPLOY", "plan", "production"} == names - {None}
    assert all(f"`{name}`" in DOCS for name in names - {None})


def test_every_required_check_is_a_job() -> None:
    """Every required check is the name of a job."""
    _, _, rule = DOCS.partition("required checks ")
    required = {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", rule.partition(". So")[0])}
    found: set[str] = set()
    for job in jobs():
        pythons = job.body.get("strategy", {}).get("matrix", {}).get("python", [""])
        found |= {str(job.body.get("name")).replace("${{ matrix.python }}", one) for one in pythons}
    assert len(required) == 4
    assert required <= found
