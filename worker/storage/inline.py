"""Outputs that travel in the answer, as base64."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

SMALL = 256 * 1024
"""Up to this many bytes, reading and encoding here takes less time than handing it to a thread."""


async def encode(path: Path, size: int) -> str:
    """The file in base64 (4/3 of its size), read off the event loop when it is large."""
    if size <= SMALL:
        return _encode(path)
    return await asyncio.to_thread(_encode, path)


def _encode(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode("ascii")
