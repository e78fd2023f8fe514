"""Prompts that ComfyUI still runs after their jobs have ended: they are interrupted, watched and finally killed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from worker.engine.health.watchdog import Watchdog
from worker.engine.protocol.api import ComfyApi, PromptStatus
from worker.engine.protocol.messages import Executing, RunMessage
from worker.engine.protocol.websocket import EngineSocket, PromptEvicted
from worker.errors import EngineUnavailable
from worker.job import JobRef
from worker.supervision import Tasks

log = logging.getLogger(__name__)

MOST_KILLS, KILL_WINDOW_S = 3, 3600.0
"""Number of restarts of ComfyUI that one principal's stuck nodes may cause in a period, on all engines together, and
the seconds of that period."""
NOT_ENDED = frozenset({PromptStatus.PENDING, PromptStatus.RUNNING})
"""Statuses of a prompt that ComfyUI still has."""
ANSWER_S = 3.0
"""Seconds that ComfyUI may take to report whether it still has a prompt."""
POLL_S = 1.0
"""Seconds between two polls of a leftover.

Each poll interrupts the prompt again, because a node may have caught the exception of the first interrupt."""
DEATH_S = 5.0
"""Seconds that a killed process may take to release its GPU."""


@dataclass(slots=True)
class KillBudget:
    """Times at which each principal's jobs had ComfyUI killed, on the monotonic clock."""

    _kills: dict[str, list[float]] = field(default_factory=dict)

    def allows(self, principal: str, now: float) -> bool:
        """Return whether the principal's jobs may have ComfyUI killed at `now`."""
        recent = [at for at in self._kills.get(principal, ()) if now - at < KILL_WINDOW_S]
        return len(recent) < MOST_KILLS

    def record_kill(self, principal: str, now: float) -> None:
        """Record a kill at `now`, and drop the kills of all principals that are older than an hour."""
        self._kills.setdefault(principal, []).append(now)
        recent = {name: [at for at in kills if now - at < KILL_WINDOW_S] for name, kills in self._kills.items()}
        self._kills = {name: kills for name, kills in recent.items() if kills}


@dataclass(slots=True, eq=False)
class Leftover:
    """A prompt that ComfyUI has to stop, because its job has ended."""

    prompt_id: str
    job: JobRef
    since: float = field(default_factory=time.monotonic)
    running: bool = False
    """Whether ComfyUI is known to run this prompt."""
    checked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the worker has asked ComfyUI for the first time whether it still has the prompt."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once ComfyUI does not have the prompt any more."""


