"""Runs functions that walk over a workflow: in a thread if the workflow is large, so that the event loop stays free."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

import orjson

Result = TypeVar("Result")

LARGE = 64 * 1024
"""Size of a JSON value, in bytes, above which a walk takes more than a few milliseconds. Most are smaller."""


def is_large(value: object) -> bool:
    """Return whether a walk over a JSON value would block the event loop noticeably."""
    try:
        return len(orjson.dumps(value)) > LARGE
    except TypeError:  # nested too deeply for orjson
        return True


async def run_off_loop_if_large(value: object, function: Callable[[], Result]) -> Result:
    """Call `function`, which walks over `value`, and return its result. Call it in a thread if the value is large."""
    return await asyncio.to_thread(function) if is_large(value) else function()
