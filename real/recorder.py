"""A log of ComfyUI's events: one JSON object a line, each with the files that are new since the previous line.

It runs inside ComfyUI, loaded by the node pack `custom_nodes/comfy_worker_recorder`, and in the relay in front of the
embedded engine. It imports only the standard library. It reads files without hard links, which would change their
ctime, because the worker uses the ctime to find the job of a file.
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
        "progress",
        "executed",
        "execution_success",
        "execution_error",
        "execution_interrupted",
    }
)
Stamp = tuple[int, int, int]
"""A file's inode, size in bytes, and modification time in nanoseconds."""


class EventRecorder:
    """Writes events to a log file. `folders` are ComfyUI's folders by name: `output` and `temp`."""

    def __init__(self, log: Path, folders: Mapping[str, Path]) -> None:
        self._log = log
        self._folders = folders
        self._known: dict[tuple[str, str], Stamp] = dict(self._stamps())

    def event(self, name: str, data: Mapping[str, Any]) -> None:
        """Record an event, if it is one of EVENTS. It must be called before the event is sent."""
        if name in EVENTS:
            self.write({"event": name, "data": data})

    def image(self, size: tuple[int, int], mode: str, pixels: bytes) -> None:
        """Record an image that is sent over the WebSocket, by the hash of its pixels.

        The encoded bytes are not used, because ComfyUI encodes the image again for each client.
        """
        self.write({"event": "picture", "data": {"size": size, "mode": mode, "sha256": digest(pixels)}})

    def write(self, line: dict[str, Any]) -> None:
        """Append a line to the log, with the time and the new files."""
        line |= {"at": time.time(), "files": list(self._new_files())}
        with self._log.open("a", encoding="utf-8") as sink:
            sink.write(json.dumps(line, default=str) + "\n")

    def _new_files(self) -> Iterator[dict[str, Any]]:
        """Yield the files that are new or changed since the last call."""
        for key, stamp in list(self._stamps()):
            if self._known.get(key) == stamp:
                continue
            folder, path = key
            try:
                content = (self._folders[folder] / path).read_bytes()
            except OSError:
                continue
            self._known[key] = stamp
            yield {"folder": folder, "path": path, "bytes": len(content), "sha256": digest(content)}

    def _stamps(self) -> Iterator[tuple[tuple[str, str], Stamp]]:
        """Yield each file, as its folder's name and its path, with its stamp."""
        for name, folder in self._folders.items():
            for path in sorted(folder.rglob("*")):
                try:
                    status = path.stat()
                except OSError:
                    continue
                if path.is_file():
                    key = (name, path.relative_to(folder).as_posix())
                    yield key, (status.st_ino, status.st_size, status.st_mtime_ns)


def digest(content: bytes) -> str:
    """Return the SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
