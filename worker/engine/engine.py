"""One ComfyUI of this worker: its client, its watchdog and, where the worker starts it, its supervisor."""

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
from worker.engine.exclusive_lock import ExclusiveLock, pause_around
from worker.engine.folders.saved_models import SavedModelFolders
from worker.engine.health.watchdog import Watchdog
from worker.engine.leftovers import KillBudget, Leftovers
from worker.engine.process.names import per_engine
from worker.engine.process.supervisor import Supervisor
from worker.engine.protocol.api import ComfyApi
from worker.engine.protocol.messages import RunsIsolated
from worker.engine.protocol.websocket import EngineSocket
from worker.engine.run import OnMessage, Outputs, PromptLoss, PromptLostError
from worker.errors import EngineUnavailable, GpuFailed, NodeFailed, OutOfMemory, WorkerFailed
from worker.events import EngineBlocked, Notify, ignore_event
from worker.job import JobRef
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import OnFailure, Tasks, stop
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

log = logging.getLogger(__name__)

FREEING_S = 0.3
"""Seconds until the prompt is sent again after a request to free the memory.

ComfyUI frees it between two prompts, so a prompt that was queued too early would run before."""


class InputPlacement(Protocol):
    """Places the input files of jobs in ComfyUI's input folder, by the names of their folders."""

    async def place(self, folder: str) -> None:
        """Place a job's files for one of its prompts. The caller always calls `release`.

        Raises DiskFull and OSError.
        """

    async def release(self, folder: str) -> None:
        """Remove a job's files, unless another of its prompts needs them."""


