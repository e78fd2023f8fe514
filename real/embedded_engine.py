"""Comparison of the embedded engine with a real ComfyUI, by their logs of the same requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from real.engine_log import RecordedRun
from real.passes import JobResult

Shapes = Mapping[str, Mapping[str, Sequence[str]]]
"""For each node and each key of its `ui` output, the kinds of the reported items."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The recorded behaviour of an engine for one job.

    File names and texts are left out, because they differ between engines. The order of independent branches is left
    out too, because in ComfyUI it depends on a set of strings, whose order is random.
    """

    outputs: Sequence[Sequence[str]]
    """Node and kind of each output that the worker delivered."""
    executed: Sequence[str]
    cached: Sequence[str]
    reported: Shapes
    end: str
    """The event that ended the prompt. Empty when the worker rejected the request."""

    @classmethod
    def of(cls, result: JobResult) -> Recording:
        """Return the recording of a result."""
        run = result.log.runs[0] if result.log.runs else RecordedRun({})
        outputs = sorted([node, kind] for node, kind in result.outputs)
        return cls(outputs, sorted(run.executed), sorted(run.cached), shapes(run), run.end)

    def as_dict(self) -> dict[str, Any]:
        """Return the recording as a JSON object."""
        return asdict(self)


def divergences(real: Recording, embedded: Recording) -> Iterator[str]:
    """Yield one line for each difference of the embedded engine from the real ComfyUI."""
    if real.outputs != embedded.outputs:
        yield f"delivers {_outputs_text(embedded.outputs)} instead of {_outputs_text(real.outputs)}"
    pairs = (
        ("executes", embedded.executed, real.executed),
        ("has cached", embedded.cached, real.cached),
        ("reports", embedded.reported, real.reported),
        ("ends with", embedded.end, real.end),
    )
    for verb, embedded_value, real_value in pairs:
        if embedded_value != real_value:
            yield f"{verb} {embedded_value or 'nothing'} instead of {real_value or 'nothing'}"


def shapes(run: RecordedRun) -> Shapes:
    """Return the kinds of the items that each node of a run reported."""
    reported = dict(sorted(run.reported, key=lambda item: item[0]))
    return {node: {key: _kinds(value) for key, value in sorted(output.items())} for node, output in reported.items()}


def _kinds(value: object) -> list[str]:
    """Return the kinds of a list's items. A string that ComfyUI split into characters counts as `letters`."""
    if not isinstance(value, list):
        return [type(value).__name__]
    if len(value) > 1 and all(isinstance(item, str) and len(item) == 1 for item in value):
        return ["letters"]
    return [_kind(item) for item in value]


def _kind(item: object) -> str:
    """Return the folder and suffix of a file, or the Python type of any other item."""
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
        return f"{item.get('type')} {PurePosixPath(item['filename']).suffix}"
    return type(item).__name__


def _outputs_text(outputs: Sequence[Sequence[str]]) -> str:
    """Return the number of outputs by node and kind as text."""
    counts = Counter((node, kind) for node, kind in outputs)
    return ", ".join(f"{count} {kind} of node {node}" for (node, kind), count in sorted(counts.items())) or "nothing"
