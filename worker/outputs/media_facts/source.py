"""A media file as its parsers read it: by place, and never more than a bounded number of bytes and reads."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

MOST_BYTES = 16 * 1024 * 1024
"""Read of one file, at most. Headers take some KiB; only formats without a length in them are read further."""
MOST_READS, FEWEST_READS = 50_000, 1000
BYTES_A_READ = 64
"""A file that needs more reads for its size is made to take time."""
WINDOW = 4096
"""Bytes that are read from the disk at a time: what lies between two headers is skipped."""
LONGEST_S = 366 * 86400.0
MOST_PIXELS = 1 << 24
"""Of one side. A larger number comes from a broken file."""


class Unreadable(Exception):
    """The file ends early, or is not what it seemed to be, or asks for more reading than it is worth."""


@dataclass(slots=True)
class Findings:
    """What was found so far: a parser that gives up halfway leaves what it has."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None

    def size(self, width: int, height: int) -> None:
        """Note a size in pixels, unless it can't be one."""
        if 0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS:
            self.width, self.height = width, height

    def lasts(self, units: float, rate: float) -> None:
        """Note a length of so many units at `rate` units a second, unless it can't be one."""
        if rate > 0 and math.isfinite(units) and 0 < units / rate <= LONGEST_S:
            self.duration_s = round(units / rate, 3)


class MediaSource:
    """`head` is the beginning of the file; `size` is in bytes."""

    def __init__(self, file: BinaryIO, head: bytes, size: int) -> None:
        self.head = head
        self.size = size
        self.file = file
        self._bytes = MOST_BYTES
        self._reads = min(MOST_READS, FEWEST_READS + size // BYTES_A_READ)
        self._window = lru_cache(maxsize=2)(self._read_window)

    def at(self, place: int, count: int) -> bytes:
        """Return `count` bytes from `place`. Raises Unreadable where the file has none there."""
        self._reads -= 1
        if self._reads < 0 or place < 0 or place + count > self.size:
            raise Unreadable
        if place + count <= len(self.head):
            return self.head[place : place + count]
        start, pieces = place - place % WINDOW, []
        while start < place + count:
            pieces.append(self._window(start))
            start += WINDOW
        skipped = place % WINDOW
        data = b"".join(pieces)[skipped : skipped + count]
        if len(data) < count:
            raise Unreadable
        return data

    def some(self, place: int, most: int) -> bytes:
        """Return at most `most` bytes from `place`, fewer at the end of the file."""
        return self.at(place, max(0, min(most, self.size - place)))

    def unpack(self, layout: str, place: int) -> tuple[Any, ...]:
        """Return the numbers at `place` in a layout of `struct`."""
        return struct.unpack(layout, self.at(place, struct.calcsize(layout)))

    def _read_window(self, start: int) -> bytes:
        self._bytes -= WINDOW
        if self._bytes < 0:
            raise Unreadable
        self.file.seek(start)
        return self.file.read(WINDOW)