class Engine:
    """One ComfyUI with its client, supervisor and watchdog, and its leftovers: prompts of jobs that have ended.

    Entering the context starts ComfyUI's process if the worker manages it, and does not wait until it is ready.
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
        """`kills` is the budget of all engines together."""
        self.config = config
        self.changed: Callable[[], None] = lambda: None
        """Called when ComfyUI was connected, lost or given up. Set it before the context is entered."""
        self.has_alternative: Callable[[], bool] = lambda: False
        """Returns whether the worker can go on without this engine."""
        self.needs_isolation: Callable[[Prompt, Catalog | None], bool] = lambda *_: False
        """Returns whether a prompt must run isolated, because only the times of its files identify them."""
        self.another_is_free: Callable[[], bool] = lambda: False
        """Returns whether another engine is free."""
        self.inputs: InputPlacement | None = None
        """Places input files in ComfyUI's input folder. None if it cannot be reached: then the caller uploads them."""
        self.final_error: str | None = None
        """Reason why this engine is not started again while the worker lives."""
        self._tasks = tasks
        self._notify = notify
        self.supervisor = Supervisor(config.command, settings, notify) if config.command else None
        """None if the worker does not start ComfyUI."""
        self.client = ComfyClient(config.url, settings, tasks, managed=self.managed, name=self.name, notify=notify)
        self.client.catalogs.saved_models = SavedModelFolders(config.output, config.models)
        self.client.catalogs.input = config.input
        self.client.stop = self._stop
        self._attempts: dict[str, Attempts] = {}
        """The attempts whose prompts are in ComfyUI, by prompt id."""
        watch = per_engine("engine-watch", self.name)
        self._watchdog = Watchdog(self.api, self.socket, self.supervisor, settings, limits, watch)
        self.leftovers = Leftovers(
            self.api, self.socket, self._watchdog, kills or KillBudget(), tasks, restartable=self.managed
        )
        self._exclusive_lock = ExclusiveLock()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self.supervisor is not None:
            supervision = self._tasks.start(per_engine("engine", self.name), self._keep_running, OnFailure.END)
            self._stack.push_async_callback(stop, supervision)
        self.socket.changed = self.changed
        self.leftovers.changed = self._leftovers_changed
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
        """The engine's name, such as `engine-0`."""
        return self.config.name

    @property
    def managed(self) -> bool:
        """Whether this worker starts ComfyUI. A prompt of a managed engine is lost when its process ends."""
        return self.supervisor is not None

    @property
    def api(self) -> ComfyApi:
        return self.client.api

    @property
    def socket(self) -> EngineSocket:
        return self.client.socket

    @property
    def connected(self) -> bool:
        """Whether ComfyUI is connected and was not given up."""
        return self.socket.connected and self.final_error is None

    @property
    def free(self) -> bool:
        """Whether ComfyUI is connected and not blocked by a node of a job that has ended."""
        return self.connected and self.leftovers.running is None

    @property
    def restart_needed(self) -> str | None:
        """Reason why the operator has to restart ComfyUI, or None while that is not needed."""
        return self._watchdog.restart_needed

    async def run(self, attempts: Attempts, prompt: Prompt, on_message: OnMessage, submitted: Submitted) -> Outputs:
        """Run a prompt and return its outputs. After an out-of-memory error, free the memory and run it once more.

        If the prompt must be isolated, it runs alone, with a pause before and after it.

        Raises what `ComfyClient.run_prompt` raises, GpuFailed, ApiKeyLost and ModelsMissing. Raises PromptLostError
        when ComfyUI has lost the prompt.
        """
        while True:
            isolated = self.needs_isolation(prompt, self.client.known_catalog)
            try:
                async with (
                    self._exclusive_lock.hold(alone=attempts.alone or isolated),
                    pause_around() if isolated else nullcontext(),
                ):
                    return await self._attempt(attempts, prompt, on_message, submitted, isolated=isolated)
            except OutOfMemory:
                if attempts.freed:
                    raise
                log.warning("ComfyUI ran out of memory; running the prompt once more after freeing the memory")
                attempts.freed = True
                attempts.earlier_prompt_id = None
                with suppress(EngineUnavailable):  # a ComfyUI that ends frees its memory anyway
                    await self.api.free()
                    await asyncio.sleep(FREEING_S)

    async def _attempt(
        self, attempts: Attempts, prompt: Prompt, on_message: OnMessage, submitted: Submitted, *, isolated: bool
    ) -> Outputs:
        """Run a prompt once.

        When the GPU has failed, this restarts a managed engine and raises PromptLostError, or else raises GpuFailed.
        """
        if attempts.alone:
            await self.leftovers.wait_until_gone()
        already_submitted = attempts.earlier_prompt_id is not None
        if not already_submitted:
            await self._check_before_submission(attempts, prompt)
        prompt_id = attempts.begin()
        self._attempts[prompt_id] = attempts

        def report_submission(submitted_id: str | None) -> None:
            submitted(submitted_id)
            if isolated and submitted_id is not None:
                on_message(RunsIsolated(submitted_id))

        try:
            async with self._with_inputs(attempts):
                with self._watchdog.following(prompt_id, prompt):
                    return await self.client.run_prompt(
                        prompt,
                        on_message,
                        prompt_id,
                        submitted=report_submission,
                        already_submitted=already_submitted,
                        options=attempts.options,
                    )
        except (NodeFailed, OutOfMemory) as error:
            if await self._gpu_works():
                raise
            if self.supervisor is None:
                raise GpuFailed("ComfyUI's GPU does not respond") from error
            self.supervisor.restart("its GPU does not respond", check_gpu=True)
            raise PromptLostError(PromptLoss.RUNNING) from error
        finally:
            del self._attempts[prompt_id]

    @asynccontextmanager
    async def _with_inputs(self, attempts: Attempts) -> AsyncIterator[None]:
        """Keep the job's input files in ComfyUI's input folder until no node of the job runs."""
        if self.inputs is None:
            yield
            return
        try:
            await self.inputs.place(attempts.job.folder)
            yield
        finally:
            self._tasks.spawn(f"inputs-{attempts.prompt_id}", self._remove_inputs(self.inputs, attempts.job))

    async def _remove_inputs(self, inputs: InputPlacement, job: JobRef) -> None:
        """Remove a job's input files once no node of it runs, because a node may still read them."""
        await self.leftovers.wait_until_gone(job)
        await inputs.release(job.folder)

    async def _check_before_submission(self, attempts: Attempts, prompt: Prompt) -> None:
        """Raise ApiKeyLost or ModelsMissing for a prompt that cannot be sent."""
        if attempts.request.extra.lost_api_key:
            check_api_key(attempts.request.extra, prompt, await self.client.catalog())
        await self.client.catalogs.check_models(prompt)

    async def _stop(self, prompt_id: str) -> None:
        """Remove a prompt from ComfyUI. If one of its nodes does not stop, the leftovers watch it."""
        attempts = self._attempts[prompt_id]
        await self.leftovers.stop(prompt_id, attempts.job)

    async def _gpu_works(self) -> bool:
        """Return whether ComfyUI can use its GPU.

        Raises PromptLostError when ComfyUI does not respond: the failure of a node says nothing about the job then.
        """
        try:
            return await self.api.gpu_works()
        except EngineUnavailable:
            raise PromptLostError(PromptLoss.NOT_ACCEPTED) from None  # this loss never counts against the job

    def _leftovers_changed(self) -> None:
        """Report whether a node of a job that has ended blocks ComfyUI."""
        self._notify(EngineBlocked(self.name, self.leftovers.running is not None))
        self.changed()

    async def _keep_running(self) -> None:
        """Keep a managed ComfyUI running. Raises WorkerFailed when it cannot be started and no other engine is left."""
        if self.supervisor is None:
            return
        try:
            await self.supervisor.keep_running()
        except WorkerFailed as error:
            self.final_error = str(error)
            if not self.has_alternative():
                raise
            log.critical("%s cannot be started, and the worker goes on without it: %s", self.name, error)
            self.changed()
