"""Sends results until RunPod accepts them. A result stays on disk until then."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from enum import Enum, auto

from worker.backoff import Backoff
from worker.dialects import BY_NAME, Dialect
from worker.errors import WorkerError, WorkerUnavailable
from worker.intake.enclosed_request import enclosed_error
from worker.platforms.runpod.queue.queue_client import NO_ANSWER, QueueAnswer, QueueClient
from worker.platforms.runpod.queue.result_body import failed_result, too_large
from worker.platforms.runpod.queue.undelivered import UndeliveredResults
from worker.supervision import Tasks, stop

log = logging.getLogger(__name__)

AGAIN = Backoff(0.5, 30.0)
DIALECT = BY_NAME["runpod"]
LARGE = 1_000_000
"""A result of more bytes that is rejected was probably too large."""
REJECTED, UNKNOWN_JOB = frozenset({400, 413, 422}), frozenset({404, 409, 410})


class NextStep(Enum):
    """What follows from the answer to a result.

    - `DONE`: RunPod has the result.
    - `REPLACE`: RunPod will never accept this result, so an error is sent in its place.
    - `DROP`: RunPod does not know the job any more, or has rejected the error as well.
    - `REPEAT`: the result is sent again.
    """

    DONE = auto()
    REPLACE = auto()
    DROP = auto()
    REPEAT = auto()


def next_step(answer: QueueAnswer | None, *, replaced: bool) -> NextStep:
    """Return what follows from an answer, or from none. `replaced` means that the error was sent."""
    if answer is None:
        return NextStep.REPEAT
    if answer.accepted:
        return NextStep.DONE
    if answer.status in REJECTED:
        return NextStep.DROP if replaced else NextStep.REPLACE
    return NextStep.DROP if answer.status in UNKNOWN_JOB else NextStep.REPEAT


class ResultSender:
    """Sends each result in a task of its own."""

    def __init__(self, client: QueueClient, undelivered: UndeliveredResults, tasks: Tasks) -> None:
        self._client = client
        self._undelivered = undelivered
        self._tasks = tasks
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self.stop_pod = False
        """Whether RunPod is asked to stop the pod with each result."""

    @property
    def job_ids(self) -> Collection[str]:
        """Ids of the jobs whose results RunPod has not accepted yet."""
        return self._sending.keys()

    async def send(self, job_id: str, body: bytes) -> None:
        """Store a result, and start sending it."""
        await self._undelivered.store(job_id, body)
        self.start(job_id, body)

    async def send_error(self, job_id: str, error: WorkerError, enclosed: Dialect | None = None) -> None:
        """Store an error as the result of a job, and start sending it.

        `enclosed` is the dialect of a whole request in the job.
        """
        body = self._error_body(job_id, error)
        if enclosed is not None:
            body = failed_result(enclosed_error(job_id, error, enclosed), stop_pod=self.stop_pod)
        await self.send(job_id, body)

    def start(self, job_id: str, body: bytes) -> None:
        """Start sending a result that is stored."""
        task = self._tasks.spawn(f"result-{job_id}", self._deliver(job_id, body))
        self._sending[job_id] = task
        task.add_done_callback(lambda done: self._forget(job_id, done))

    def send_again(self, job_id: str) -> bool:
        """Send a result once more when it was accepted. Return whether it is being sent.

        RunPod has delivered the job again, perhaps after it had accepted the result that is on its way.
        """
        if job_id not in self._sending:
            return False
        self._again.add(job_id)
        return True

    async def cancel(self, job_id: str) -> bool:
        """Stop sending the result of a job that was cancelled. Return whether one was being sent."""
        task = self._sending.get(job_id)
        if task is None:
            return False
        await stop(task)
        await self._undelivered.remove(job_id)
        return True

    async def wait_until_sent(self, timeout_s: float) -> None:
        """Wait until RunPod has accepted all results, for at most `timeout_s` seconds. The rest stays on disk."""
        if self._sending:
            await asyncio.wait(list(self._sending.values()), timeout=max(timeout_s, 0.0))
        if self._sending:
            log.warning("%d results are not accepted yet; they stay on disk for the next start", len(self._sending))

    def _error_body(self, job_id: str, error: WorkerError) -> bytes:
        return failed_result(DIALECT.failed(job_id, error), stop_pod=self.stop_pod)

    def _forget(self, job_id: str, done: asyncio.Task[None]) -> None:
        """Forget a task that has ended, unless a newer one has replaced it."""
        if self._sending.get(job_id) is done:
            del self._sending[job_id]
            self._again.discard(job_id)

    async def _deliver(self, job_id: str, body: bytes) -> None:
        """Send a result until RunPod accepts it, or will never do so."""
        replaced = False
        for pause_s in AGAIN.pauses():
            answer = await self._attempt(job_id, body)
            step = next_step(answer, replaced=replaced)
            if step in {NextStep.DONE, NextStep.DROP}:
                if step is NextStep.DROP:
                    log.error("RunPod does not accept the result of job %s, which is dropped: %s", job_id, answer)
                await self._undelivered.remove(job_id)
                if job_id not in self._again:
                    self._sending.pop(
                        job_id, None
                    )  # at once, so that a job that is delivered again from now on is seen
                    return
                self._again.remove(job_id)
                continue
            if step is NextStep.REPLACE and answer is not None:
                log.error("RunPod rejected the result of job %s (%d bytes): %s", job_id, len(body), answer)
                body, replaced = self._error_body(job_id, _rejection(job_id, len(body), answer.status)), True
                await self._undelivered.store(job_id, body)
                continue
            await asyncio.sleep(max(pause_s, answer.retry_after_s if answer is not None else 0.0))

    async def _attempt(self, job_id: str, body: bytes) -> QueueAnswer | None:
        """Send a result once. Return None without an answer."""
        try:
            answer = await self._client.send_result(job_id, body)
        except NO_ANSWER as error:
            log.warning("the result of job %s was not accepted, and is sent again: %s", job_id, type(error).__name__)
            return None
        if not answer.accepted:
            log.warning("RunPod answered %d to the result of job %s", answer.status, job_id)
        return answer


def _rejection(job_id: str, size: int, status: int) -> WorkerError:
    """Return the error that replaces a result of `size` bytes."""
    if size > LARGE:
        return too_large(job_id, size)
    return WorkerUnavailable(f"RunPod rejected the result of this job with status {status}: send the job again")
