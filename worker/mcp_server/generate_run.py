"""One job of the tool `generate`, from the request to its result, with progress and cancellation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import anyio

from worker.errors import Failure
from worker.mcp_server.caller_api import CallerApi, McpJob
from worker.mcp_server.job_memory import JobMemory
from worker.mcp_server.mcp_progress import McpProgress

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0
"""Longest time without a report. Hosts end a call that is silent for a minute."""

CANCEL_LIMIT_S = 5.0
"""Longest wait in seconds for the API to cancel a job. It cancels a job without a client a little later anyway."""

ReportProgress = Callable[[float, float, str], Awaitable[None]]
"""Reports a number, its maximum, and a sentence to the client."""


@dataclass(slots=True)
class FollowedJob:
    """A job while its events are read: its progress, and its result once it has ended."""

    progress: McpProgress
    job: McpJob | None = None
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerateRun:
    """Runs jobs of one caller. `caller` is its name in the memory."""

    api: CallerApi
    memory: JobMemory
    caller: str
    report_progress: ReportProgress

    async def run(self, request: Mapping[str, Any]) -> tuple[McpJob, dict[str, Any]]:
        """Run a job and return it with its native result. Raises Failure when it fails.

        The job is cancelled when this call is cancelled.
        """
        followed = FollowedJob(McpProgress(monotonic()))
        heartbeat = asyncio.create_task(self._heartbeat(followed.progress), name="mcp-heartbeat")
        try:
            await self._follow(request, followed)
        except asyncio.CancelledError:
            if followed.job is not None and not followed.result:
                await self._cancel(followed.job)
            raise
        except Failure as failure:
            if followed.job is not None:
                failure.step = f"Job {followed.job.id} was accepted: call status with this id to see whether it runs."
            raise
        finally:
            heartbeat.cancel()
        if followed.job is None or followed.result.get("status") != "success":
            raise Failure.read(followed.result)
        return followed.job, followed.result

    async def _follow(self, request: Mapping[str, Any], followed: FollowedJob) -> None:
        """Send the request, and take in and report the events of its job."""
        async for name, data in self.api.follow(request):
            if name == "accepted":
                followed.job = self.memory.remember(self.caller, data)
            elif name == "result":
                followed.result = data
            if followed.progress.update(name, data, monotonic()):
                await self._report(followed.progress)

    async def _heartbeat(self, progress: McpProgress) -> None:
        """Report the progress when no event did for a while, so that the host does not give up."""
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            if monotonic() - progress.reported_at >= HEARTBEAT_S:
                await self._report(progress)

    async def _report(self, progress: McpProgress) -> None:
        value, sentence = progress.report(monotonic())
        await self.report_progress(value, 1.0, sentence)

    async def _cancel(self, job: McpJob) -> None:
        """Cancel a job that no client waits for any more. The cancellation of this task does not interrupt it."""
        with anyio.move_on_after(CANCEL_LIMIT_S, shield=True), suppress(Failure):
            await self.api.cancel(job)
            log.info("job %s is cancelled, because its client cancelled the call or left", job.id)
