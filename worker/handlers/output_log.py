"""Logs what handlers print, with a limit on the rate and on the length of lines."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

log = logging.getLogger("worker.handlers.output")

PIECE = 64 * 1024
PAUSE_S = 0.05
"""Seconds between two reads of at most PIECE bytes. A handler that prints more than 1.3 MB/s has to wait."""
LONGEST_LINE = 2000
"""Bytes of a line that are logged."""
MOST_LINES = 100
"""Lines that are logged in each period."""
PERIOD_S = 1.0


@dataclass(slots=True)
class OutputLog:
    """The output of one process. `name` is its name in the log."""

    name: str
    _rest: bytes = b""
    _period_start: float = 0.0
    _logged: int = 0
    _dropped: int = 0

    async def follow(self, stream: asyncio.StreamReader) -> None:
        """Log each line of the output until the process closes it."""
        while piece := await stream.read(PIECE):
            self._feed(piece, time.monotonic())
            await asyncio.sleep(PAUSE_S)
        self._feed(b"\n", time.monotonic())
        self._report_dropped()

    def _feed(self, piece: bytes, now: float) -> None:
        """Log the complete lines, and keep the beginning of the last one."""
        if now - self._period_start >= PERIOD_S:
            self._report_dropped()
            self._period_start, self._logged = now, 0
        *lines, rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._log(line)
        self._rest = rest[: LONGEST_LINE + 1]

    def _log(self, line: bytes) -> None:
        """Log a line, unless it is empty or too many were logged in this period."""
        text = line[:LONGEST_LINE].decode(errors="replace").rstrip()
        if not text:
            return
        if self._logged >= MOST_LINES:
            self._dropped += 1
            return
        self._logged += 1
        printable = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
        log.info("%s: %s%s", self.name, printable, " ..." if len(line) > LONGEST_LINE else "")

    def _report_dropped(self) -> None:
        """Log how many lines were dropped."""
        if self._dropped:
            log.warning("%s: %d more lines in a second, which are not logged", self.name, self._dropped)
            self._dropped = 0
