"""Outputs of a job on their way into a folder: safe names, and nothing is ever overwritten."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

UNSAFE = re.compile(r"[^\w.+@=, -]")
LONGEST = 120

Fetch = Callable[[str, Path], Awaitable[None]]
"""Writes what a URL answers to a file."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One output on disk; `size` in bytes, `width` and `height` in pixels where it is a picture."""

    path: Path
    node_id: str
    kind: str
    mime: str
    size: int
    width: int | None = None
    height: int | None = None

    @property
    def pixels(self) -> str:
        return f"{self.width}x{self.height}" if self.width else ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "node_id": self.node_id,
            "kind": self.kind,
            "mime": self.mime,
            "bytes": self.size,
            "width": self.width,
            "height": self.height,
        }


async def save(outputs: Sequence[Mapping[str, Any]], folder: Path, fetch: Fetch) -> list[Saved]:
    """Write outputs of a native result, inline or by URL, into `folder`. Raises what `fetch` raises, and OSError."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return [await _save(output, folder, fetch) for output in outputs]


async def _save(output: Mapping[str, Any], folder: Path, fetch: Fetch) -> Saved:
    path = claim(folder, output["filename"] or f"text-{output['node_id']}.txt")
    try:
        if output.get("text") is not None:
            path.write_text(output["text"], "utf-8")
        elif output.get("data") is not None:
            path.write_bytes(base64.b64decode(output["data"]))
        else:
            await fetch(output["url"], path)
    except BaseException:
        path.unlink()
        raise
    return Saved(
        path=path,
        node_id=output["node_id"],
        kind=output["kind"],
        mime=output["mime"],
        size=path.stat().st_size,
        width=output.get("width"),
        height=output.get("height"),
    )


def claim(folder: Path, name: str) -> Path:
    """A new, empty file that nobody else has: `name` made safe, with a number if it is taken."""
    safe = Path(safe_name(name))
    for number in count(1):
        path = folder / (safe.name if number == 1 else f"{safe.stem}-{number}{safe.suffix}")
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise AssertionError("count() has no end")


def safe_name(name: str) -> str:
    """A plain file name without folders, control characters or a leading dot: the server chose it."""
    base = UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(". ")
    stem, dot, suffix = base.rpartition(".")
    return f"{stem[:LONGEST]}{dot}{suffix[:16]}" if stem else base[:LONGEST] or "output"
