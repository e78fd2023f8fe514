"""Prompts that ComfyUI goes on running after their jobs have ended: interrupted, watched, and in the end killed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from worker.engine.protocol.api import ComfyApi, PromptStatus
from worker.engine.protocol.messages import Executing, RunMessage
from worker.engine.protocol.websocket import EngineSocket, PromptEvicted
from worker.engine.watchdog import Watchdog
from worker.errors import EngineUnavailable
from worker.job import JobRef
from worker.supervision import Tasks

log = logging.getLogger(__name__)

KILLS, KILLS_PER_S = 3, 3600.0
"""How often the stuck nodes of one principal may cost the others a restart of ComfyUI, on all engines together."""
STILL_THERE = frozenset({PromptStatus.PENDING, PromptStatus.RUNNING})
ANSWER_S = 3.0
"""How long ComfyUI may take to say whether it still has a prompt."""
POLL_S = 1.0
"""How often it is asked again, where no frame tells the end. Each time the prompt is interrupted once more: a node may
have caught the exception of the first interrupt."""
DEATH_S = 5.0
"""A killed process may take a moment until it has given back its GPU."""


@dataclass(slots=True)
class KillBudget:
    """When each principal had ComfyUI killed, on the monotonic clock; principals with no recent kill are forgotten."""

    _kills: dict[str, list[float]] = field(default_factory=dict)

    def allows(self, principal: str, now: float) -> bool:
        recent = [at for at in self._kills.get(principal, ()) if now - at < KILLS_PER_S]
        return len(recent) < KILLS

    def spend(self, principal: str, now: float) -> None:
        self._kills.setdefault(principal, []).append(now)
        recent = {name: [at for at in kills if now - at < KILLS_PER_S] for name, kills in self._kills.items()}
        self._kills = {name: kills for name, kills in recent.items() if kills}


@dataclass(slots=True, eq=False)
class Leftover:
    """A prompt that ComfyUI was asked to stop. `workload` is its job's, in units."""

    prompt_id: str
    job: JobRef
    workload: float
    since: float = field(default_factory=time.monotonic)
    running: bool = False
    """Whether it is the prompt that ComfyUI runs, as far as that is known."""
    known: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once ComfyUI has said whether it still has the prompt."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once ComfyUI is free of it."""


class Leftovers:
    """The leftovers of one engine. `restartable`: this worker starts ComfyUI, so that it can be killed."""

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
        """Called when ComfyUI turned out to be busy with one, or no longer is."""
        self.another_is_free: Callable[[], bool] = lambda: False
        """Whether another engine would run the jobs that wait in this one."""
        self._api = api
        self._socket = socket
        self._watchdog = watchdog
        self._kills = kills
        self._tasks = tasks
        self._restartable = restartable
        self._all: dict[str, Leftover] = {}
        self._watches: set[asyncio.Task[None]] = set()
        watchdog.on_message = self._hear

    @property
    def running(self) -> Leftover | None:
        """The one that ComfyUI is busy with."""
        return next((leftover for leftover in self._all.values() if leftover.running), None)

    @property
    def block_reason(self) -> str | None:
        """Why ComfyUI runs no other job now, and what is done about it."""
        leftover = self.running
        if leftover is None:
            return None
        return f"ComfyUI still runs a node of a job that has ended ({self._watchdog.where()}): {self._cure(leftover)}"

    async def stop(self, prompt_id: str, job: JobRef, workload: float) -> None:
        """Take a prompt out of ComfyUI, wherever it stands.

        Return once it is out, or is known to go on, or ComfyUI did not answer. A prompt that goes on is watched to its
        end, and ends with ComfyUI where it takes too long.
        """
        leftover = self._all[prompt_id] = Leftover(prompt_id, job, workload)
        watch = self._tasks.spawn(f"leftover-{prompt_id}", self._watch(leftover))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await leftover.known.wait()

    async def wait_until_gone(self, job: JobRef | None = None) -> None:
        """Wait until ComfyUI is free of a job, or of all jobs that have ended."""
        for leftover in list(self._all.values()):
            if job in {None, leftover.job}:
                await leftover.over.wait()

    async def close(self) -> None:
        for watch in self._watches:
            watch.cancel()
        if self._watches:
            await asyncio.wait(self._watches)

    async def _watch(self, leftover: Leftover) -> None:
        try:
            while await self._goes_on(leftover):
                leftover.known.set()
                if leftover.running and time.monotonic() - leftover.since >= POLL_S and self.another_is_free():
                    self._socket.notify_runs(PromptEvicted())
                left_s = leftover.since + self._watchdog.stop_s(leftover.prompt_id) - time.monotonic()
                if left_s <= 0 and leftover.running and self._may_kill(leftover):
                    await self._kill(leftover)
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(POLL_S, left_s) if left_s > 0 else POLL_S):
                        await leftover.over.wait()
        finally:
            del self._all[leftover.prompt_id]
            leftover.known.set()
            leftover.over.set()
            self._mark(leftover, running=False)

    async def _goes_on(self, leftover: Leftover) -> bool:
        """Interrupt the prompt, or take it out of the queue, and return whether ComfyUI still has it."""
        if leftover.over.is_set():
            return False
        again = leftover.known.is_set()
        try:
            async with asyncio.timeout(ANSWER_S):
                if not again:
                    await self._api.cancel(leftover.prompt_id)
                place = (await self._api.locate(leftover.prompt_id)).place
                if again and place in STILL_THERE:  # an older ComfyUI might interrupt another one instead
                    await self._api.cancel(leftover.prompt_id)
        except (EngineUnavailable, TimeoutError):  # it is gone, or so busy that it can't answer
            self._mark(leftover, running=self._watchdog.runs(leftover.prompt_id))
            return self._socket.connected or not self._restartable
        self._mark(leftover, running=place is PromptStatus.RUNNING)
        return place in STILL_THERE

    def _mark(self, leftover: Leftover, *, running: bool) -> None:
        if leftover.running != running:
            leftover.running = running
            self.changed()

    def _may_kill(self, leftover: Leftover) -> bool:
        return self._restartable and self._kills.allows(leftover.job.principal, time.monotonic())

    async def _kill(self, leftover: Leftover) -> None:
        now = time.monotonic()
        self._kills.spend(leftover.job.principal, now)
        after = f"{now - leftover.since:.0f} s after it was interrupted ({self._watchdog.where()})"
        self._watchdog.restart(f"a node of a job that has ended goes on {after}", healthy=True)
        with suppress(TimeoutError):
            await self._socket.closed(DEATH_S)

    def _cure(self, leftover: Leftover) -> str:
        if not self._restartable:
            return "it was interrupted, and only those who started this ComfyUI can restart it"
        if not self._may_kill(leftover):
            return f"its principal has had ComfyUI restarted {KILLS} times within an hour, so jobs wait for the node"
        return "ComfyUI is restarted if it does not stop"

    def _hear(self, message: RunMessage) -> None:
        if isinstance(message, Executing) and message.node is None and message.prompt_id in self._all:
            self._all[message.prompt_id].over.set()
