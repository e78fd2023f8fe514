"""Takes jobs: one when an engine is free or will soon be, and no more after SIGTERM."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

from worker.app import App
from worker.bodies import BodyLimits
from worker.errors import WorkerError
from worker.events import EngineBlocked, EngineConnected, EngineLost, Handlers, JobFinished, StateChanged
from worker.intake import SPOOL
from worker.platforms.runpod.queue.job_runs import JobRuns
from worker.platforms.runpod.queue.poll_pacing import PollPacing
from worker.platforms.runpod.queue.queue_client import NO_ANSWER, QueueClient
from worker.platforms.runpod.queue.take_decision import QueueLoad, TakeDecision, decide
from worker.supervision import stop

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 1024 * 1024
"""Largest answer to a take. RunPod's limit for a request is 20 MB."""
STARTING_S = 5.0
"""Seconds for starting the last job."""
BUSY = TakeDecision(0)


class Taker:
    """The loop that takes jobs. It is also an observer, and looks again whenever a job or an engine changes."""

    def __init__(self, app: App, client: QueueClient, runs: JobRuns, prefetch_s: float) -> None:
        self._app = app
        self._client = client
        self._runs = runs
        self._prefetch_s = prefetch_s
        self._pacing = PollPacing()
        self._changed = asyncio.Event()
        self._closing_at: float | None = None
        self._polling = False
        self._task: asyncio.Task[None] | None = None
        self.taken = 0
        """Number of jobs that were taken."""
        self.most: float = float("inf")
        """Number of jobs after which no more are taken."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events after which an engine may be free."""
        return dict.fromkeys((StateChanged, JobFinished, EngineConnected, EngineLost, EngineBlocked), self._look_again)

    def start(self) -> None:
        """Start to take jobs."""
        self._task = self._app.tasks.start("runpod-take", self._run)

    async def close(self, ends_at: float) -> None:
        """Send no new take, and wait for the open one until `ends_at` on the monotonic clock. Then abort it.

        A job that it still delivers has to end by that time.
        """
        self._closing_at = ends_at
        self._changed.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=max(ends_at - time.monotonic(), 0.0))
        if not self._polling:  # it starts a job, which must not be interrupted
            await asyncio.wait({self._task}, timeout=STARTING_S)
        await stop(self._task)

    def _look_again(self, _: Any) -> None:  # noqa: ANN401 - any event
        self._changed.set()

    async def _run(self) -> None:
        """Take jobs until the worker closes."""
        while self._closing_at is None and self.taken < self.most:
            self._changed.clear()
            decision = self._decide()
            if decision.count == 0:
                await self._wait(decision.again_s)
            else:
                await self._wait_for_close(await self._take(decision.count))

    def _decide(self) -> TakeDecision:
        """Return how many jobs to take now."""
        try:
            self._app.admit(0.0)
        except WorkerError:
            return BUSY
        estimates = self._app.engines.estimates
        remaining_s = estimates.remaining_by_engine()
        connected = [engine.name for engine in self._app.engines.engines if engine.connected]
        load = QueueLoad(
            [remaining_s.get(name, 0.0) for name in connected],
            estimates.next_end().p90_s,
            self._runs.needing_engine,
            self._runs.calls,
        )
        decision = decide(load, self._prefetch_s)
        return TakeDecision(int(min(decision.count, self.most - self.taken)), decision.again_s)

    async def _take(self, count: int) -> float:
        """Take at most `count` jobs and start them. Return the seconds to wait before the next take."""
        started, jobs, answer = time.monotonic(), 0, None
        spool, limits = self._app.settings.state / SPOOL, BodyLimits(MOST_BYTES)
        try:
            self._polling = True
            async with self._client.take(count, spool, limits, busy=bool(self._runs.job_ids)) as taken:
                self._polling, answer, jobs = False, taken.answer, len(taken.jobs)
                self.taken += jobs
                for job in taken.jobs:
                    await self._runs.begin(job, self._left_s())
        except NO_ANSWER as error:
            self._log_failure(f"{type(error).__name__}: {error}")
        except WorkerError as error:
            self._log_failure(f"the answer cannot be read: {error.code}")  # its message may quote a request
        finally:
            self._polling = False
        if answer is not None and not answer.accepted:
            self._log_failure(f"RunPod answered {answer.status}")
        return self._pacing.pause(answer, jobs, time.monotonic() - started)

    def _left_s(self) -> float | None:
        """Return the seconds until the worker ends, or None while that is not known."""
        return None if self._closing_at is None else self._closing_at - time.monotonic()

    def _log_failure(self, reason: str) -> None:
        """Log the first of several failures in a row."""
        if not self._pacing.failures:
            log.warning("no job could be taken, which is tried again: %s", reason)

    async def _wait_for_close(self, seconds: float) -> None:
        """Wait for `seconds`, or until the worker closes."""
        ends_at = time.monotonic() + seconds
        while self._closing_at is None and (left_s := ends_at - time.monotonic()) > 0:
            self._changed.clear()
            await self._wait(left_s)

    async def _wait(self, seconds: float) -> None:
        """Wait for `seconds`, or until something has changed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
