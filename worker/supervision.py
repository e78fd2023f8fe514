"""Supervision of tasks that outlive a request. All belong to one TaskGroup, and every failure is logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self, TypeVar

from worker.backoff import Backoff
from worker.errors import StartupError, WorkerError, WorkerFailed

T = TypeVar("T")
Run = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)

RESTART = Backoff(0.1, 10.0, factor=3)
STEADY_S = 60.0
"""A task that ran this long starts with a fresh backoff."""
REPORTED_FAILURES = 5
"""Number of failures in a row from which `Tasks.problem` reports a task."""


class OnFailure(Enum):
    """What the failure of a task leads to.

    RESTART starts it again, END ends the worker, and DROP only logs it, for work that belongs to one job.
    """

    RESTART = auto()
    END = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class Failures:
    """Failures of a task in a row. `last_at` is on the monotonic clock."""

    count: int
    last_at: float
    reason: str


class Tasks:
    """The long-lived tasks of one worker.

    A bare TaskGroup would cancel every task on the first failure. Here a failure is logged with its cause, and only a
    task with `OnFailure.END` ends the worker. In that case the body of the `async with` is cancelled, so that it closes
    everything in order, and the context then raises StartupError with the message in `failure`.
    """

    def __init__(self, on_task_failure: Callable[[str], None] = lambda _: None) -> None:
        """`on_task_failure` is called after each failure, with the task's name without the id or file in it."""
        self._on_task_failure = on_task_failure
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[Any]] = set()
        self._failures: dict[str, Failures] = {}
        self._failure_cause: BaseException | None = None
        self._owner: asyncio.Task[Any] | None = None
        self.failure: str | None = None
        """Message that says why the worker ends, None while it does not."""

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        try:
            await self._group.__aexit__(None, None, None)  # the body's exception would be wrapped in a group
        except asyncio.CancelledError:
            if self.failure is None:
                raise
            kind = asyncio.CancelledError
        body_raised_other_error = kind is not None and not issubclass(kind, asyncio.CancelledError)
        if self.failure is None or body_raised_other_error:
            return
        # `_end` has cancelled the owner. If another caller has cancelled it as well, it stays cancelled.
        if self._owner is None or not self._owner.uncancel():
            raise StartupError(self.failure) from self._failure_cause

    @property
    def problem(self) -> str | None:
        """Message about the end of the worker, or about a task that fails again and again. None if all is well."""
        now = time.monotonic()
        messages = (
            f"task {name!r} failed {failures.count} times in a row: {failures.reason}"
            for name, failures in self._failures.items()
            if failures.count >= REPORTED_FAILURES and now - failures.last_at < STEADY_S
        )
        return self.failure or next(messages, None)

    def start(self, name: str, run: Run, on_failure: OnFailure = OnFailure.RESTART) -> asyncio.Task[None]:
        """Start a long-lived task under supervision, and return it. Cancel it to stop it.

        `on_failure` decides what follows when `run` raises an exception.
        """
        return self._create(name, self._supervised(name, run, on_failure))

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start work for one job that no caller awaits, and return its task. A failure is only logged."""

        async def run() -> None:
            await work

        task = self._create(name, self._supervised(name, run, OnFailure.DROP))
        task.add_done_callback(lambda _: work.close())  # closes work that was cancelled before its first step
        return task

    def start_shared(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T | BaseException]:
        """Start work whose result several callers await with `await_shared`, and return its task.

        The task belongs to no caller. It continues when they are cancelled, and is cancelled when the worker ends.
        """
        return self._create(name, self._shared_result(name, work))

    def _create(self, name: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task in the group, and remember it until it is done."""
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _supervised(self, name: str, run: Run, on_failure: OnFailure) -> None:
        """Run a task until it returns. After a failure, restart it, end the worker or stop, as `on_failure` says."""
        while True:
            started_at = time.monotonic()
            try:
                return await run()
            except Exception as error:  # noqa: BLE001 - each branch logs it
                self._on_task_failure(task_kind(name) if on_failure is OnFailure.DROP else name)
                if on_failure is OnFailure.END:
                    return self._end(name, error)
                if on_failure is OnFailure.DROP:
                    return log.exception("task %r failed", name)
                pause_s = self._record_failure(name, error, started_at)
            await asyncio.sleep(pause_s)

    async def _shared_result(self, name: str, work: Coroutine[Any, Any, T]) -> T | BaseException:
        """Return the result of shared work, or the exception that it raised, so that the task itself never fails."""
        try:
            return await work
        except WorkerError as error:
            return error
        except Exception as error:
            self._on_task_failure(task_kind(name))
            log.exception("task %r failed", name)
            return error

    def _record_failure(self, name: str, error: Exception, started_at: float) -> float:
        """Record and log a failure, and return the seconds until the next start. `started_at` is the last start."""
        now = time.monotonic()
        previous = self._failures.get(name)
        count = 1 if previous is None or now - started_at > STEADY_S else previous.count + 1
        self._failures[name] = Failures(count, now, describe_error(error))
        pause_s = RESTART.pause(count)
        log.error("task %r failed and starts again in %.1f s: %s", name, pause_s, describe_error(error), exc_info=error)
        return pause_s

    def _end(self, name: str, error: Exception) -> None:
        """End the worker because of a failed task: store the message in `failure`, and cancel the body of the context.

        A second failure changes nothing.
        """
        if self.failure is not None:
            return
        expected = isinstance(error, WorkerFailed | StartupError)
        self.failure = str(error) if expected else f"task {name!r} failed: {describe_error(error)}"
        self._failure_cause = error
        log.critical("the worker ends: %s", self.failure, exc_info=None if expected else error)
        if self._owner is not None:
            self._owner.cancel()


def describe_error(error: BaseException) -> str:
    """Return the class and the message of an exception, in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


async def stop(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end. Its exception is ignored."""
    task.cancel()
    await asyncio.wait({task})


def task_kind(name: str) -> str:
    """Return the part of a task's name that similar tasks share: `webhook` for `webhook-ID`."""
    return name.partition(" ")[0].partition("-")[0]


async def await_shared(task: asyncio.Task[T | BaseException]) -> T:
    """Return the result of a task of `start_shared`, or raise its exception.

    The task continues when the caller is cancelled.
    """
    outcome = await asyncio.shield(task)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome
