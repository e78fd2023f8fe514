"""The embedded engine beside the real one: the same bodies, and what each log has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from real.engine_log import RecordedRun
from real.passes import JobResult

Shapes = Mapping[str, Mapping[str, Sequence[str]]]
"""Node -> key -> the kind of each thing reported under it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What came of one job. Names and texts are left out: they are each engine's own.

    So is the order of independent branches: in ComfyUI it follows from a set of strings, other at each start.
    """

    outputs: Sequence[Sequence[str]]
    """Node and kind of each output that the worker delivered."""
    executed: Sequence[str]
    cached: Sequence[str]
    reported: Shapes
    end: str
    """The event that ended it; empty where the worker refused the request."""

    @classmethod
    def of(cls, result: JobResult) -> Recording:
        run = result.log.runs[0] if result.log.runs else RecordedRun({})
        outputs = sorted([node, kind] for node, kind in result.outputs)
        return cls(outputs, sorted(run.executed), sorted(run.cached), shapes(run), run.end)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def divergences(real: Recording, twin: Recording) -> Iterator[str]:
    """What the embedded engine reported, delivered, ran or refused otherwise, a sentence each."""
    if real.outputs != twin.outputs:
        yield f"delivers {_shown(twin.outputs)} instead of {_shown(real.outputs)}"
    pairs = (
        ("executes", twin.executed, real.executed),
        ("answers from the cache", twin.cached, real.cached),
        ("reports", twin.reported, real.reported),
        ("ends with", twin.end, real.end),
    )
    for what, mine, due in pairs:
        if mine != due:
            yield f"{what} {mine or 'nothing'} instead of {due or 'nothing'}"


def shapes(run: RecordedRun) -> Shapes:
    """The kinds of what each node of a run reported."""
    reported = dict(sorted(run.reported, key=lambda item: item[0]))
    return {node: {key: _kinds(value) for key, value in sorted(output.items())} for node, output in reported.items()}


def _kinds(value: object) -> list[str]:
    if not isinstance(value, list):
        return [type(value).__name__]
    if len(value) > 1 and all(isinstance(item, str) and len(item) == 1 for item in value):
        return ["letters"]
    return [_kind(item) for item in value]


def _kind(item: object) -> str:
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
        return f"{item.get('type')} {PurePosixPath(item['filename']).suffix}"
    return type(item).__name__


def _shown(outputs: Sequence[Sequence[str]]) -> str:
    counted = Counter((node, kind) for node, kind in outputs)
    return ", ".join(f"{count} {kind} of node {node}" for (node, kind), count in sorted(counted.items())) or "nothing"
