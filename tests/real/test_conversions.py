"""Workflows as the editor saves them, held against the prompts that the real editor made of them."""

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
    """The classes of the suite, as a real ComfyUI lists them."""
    return Catalog.from_object_info(orjson.loads(recordings.catalog(DATA)))


@pytest.mark.parametrize("title", JOBS)
def test_the_editors_prompt(title: str, catalog: Catalog) -> None:
    """Each is converted to the nodes, values and links that the editor sends."""
    job = JOBS[title]
    prompt: dict[str, Any] = dict(convert(job.workflow, catalog).prompt)
    assert list(conversion_differences(job, RecordedRun(prompt, []))) == []


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ({"1": {"class_type": "A", "inputs": {"x": 1}}}, "node 2 is only in that of the editor"),
        ({"1": {"class_type": "B", "inputs": {"x": 1}}}, "node 1 is a B, the editor's a A"),
        ({"1": {"class_type": "A", "inputs": {"x": 2}}}, "node 1: x is 2, the editor's 1"),
        ({"1": {"class_type": "A", "inputs": {}}}, "node 1: x is None, the editor's 1"),
        ({"3": {"class_type": "A", "inputs": {}}}, "node 3 is only in the prompt that ran"),
    ],
)
def test_another_prompt_than_the_editors(prompt: Mapping[str, Any], sentence: str) -> None:
    """Each difference is a sentence, but for files and numbers that are the job's own."""
    editor = {
        "1": {"class_type": "A", "inputs": {"x": 1}},
        "2": {"class_type": "C", "inputs": {"f": "a.png", "seed": 7}},
    }
    job = RealJob("pack", "job", {"nodes": []}, [], inputs={"a.png": "picture"}, editor=editor, drawn=["seed"])
    assert sentence in list(conversion_differences(job, RecordedRun(dict(prompt), [])))
    own = {**editor, "2": {"class_type": "C", "inputs": {"f": "other.png", "seed": 8}}}
    assert list(conversion_differences(job, RecordedRun(own, []))) == []
