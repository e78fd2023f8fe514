"""The workflows that ship with the project."""

from __future__ import annotations

import json

import pytest

from tests.cli.terminal import WORKFLOWS
from worker.load.workload import workload
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import title
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.validate import validate

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.json"))


def prompt(name: str) -> dict:
    return json.loads((WORKFLOWS / f"{name}.json").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_workflow_is_valid(name: str) -> None:
    """ComfyUI 0.33.0 with the node packs accepts every node of a shipped workflow."""
    verdict = validate(prompt(name), Catalog.bundled(), AssumeFiles())
    assert (verdict.status, verdict.error, verdict.node_errors) == (200, None, {})


@pytest.mark.parametrize("name", NAMES)
def test_titles_in_a_shipped_workflow_are_unique(name: str) -> None:
    """Each node has its own title, so that `--set TITLE.INPUT=VALUE` can set it."""
    nodes = prompt(name)
    titles = {title(nodes, node_id) for node_id in nodes}
    assert len(titles) == len(nodes)
    assert not titles & {node["class_type"] for node in nodes.values()}


def test_the_sampler_of_res4lyf_is_as_much_work_as_comfyuis_own() -> None:
    """512x512 with 20 steps has the same workload with both samplers, and takes an RTX 4090 about a second."""
    nodes = prompt("sd15-res4lyf")
    assert {"ClownsharKSampler_Beta", "Sigmas Rescale"} <= {node["class_type"] for node in nodes.values()}
    assert workload(nodes) == pytest.approx(workload(prompt("sd15")), rel=0.15)
    assert 0.3 < workload(nodes) < 1.2
