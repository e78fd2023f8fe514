"""Walks over prompts: a large one is walked in a thread, so that no other request waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import orjson

Result = TypeVar("Result")

LARGE = 64 * 1024
"""Bytes of JSON whose walk takes a few milliseconds. Most workflows are smaller."""


def is_large(value: object) -> bool:
    """Return whether a walk over a JSON value, in Python, would hold the event loop for longer than others notice."""
    try:
        return len(orjson.dumps(value)) > LARGE
    except TypeError:  # nested deeper than orjson writes
        return True


async def run_off_loop_if_large(value: object, function: Callable[[], Result]) -> Result:
    """Call a function that walks over `value`, in a thread where the value is large."""
    return await asyncio.to_thread(function) if is_large(value) else function()
