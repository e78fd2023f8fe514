"""The interface of a storage for outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from worker.job import Job, Output


class Storage(Protocol):
    """A storage that gives each output a URL."""

    @property
    def external(self) -> bool:
        """Whether clients that cannot reach this worker can use its URLs."""
        ...

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """Store the file at `path` and return its URL. A URL that begins with a slash is a path of this worker.

        Raises DeliveryFailed if a retry may succeed, and DeliveryRefused if the client's own storage rejects the file.
        """
        ...
