"""The request shapes that clients already speak, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.bodies import JsonPath
from worker.dialects import native, runpod, vast
from worker.dialects.base import Body, Dialect, JobResponse, ParsedRequest

DIALECTS = (
    runpod.DIALECT,
    vast.DIALECT,
    native.DIALECT,
)
"""The registry: a dialect is one file and one line here. The first that recognises a body reads it."""
NATIVE, VAST = native.DIALECT, vast.DIALECT
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}


def detect(body: Mapping[str, Any]) -> Dialect:
    """The first whose marks the body has; native takes everything, because its errors explain best."""
    return next(dialect for dialect in DIALECTS if _has(body, dialect.marks))


def _has(body: object, marks: JsonPath) -> bool:
    """Whether the keys are there, the values of all but the last one being objects; of a single one its own value."""
    for key in marks:
        if not isinstance(body, Mapping) or key not in body:
            return False
        body = body[key]
    return len(marks) != 1 or isinstance(body, Mapping)


__all__ = ["BY_NAME", "DIALECTS", "NATIVE", "VAST", "Body", "Dialect", "JobResponse", "ParsedRequest", "detect"]
