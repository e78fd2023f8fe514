"""The comparison of converted workflows with the prompts of the real editor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from real import recordings
from real.conversions import conversion_differences
from real.engine_log import RecordedRun
from real.jobs import RealJob, read_packs
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert

JOBS = {job.title: job for pack in read_packs() for job in pack.jobs if job.editor}
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """Return the recorded catalog of a real ComfyUI with the packs of the suite."""
    return Catalog.from_object_info(orjson.loads(recordings.catalog(DATA)))


@pytest.mark.parametrize("title", JOBS)
def test_workflows_are_converted_to_the_editors_prompt(title: str, catalog: Catalog) -> None:
    """Each workflow is converted to the prompt of the real editor."""
    job = JOBS[title]
    prompt: dict[str, Any] = dict(convert(job.workflow, catalog).prompt)
    assert list(conversion_differences(job, RecordedRun(prompt, []))) == []


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ({"1": {"class_type": "A", "inputs": {"x": 1}}}, "node 2 is only in the editor's prompt"),
        ({"1": {"class_type": "B", "inputs": {"x": 1}}}, "node 1: the class is B, in the editor's prompt A"),
        ({"1": {"class_type": "A", "inputs": {"x": 2}}}, "node 1: x is 2, in the editor's prompt 1"),
        ({"1": {"class_type": "A", "inputs": {}}}, "node 1: x is None, in the editor's prompt 1"),
        ({"3": {"class_type": "A", "inputs": {}}}, "node 3 is only in the prompt that ran"),
    ],
)
def test_differences_from_the_editors_prompt(prompt: Mapping[str, Any], sentence: str) -> None:
    """Each difference is one line. Names of input files and random numbers may differ."""
    editor = {
        "1": {"class_type": "A", "inputs": {"x": 1}},
        "2": {"class_type": "C", "inputs": {"f": "a.png", "seed": 7}},
    }
    job = RealJob("pack", "job", {"nodes": []}, [], inputs={"a.png": "picture"}, editor=editor, drawn=["seed"])
    assert sentence in list(conversion_differences(job, RecordedRun(dict(prompt), [])))
    own = {**editor, "2": {"class_type": "C", "inputs": {"f": "other.png", "seed": 8}}}
    assert list(conversion_differences(job, RecordedRun(own, []))) == []
