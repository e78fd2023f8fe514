"""The embedded engine beside the real one: the same bodies, and what each log has of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from real.engine_log import EngineLog, Run
from real.passes import JobResult


def divergences(real: JobResult, twin: JobResult) -> Iterator[str]:
    """What the embedded engine reported, delivered or ran otherwise, a sentence each.

    The order of independent branches is left out: in ComfyUI it follows from a set of strings, other at each start.
    """
    if Counter(real.outputs) != Counter(twin.outputs):
        yield f"delivers {_shown(twin.outputs)} instead of {_shown(real.outputs)}"
    ours, theirs = _first(twin.log), _first(real.log)
    if ours is None or theirs is None:
        if ours is not theirs:
            yield "refused by one engine only"
        return
    pairs = (
        ("executes", sorted(ours.executed), sorted(theirs.executed)),
        ("answers from the cache", sorted(ours.cached), sorted(theirs.cached)),
        ("reports", shapes(ours), shapes(theirs)),
        ("ends with", ours.end, theirs.end),
    )
    for what, mine, due in pairs:
        if mine != due:
            yield f"{what} {mine} instead of {due}"


def shapes(run: Run) -> dict[str, dict[str, list[str]]]:
    """Node -> key -> the kind of each thing reported under it: names and texts are each engine's own."""
    return {node: {key: _kinds(value) for key, value in sorted(output.items())} for node, output in run.reported}


def _kinds(value: object) -> list[str]:
    if not isinstance(value, list):
        return [type(value).__name__]
    if value and all(isinstance(item, str) and len(item) == 1 for item in value) and len(value) > 1:
        return ["letters"]
    return [_kind(item) for item in value]


def _kind(item: object) -> str:
    if isinstance(item, Mapping) and isinstance(item.get("filename"), str):
        return f"{item.get('type')} {PurePosixPath(item['filename']).suffix}"
    return type(item).__name__


def _first(log: EngineLog) -> Run | None:
    return log.runs[0] if log.runs else None


def _shown(outputs: Sequence[tuple[str, str]]) -> str:
    counted = Counter(outputs)
    return ", ".join(f"{count} {kind} of node {node}" for (node, kind), count in sorted(counted.items())) or "nothing"
