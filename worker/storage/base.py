"""What a place for outputs is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from worker.job import Job, Output


class Storage(Protocol):
    """A place that gives an output an address of its own."""

    @property
    def external(self) -> bool:
        """Whether its URLs open for those who can't reach this worker."""
        ...

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """Store the file at `path` and return its URL; one that begins with a slash is the gateway's.

        Raises DeliveryFailed where another try may do, DeliveryRefused where the client's own place says no.
        """
        ...
