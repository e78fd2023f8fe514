"""Converted workflows: what ran is held against the prompt that the real editor made of the same file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from real.engine_log import RecordedRun
from real.jobs import RealJob


def conversion_differences(job: RealJob, run: RecordedRun) -> Iterator[str]:
    """Tell where the prompt that ran is not the editor's. Names of input files and drawn numbers may differ."""
    if not job.editor:
        return
    for node_id in sorted({*job.editor} ^ {*run.prompt}):
        yield f"node {node_id} is only in {'the prompt that ran' if node_id in run.prompt else 'that of the editor'}"
    for node_id in sorted({*job.editor} & {*run.prompt}):
        ours, theirs = run.prompt[node_id], job.editor[node_id]
        if ours["class_type"] != theirs["class_type"]:
            yield f"node {node_id} is a {ours['class_type']}, the editor's a {theirs['class_type']}"
        yield from _inputs(job, node_id, ours["inputs"], theirs["inputs"])


def _inputs(job: RealJob, node_id: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name, value in theirs.items():
        may_differ = name in job.drawn or (isinstance(value, str) and value in job.inputs)
        if not may_differ and (name not in ours or ours[name] != value):
            yield f"node {node_id}: {name} is {ours.get(name)!r}, the editor's {value!r}"
