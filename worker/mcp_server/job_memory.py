"""The jobs that callers have started here, so that an agent needs only the id of a job and never its token."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from worker.mcp_server.caller_api import McpJob

MOST_JOBS = 10_000


class JobMemory:
    """The tokens of the latest jobs, by caller and id. A caller finds only its own jobs."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[tuple[str, str], str] = OrderedDict()

    def remember(self, caller: str, accepted: Mapping[str, Any]) -> McpJob:
        """Keep the token of a job that the caller started, and return the job. `accepted` has its `id` and `token`."""
        job = McpJob(str(accepted["id"]), str(accepted["token"]))
        self._tokens[caller, job.id] = str(job.token)
        while len(self._tokens) > MOST_JOBS:
            self._tokens.popitem(last=False)
        return job

    def find(self, caller: str, job_id: str) -> McpJob:
        """Return a job of the caller. For one that was not started here, the caller's own token has to be valid."""
        return McpJob(job_id, self._tokens.get((caller, job_id)))
