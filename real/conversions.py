"""Comparison of converted workflows with the prompts that the real editor made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from real.engine_log import RecordedRun
from real.jobs import RealJob


def conversion_differences(job: RealJob, run: RecordedRun) -> Iterator[str]:
    """Yield one line for each difference between the prompt that ran and the editor's prompt.

    Names of input files and random numbers may differ.
    """
    if not job.editor:
        return
    for node_id in sorted({*job.editor} ^ {*run.prompt}):  # in one of the prompts only
        owner = "the prompt that ran" if node_id in run.prompt else "the editor's prompt"
        yield f"node {node_id} is only in {owner}"
    for node_id in sorted({*job.editor} & {*run.prompt}):
        ours, theirs = run.prompt[node_id], job.editor[node_id]
        if ours["class_type"] != theirs["class_type"]:
            yield f"node {node_id}: the class is {ours['class_type']}, in the editor's prompt {theirs['class_type']}"
        yield from _inputs(job, node_id, ours["inputs"], theirs["inputs"])


def _inputs(job: RealJob, node_id: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each input of a node that differs, without file names and random numbers."""
    for name, value in theirs.items():
        may_differ = name in job.drawn or (isinstance(value, str) and value in job.inputs)
        if not may_differ and (name not in ours or ours[name] != value):
            yield f"node {node_id}: {name} is {ours.get(name)!r}, in the editor's prompt {value!r}"
