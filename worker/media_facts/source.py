"""Reading of a media file at any offset, with limits on the number of bytes and reads."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

MOST_BYTES = 16 * 1024 * 1024
"""Most bytes that are read of one file. Headers have some KiB. Only formats without a duration need more."""
MOST_READS, FEWEST_READS = 50_000, 1000
BYTES_A_READ = 64
"""File size for each allowed read. A file that needs more reads was made to waste time."""
WINDOW = 4096
"""Bytes that are read from the disk at a time. Data between two headers is skipped."""
LONGEST_S = 366 * 86400.0
MOST_FRAMES = 1 << 24
MOST_PIXELS = 1 << 24
"""Most pixels of one side. A larger number comes from a damaged file."""


class Unreadable(Exception):
    """The file is truncated, has another format than expected, or needs more reads than allowed."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Width and height in pixels, and duration in seconds. None means not applicable or not known.

    `frames` is the number of frames of a video or an animation.
    """

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    frames: int | None = None


@dataclass(slots=True)
class Findings:
    """The facts that a parser has found so far. They are kept if the parser fails later."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None
    frames: int | None = None

    def facts(self) -> MediaFacts:
        """Return what was found."""
        return MediaFacts(self.width, self.height, self.duration_s, self.frames)

    def set_size(self, width: int, height: int) -> None:
        """Set the size in pixels. An impossible size is ignored."""
        if 0 < width <= MOST_PIXELS and 0 < height <= MOST_PIXELS:
            self.width, self.height = width, height

    def set_duration(self, units: float, rate: float) -> None:
        """Set the duration to `units` at `rate` units per second. An impossible duration is ignored."""
        if rate > 0 and math.isfinite(units) and 0 < units / rate <= LONGEST_S:
            self.duration_s = round(units / rate, 3)

    def set_frames(self, frames: float) -> None:
        """Set the number of frames. An impossible number is ignored."""
        if math.isfinite(frames) and 1 <= frames <= MOST_FRAMES:
            self.frames = round(frames)


class MediaSource:
    """An open media file. `head` is the beginning of the file, `size` its length in bytes."""

    def __init__(self, file: BinaryIO, head: bytes, size: int) -> None:
        self.head = head
        self.size = size
        self.file = file
        self._bytes_left = MOST_BYTES
        self._reads_left = min(MOST_READS, FEWEST_READS + size // BYTES_A_READ)
        self._window = lru_cache(maxsize=2)(self._read_window)

    def read(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`. Raises Unreadable if the file is too short or a limit is reached."""
        self._reads_left -= 1
        if self._reads_left < 0 or offset < 0 or offset + count > self.size:
            raise Unreadable
        if offset + count <= len(self.head):
            return self.head[offset : offset + count]
        start, pieces = offset - offset % WINDOW, []
        while start < offset + count:
            pieces.append(self._window(start))
            start += WINDOW
        skipped = offset % WINDOW
        data = b"".join(pieces)[skipped : skipped + count]
        if len(data) < count:
            raise Unreadable
        return data

    def read_up_to(self, offset: int, most: int) -> bytes:
        """Return up to `most` bytes from `offset`, fewer at the end of the file."""
        return self.read(offset, max(0, min(most, self.size - offset)))

    def unpack(self, layout: str, offset: int) -> tuple[Any, ...]:
        """Return the values at `offset` in a layout of the module `struct`."""
        return struct.unpack(layout, self.read(offset, struct.calcsize(layout)))

    def _read_window(self, start: int) -> bytes:
        """Return up to WINDOW bytes from `start`. Raises Unreadable if the limit of bytes is reached."""
        self._bytes_left -= WINDOW
        if self._bytes_left < 0:
            raise Unreadable
        self.file.seek(start)
        return self.file.read(WINDOW)
