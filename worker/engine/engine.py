"""One ComfyUI of this worker: its client, and where the worker starts it, its supervisor; its watchdog either way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from types import TracebackType
from typing import Protocol, Self

from worker.engine.api_key import check_api_key
from worker.engine.client import ComfyClient, Submitted
from worker.engine.config import EngineConfig
from worker.engine.crashes.attempts import Attempts
from worker.engine.leftovers import KillBudget, Leftovers
from worker.engine.process.names import per_engine
from worker.engine.process.supervisor import Supervisor
from worker.engine.protocol.api import ComfyApi
from worker.engine.protocol.messages import RunsIsolated
from worker.engine.protocol.websocket import EngineSocket
from worker.engine.run import OnMessage, Outputs, PromptLoss, PromptLostError
from worker.engine.saved_models import SavedModelFolders
from worker.engine.watchdog import Watchdog
from worker.errors import EngineUnavailable, GpuFailed, NodeFailed, OutOfMemory, WorkerFailed
from worker.events import EngineBlocked, Notify, ignore_event
from worker.job import JobRef
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import OnFailure, Tasks, stop
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

FREEING_S = 0.3
"""ComfyUI's thread empties the memory when it wakes up, but first runs a prompt that has come by then."""
CLOCK_S = 0.006
"""Longer than a step of a file system's clock, which is 4 ms on most kernels, and one of ComfyUI's, which is 1 ms."""


class ExclusiveLock:
    """Who may be inside ComfyUI at the same time: all jobs, or one alone.

    A job that goes in alone waits until the others have left; those that come later wait for it.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = 0
        """Those who want to be, or are, inside alone."""

    @asynccontextmanager
    async def inside(self, *, alone: bool = False) -> AsyncIterator[None]:
        self._alone += alone
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside if alone else not self._alone)
                self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
        finally:
            self._alone -= alone
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def _apart() -> AsyncIterator[None]:
    """Keep a distance to the prompts before and after, in which the clock of the file system moves on."""
    await asyncio.sleep(CLOCK_S)
    try:
        yield
    finally:
        await asyncio.sleep(CLOCK_S)


class InputPlacement(Protocol):
    """Where ComfyUI finds the files of jobs, by the names of their folders."""

    async def place(self, folder: str) -> None:
        """Put a job's files there for one of its prompts; `release` follows in any case. Raises DiskFull, OSError."""

    async def release(self, folder: str) -> None:
        """Remove them, unless another prompt of the job needs them."""


