"""The request shapes that clients already speak, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.dialects import native, runpod, vast
from worker.dialects.base import Answer, Body, Dialect, ParsedRequest

DIALECTS = (
    runpod.DIALECT,
    vast.DIALECT,
    native.DIALECT,
)
"""The registry: a dialect is one file and one line here. The first that recognises a body reads it."""
NATIVE, VAST = native.DIALECT, vast.DIALECT
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in DIALECTS}


def detect(body: Mapping[str, Any]) -> Dialect:
    """The first that recognises the body; native takes everything, because its errors explain best."""
    return next(dialect for dialect in BY_NAME.values() if dialect.matches(body))


__all__ = ["BY_NAME", "DIALECTS", "NATIVE", "VAST", "Answer", "Body", "Dialect", "ParsedRequest", "detect"]
