"""Outputs served by this worker itself, straight from the job's folder."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from worker.job import Job, Output


class LocalStorage:
    """Nothing is moved. The URL is a path of the gateway's, and carries the token because nothing else opens it."""

    external = False

    async def put(self, job: Job, output: Output, path: Path) -> str:
        return f"/jobs/{quote(job.id, safe='')}/outputs/{output.index}?token={job.token}"