class Leftovers:
    """The prompts of one engine that have to be stopped. `restartable` is True if this worker can restart ComfyUI."""

    def __init__(
        self,
        api: ComfyApi,
        socket: EngineSocket,
        watchdog: Watchdog,
        kills: KillBudget,
        tasks: Tasks,
        *,
        restartable: bool,
    ) -> None:
        self.changed: Callable[[], None] = lambda: None
        """Called when ComfyUI starts or stops being blocked by a leftover."""
        self.another_is_free: Callable[[], bool] = lambda: False
        """Returns whether another engine can run the jobs that wait in this one."""
        self._api = api
        self._socket = socket
        self._watchdog = watchdog
        self._kills = kills
        self._tasks = tasks
        self._restartable = restartable
        self._all: dict[str, Leftover] = {}
        self._watches: set[asyncio.Task[None]] = set()
        watchdog.on_message = self._handle_message

    @property
    def running(self) -> Leftover | None:
        """The leftover that ComfyUI runs, if any."""
        return next((leftover for leftover in self._all.values() if leftover.running), None)

    @property
    def block_reason(self) -> str | None:
        """Message that says why ComfyUI runs no other job, and what happens next. None while it is not blocked."""
        leftover = self.running
        if leftover is None:
            return None
        node, consequence = self._watchdog.running_node(), self._consequence(leftover)
        return f"ComfyUI still runs a node of a job that has ended ({node}): {consequence}"

    async def stop(self, prompt_id: str, job: JobRef) -> None:
        """Remove a prompt from ComfyUI's queue, or interrupt it.

        Return once ComfyUI does not have the prompt any more or is known to go on with it, or after ANSWER_S. A prompt
        that goes on is watched in the background, and ComfyUI is killed when that takes too long.
        """
        leftover = self._all[prompt_id] = Leftover(prompt_id, job)
        watch = self._tasks.spawn(f"leftover-{prompt_id}", self._watch(leftover))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await leftover.checked.wait()

    async def wait_until_gone(self, job: JobRef | None = None) -> None:
        """Wait until ComfyUI has no leftover of a job, or by default no leftover of any job."""
        for leftover in list(self._all.values()):
            if job in {None, leftover.job}:
                await leftover.gone.wait()

    async def close(self) -> None:
        """Stop watching."""
        for watch in self._watches:
            watch.cancel()
        if self._watches:
            await asyncio.wait(self._watches)

    async def _watch(self, leftover: Leftover) -> None:
        """Poll a leftover until ComfyUI does not have it any more. Kill ComfyUI when the node takes too long to stop.

        After POLL_S, the jobs that wait behind it are moved to another engine that is free.
        """
        try:
            while await self._try_stop(leftover):
                leftover.checked.set()
                if leftover.running and time.monotonic() - leftover.since >= POLL_S and self.another_is_free():
                    self._socket.notify_runs(PromptEvicted())
                left_s = leftover.since + self._watchdog.stop_s(leftover.prompt_id) - time.monotonic()
                if left_s <= 0 and leftover.running and self._may_kill(leftover):
                    await self._kill(leftover)
                    return
                pause_s = min(POLL_S, left_s) if left_s > 0 else POLL_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await leftover.gone.wait()
        finally:
            del self._all[leftover.prompt_id]
            leftover.checked.set()
            leftover.gone.set()
            self._set_running(leftover, running=False)

    async def _try_stop(self, leftover: Leftover) -> bool:
        """Interrupt the prompt or remove it from the queue, and return whether ComfyUI still has it.

        When ComfyUI does not respond, it counts as having the prompt, unless its process was restartable and has ended.
        """
        if leftover.gone.is_set():
            return False
        is_retry = leftover.checked.is_set()
        try:
            async with asyncio.timeout(ANSWER_S):
                if not is_retry:
                    await self._api.cancel(leftover.prompt_id)
                status = (await self._api.locate(leftover.prompt_id)).status
                # An older ComfyUI might interrupt another prompt if this one had ended, so its status is read first.
                if is_retry and status in NOT_ENDED:
                    await self._api.cancel(leftover.prompt_id)
        except (EngineUnavailable, TimeoutError):  # ComfyUI has ended, or is too busy to respond
            self._set_running(leftover, running=self._watchdog.runs(leftover.prompt_id))
            return self._socket.connected or not self._restartable
        self._set_running(leftover, running=status is PromptStatus.RUNNING)
        return status in NOT_ENDED

    def _set_running(self, leftover: Leftover, *, running: bool) -> None:
        """Record whether ComfyUI runs the prompt, and report a change."""
        if leftover.running != running:
            leftover.running = running
            self.changed()

    def _may_kill(self, leftover: Leftover) -> bool:
        """Return whether ComfyUI may be killed because of a leftover."""
        return self._restartable and self._kills.allows(leftover.job.principal, time.monotonic())

    async def _kill(self, leftover: Leftover) -> None:
        """Kill ComfyUI because of a leftover, and wait until it is disconnected, at most DEATH_S."""
        now = time.monotonic()
        self._kills.record_kill(leftover.job.principal, now)
        elapsed = f"{now - leftover.since:.0f} s after it was interrupted ({self._watchdog.running_node()})"
        self._watchdog.restart(f"a node of a job that has ended still runs {elapsed}", healthy=True)
        with suppress(TimeoutError):
            await self._socket.wait_until_closed(DEATH_S)

    def _consequence(self, leftover: Leftover) -> str:
        """Return the end of the block reason: what happens if the node does not stop."""
        if not self._restartable:
            return "it was interrupted, and this worker cannot restart a ComfyUI that it did not start"
        if not self._may_kill(leftover):
            return (
                f"its principal's jobs have had ComfyUI restarted {MOST_KILLS} times within an hour, so other jobs wait"
            )
        return "ComfyUI is restarted if it does not stop"

    def _handle_message(self, message: RunMessage) -> None:
        """End a leftover when ComfyUI reports the end of its run."""
        if isinstance(message, Executing) and message.node is None and message.prompt_id in self._all:
            self._all[message.prompt_id].gone.set()
