"""The file with the speeds of the engines, so that a restart neither measures them again nor starts at zero."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import orjson

from worker.load.throughput import Throughput

log = logging.getLogger(__name__)

SPEEDS = "benchmark.json"


@dataclass(frozen=True, slots=True)
class SpeedFile:
    """The speeds in the state folder. `key` is that of the workflow and the conditions in which they are valid.

    `now` is a monotonic clock in seconds.
    """

    folder: Path
    key: str

    def restore(self, throughput: Throughput, now: float) -> bool:
        """Set the stored speeds in `throughput`.

        Return False when there are none for the present image, GPU, driver and workflow.
        """
        try:
            content = orjson.loads((self.folder / SPEEDS).read_bytes())
            if content["key"] != self.key:
                return False
            throughput.restore(content["engines"], now)
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return throughput.total(content["engines"], now) > 0

    def write(self, throughput: Throughput, now: float) -> None:
        """Store the speeds. If that fails, log it; the next start measures again."""
        text = orjson.dumps({"key": self.key, "engines": throughput.saved(now)})
        new = self.folder / f"{SPEEDS}.new"
        try:
            new.write_bytes(text)
            new.replace(self.folder / SPEEDS)
        except OSError as error:
            log.warning("the speeds of the engines cannot be stored: %s", error)
