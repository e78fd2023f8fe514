"""Outputs that this worker serves itself from the job's folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from worker.job import Job, Output


class LocalStorage:
    """The `Storage` of files that stay in the job's folder.

    The URL is a path of this worker, and contains the job's token so that clients need no other credentials.
    """

    external = False

    async def put(self, job: Job, output: Output, path: Path) -> str:
        """Return the URL of an output. The file stays at `path`, from which this worker serves it."""
        return f"/jobs/{quote(job.id, safe='')}/outputs/{output.index}?token={job.token}"
