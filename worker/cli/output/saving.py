"""The outputs of a job, saved in a folder under safe names. No file is overwritten."""

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
MAX_STEM, MAX_SUFFIX = 120, 16
"""Characters of a file's name before and after its last dot."""

Fetch = Callable[[str, Path], Awaitable[None]]
"""A function that downloads a URL to a file."""


@dataclass(frozen=True, slots=True)
class SavedOutput:
    """One saved output. `size` is in bytes, `width` and `height` of an image are in pixels."""

    path: Path
    node_id: str
    kind: str
    mime: str
    size: int
    width: int | None = None
    height: int | None = None

    @property
    def pixels(self) -> str:
        """Width and height, such as `768x512`. Empty for an output that is not an image."""
        return f"{self.width}x{self.height}" if self.width else ""

    def as_dict(self) -> dict[str, Any]:
        """Return the output for `--json`."""
        return {
            "path": str(self.path),
            "node_id": self.node_id,
            "kind": self.kind,
            "mime": self.mime,
            "bytes": self.size,
            "width": self.width,
            "height": self.height,
        }


async def save(outputs: Sequence[Mapping[str, Any]], folder: Path, fetch: Fetch) -> list[SavedOutput]:
    """Save the outputs of a native result, which are inline or by URL. Raises OSError, and what `fetch` raises."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return [await _save(output, folder, fetch) for output in outputs]


async def _save(output: Mapping[str, Any], folder: Path, fetch: Fetch) -> SavedOutput:
    """Write one output to a new file: its text, its base64 data, or what `fetch` downloads from its URL.

    The file is removed if it cannot be written completely.
    """
    path = create_file(folder, output["filename"] or f"text-{output['node_id']}.txt")
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
    return SavedOutput(
        path=path,
        node_id=output["node_id"],
        kind=output["kind"],
        mime=output["mime"],
        size=path.stat().st_size,
        width=output.get("width"),
        height=output.get("height"),
    )


def create_file(folder: Path, name: str) -> Path:
    """Create an empty file and return its path. The name is made safe, and gets a number if the file exists."""
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
    """Return the name that a server sent as a file name without folders, control characters and leading dots."""
    base = UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(". ")
    stem, dot, suffix = base.rpartition(".")
    if not stem:
        return base[:MAX_STEM] or "output"
    return f"{stem[:MAX_STEM]}{dot}{suffix[:MAX_SUFFIX]}"
