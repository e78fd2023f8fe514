"""The request shapes that clients already speak, told apart by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.dialects import native, runpod, vast
from worker.dialects.base import Answer, Body, Dialect, ParsedRequest

NATIVE, VAST, RUNPOD = native.DIALECT, vast.DIALECT, runpod.DIALECT
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in (RUNPOD, VAST, NATIVE)}


def detect(body: Mapping[str, Any]) -> Dialect:
    """The first that recognises the body; native takes everything, because its errors explain best."""
    return next(dialect for dialect in BY_NAME.values() if dialect.matches(body))


__all__ = ["BY_NAME", "NATIVE", "RUNPOD", "VAST", "Answer", "Body", "Dialect", "ParsedRequest", "detect"]
