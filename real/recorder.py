"""ComfyUI's own events, one JSON object a line, each with the files that are new since the one before.

It runs inside ComfyUI, loaded by the node pack beside it, and in the tap before the embedded engine. It imports the
standard library only, and reads files without changing them: a hard link would change the time by which the worker
finds the job of a file.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

EVENTS = frozenset(
    {
        "execution_start",
        "execution_cached",
        "executing",
        "executed",
        "execution_success",
        "execution_error",
        "execution_interrupted",
    }
)
Stamp = tuple[int, int, int]
"""Inode, bytes and time of the last change of a file."""


class EventRecorder:
    """`folders` are ComfyUI's own by the names that it calls them by: output and temp."""

    def __init__(self, log: Path, folders: Mapping[str, Path]) -> None:
        self._log = log
        self._folders = folders
        self._known: dict[tuple[str, str], Stamp] = dict(self._stamps())

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """Record one of EVENTS before its receivers hear of it."""
        if name in EVENTS:
            self.write({"event": name, "data": data})

    def picture(self, size: tuple[int, int], mode: str, pixels: bytes) -> None:
        """Record a picture that is sent over the WebSocket, by its pixels: ComfyUI encodes it for each receiver."""
        self.write({"event": "picture", "data": {"size": size, "mode": mode, "sha256": digest(pixels)}})

    def write(self, line: dict[str, Any]) -> None:
        line |= {"at": time.time(), "files": list(self._new_files())}
        with self._log.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(line, default=str) + "\n")

    def _new_files(self) -> Iterator[dict[str, Any]]:
        for place, stamp in list(self._stamps()):
            if self._known.get(place) == stamp:
                continue
            folder, path = place
            try:
                content = (self._folders[folder] / path).read_bytes()
            except OSError:
                continue
            self._known[place] = stamp
            yield {"folder": folder, "path": path, "bytes": len(content), "sha256": digest(content)}

    def _stamps(self) -> Iterator[tuple[tuple[str, str], Stamp]]:
        for name, folder in self._folders.items():
            for path in sorted(folder.rglob("*")):
                try:
                    status = path.stat()
                except OSError:
                    continue
                if path.is_file():
                    place = (name, path.relative_to(folder).as_posix())
                    yield place, (status.st_ino, status.st_size, status.st_mtime_ns)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
