"""The request formats that clients use, recognised by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.bodies import JsonPath
from worker.dialects import comfyui, native, runpod, vast
from worker.dialects.base import Body, Dialect, JobResponse, ParsedRequest

DIALECTS = (
    runpod.DIALECT,
    vast.DIALECT,
    native.DIALECT,
)
"""All dialects. A new dialect is one file and one line here. The first one whose keys match reads a body."""
NATIVE, RUNPOD, VAST, COMFYUI = native.DIALECT, runpod.DIALECT, vast.DIALECT, comfyui.DIALECT
BY_NAME: dict[str, Dialect] = {dialect.name: dialect for dialect in (*DIALECTS, COMFYUI)}
"""Dialects by name, with the one that only its own route reads."""


def detect(body: Mapping[str, Any]) -> Dialect:
    """Return the first dialect whose keys the body has.

    The native dialect is the last one and matches any body, because its errors explain most.
    """
    return next(dialect for dialect in DIALECTS if _has_keys(body, dialect.identifying_keys))


def _has_keys(body: object, identifying_keys: JsonPath) -> bool:
    """Return whether the keys exist, each inside the object of the one before. A single key must have an object."""
    value = body
    for key in identifying_keys:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return len(identifying_keys) != 1 or isinstance(value, Mapping)


__all__ = [
    "BY_NAME",
    "COMFYUI",
    "DIALECTS",
    "NATIVE",
    "RUNPOD",
    "VAST",
    "Body",
    "Dialect",
    "JobResponse",
    "ParsedRequest",
    "detect",
]