class Engine:
    """One ComfyUI and the parts that use and watch it.

    Entering the context starts its process, unless somebody else runs it, and does not wait until it answers.
    """

    def __init__(
        self,
        config: EngineConfig,
        settings: ComfySettings,
        limits: LimitSettings,
        tasks: Tasks,
        notify: Notify = ignore_event,
        kills: KillBudget | None = None,
    ) -> None:
        """`kills` counts those of all engines together."""
        self.config = config
        self.changed: Callable[[], None] = lambda: None
        """Called when ComfyUI was reached, lost or given up; set before it is opened."""
        self.has_alternative: Callable[[], bool] = lambda: False
        """Whether the worker goes on where this engine can't be started any more."""
        self.needs_isolation: Callable[[Prompt, Catalog | None], bool] = lambda *_: False
        """Whether a prompt may write files that only their times tell from those of others: then it runs apart."""
        self.another_is_free: Callable[[], bool] = lambda: False
        """Whether another engine is free."""
        self.inputs: InputPlacement | None = None
        """None where ComfyUI's input folder can't be reached: then the files were uploaded before."""
        self.final_error: str | None = None
        """Why it will not be started again in this life of the worker."""
        self._tasks = tasks
        self._notify = notify
        self.supervisor = Supervisor(config.command, settings, notify) if config.command else None
        """None where somebody else starts ComfyUI: then its end and its failed imports stand in its own log alone."""
        self.client = ComfyClient(config.url, settings, tasks, managed=self.managed, name=self.name, notify=notify)
        self.client.catalogs.saved = SavedModelFolders(config.output, config.models)
        self.client.catalogs.input = config.input
        self.client.stop = self._stop
        self._attempts: dict[str, Attempts] = {}
        """Those whose prompts are in ComfyUI, by prompt id."""
        watch = per_engine("engine-watch", self.name)
        self._watchdog = Watchdog(self.api, self.socket, self.supervisor, settings, limits, watch)
        self.leftovers = Leftovers(
            self.api, self.socket, self._watchdog, kills or KillBudget(), tasks, restartable=self.managed
        )
        self._exclusive_lock = ExclusiveLock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self.supervisor is not None:
            keeping = self._tasks.start(per_engine("engine", self.name), self._keep, OnFailure.END)
            self._stack.push_async_callback(stop, keeping)
        self.socket.changed, self.leftovers.changed = self.changed, self._leftovers_changed
        self.leftovers.another_is_free = self.another_is_free
        async with AsyncExitStack() as opening:
            opening.push_async_callback(self._stack.aclose)
            await self._stack.enter_async_context(self.client)
            await self._stack.enter_async_context(self._watchdog.watching(self._tasks))
            self._stack.push_async_callback(self.leftovers.close)
            opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def managed(self) -> bool:
        """True where this worker starts it: its prompts end with its process, and its process with the worker."""
        return self.supervisor is not None

    @property
    def api(self) -> ComfyApi:
        return self.client.api

    @property
    def socket(self) -> EngineSocket:
        return self.client.socket

    @property
    def connected(self) -> bool:
        return self.socket.connected and self.final_error is None

    @property
    def free(self) -> bool:
        """Whether a job that is sent now would run, after those that are there."""
        return self.connected and self.leftovers.running is None

    @property
    def restart_needed(self) -> str | None:
        """Why ComfyUI has to be restarted, where nobody here can."""
        return self._watchdog.restart_needed

    async def run(self, attempts: Attempts, prompt: Prompt, hear: OnMessage, submitted: Submitted) -> Outputs:
        """Run a prompt to its end, a second time where ComfyUI ran out of memory.

        Raises what `ComfyClient.follow` raises, GpuFailed, ApiKeyLost, ModelsMissing for a prompt that names a model of
        another job, and PromptLostError for one that was lost.
        """
        while True:
            apart = self.needs_isolation(prompt, self.client.known_catalog)
            try:
                async with (
                    self._exclusive_lock.inside(alone=attempts.alone or apart),
                    _apart() if apart else nullcontext(),
                ):
                    return await self._attempt(attempts, prompt, hear, submitted, apart=apart)
            except OutOfMemory:
                if attempts.freed:
                    raise
                log.warning("ComfyUI ran out of memory; trying once more with nothing else in it")
                attempts.freed, attempts.known_as = True, None
                with suppress(EngineUnavailable):  # then it forgets everything by itself
                    await self.api.free()
                    await asyncio.sleep(FREEING_S)

    async def _attempt(
        self, attempts: Attempts, prompt: Prompt, hear: OnMessage, submitted: Submitted, *, apart: bool
    ) -> Outputs:
        if attempts.alone:
            await self.leftovers.wait_until_gone()
        known = attempts.known_as is not None
        if not known:
            await self._check(attempts, prompt)
        prompt_id = attempts.begin()
        self._attempts[prompt_id] = attempts

        def taken(submitted_as: str | None) -> None:
            submitted(submitted_as)
            if apart and submitted_as is not None:
                hear(RunsIsolated(submitted_as))

        try:
            async with self._with_inputs(attempts):
                with self._watchdog.following(prompt_id, prompt):
                    return await self.client.follow(
                        prompt, hear, prompt_id, submitted=taken, known=known, options=attempts.options
                    )
        except (NodeFailed, OutOfMemory) as error:
            if await self._gpu_answers():
                raise
            if self.supervisor is None:
                raise GpuFailed("ComfyUI's GPU does not answer any more") from error
            self.supervisor.restart("its GPU does not answer any more", check_gpu=True)
            raise PromptLostError(PromptLoss.RUNNING) from error
        finally:
            del self._attempts[prompt_id]

    @asynccontextmanager
    async def _with_inputs(self, attempts: Attempts) -> AsyncIterator[None]:
        """Have the job's files where ComfyUI finds them, until ComfyUI has let go of the prompt."""
        if self.inputs is None:
            yield
            return
        try:
            await self.inputs.place(attempts.job.folder)
            yield
        finally:
            self._tasks.spawn(f"inputs-{attempts.prompt_id}", self._let_go(self.inputs, attempts.job))

    async def _let_go(self, inputs: InputPlacement, job: JobRef) -> None:
        """A job may have ended while ComfyUI still runs a node of it, which may read a file."""
        await self.leftovers.wait_until_gone(job)
        await inputs.release(job.folder)

    async def _check(self, attempts: Attempts, prompt: Prompt) -> None:
        """Raises ApiKeyLost and ModelsMissing where the prompt can't be sent any more."""
        if attempts.request.extra.lost_api_key:
            check_api_key(attempts.request.extra, prompt, await self.client.catalog())
        await self.client.catalogs.check_models(prompt)

    async def _stop(self, prompt_id: str) -> None:
        attempts = self._attempts[prompt_id]
        await self.leftovers.stop(prompt_id, attempts.job, attempts.workload)

    async def _gpu_answers(self) -> bool:
        """A failure while ComfyUI itself is going down says nothing of the job: that one runs again."""
        try:
            return await self.api.gpu_answers()
        except EngineUnavailable:
            raise PromptLostError(PromptLoss.UNTAKEN) from None

    def _leftovers_changed(self) -> None:
        self._notify(EngineBlocked(self.name, self.leftovers.running is not None))
        self.changed()

    async def _keep(self) -> None:
        """Keep ComfyUI running. Raises WorkerFailed where it can't be started any more and no other engine is left."""
        if self.supervisor is None:
            return
        try:
            await self.supervisor.keep()
        except WorkerFailed as end:
            self.final_error = str(end)
            if not self.has_alternative():
                raise
            log.critical("%s is given up, and the worker goes on without it: %s", self.name, end)
            self.changed()
