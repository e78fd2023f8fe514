"""The worker's view of one engine: hand it a prompt, get its outputs; leave, and the prompt is gone from it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp

from worker.engine.catalogs import CatalogCache, read_catalog
from worker.engine.process.names import FIRST
from worker.engine.protocol.api import DEFAULT_OPTIONS, ComfyApi, EngineInfo, SubmitOptions
from worker.engine.protocol.websocket import EngineSocket
from worker.engine.run import OnMessage, Outputs, PromptLoss, PromptLostError, Run
from worker.errors import Detail, EngineUnavailable, InvalidWorkflow, ModelsMissing, PromptRefusedError
from worker.events import Notify, ignore_event
from worker.settings import ComfySettings
from worker.supervision import Tasks
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.job_folders import response_without_job_folders
from worker.workflow.prompt import Prompt
from worker.workflow.validation.explain import Problem, explain
from worker.workflow.validation.skipped_models import missing_files

log = logging.getLogger(__name__)

BRIEFLY_S = 60.0
Submitted = Callable[[str | None], None]
"""Told the id of a prompt just before it is posted, and None once it was taken out again."""
Stop = Callable[[str], Coroutine[Any, Any, None]]
"""Takes a prompt out of ComfyUI, by its id, as far as ComfyUI lets it."""


class ComfyClient:
    """One HTTP session and one WebSocket for as long as the worker lives.

    `managed` is true where this worker starts ComfyUI. Then a prompt is lost with ComfyUI's process, and the caller
    decides on which engine it runs again. Otherwise a prompt waits until ComfyUI is back. `name` is the engine's name
    in events.
    """

    def __init__(
        self,
        base_url: str,
        settings: ComfySettings,
        tasks: Tasks,
        *,
        managed: bool = False,
        name: str = FIRST,
        notify: Notify = ignore_event,
    ) -> None:
        self._lost_s = max(settings.lost_s, settings.start_s if managed else 0.0)
        self._managed = managed
        self._silence_s = settings.event_silence_s
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60))
        self.api = ComfyApi(self._session, base_url)
        self.socket = EngineSocket(self._session, self.api.base_url, tasks, name, notify)
        known = read_catalog(settings.catalog) if settings.catalog else None
        self.catalogs = CatalogCache(self.api, self.socket, tasks, known)
        self._tasks = tasks
        self._info: tuple[int, EngineInfo] | None = None
        self.stop: Stop = self._cancel_quietly
        self._cancelling: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.socket.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._cancelling:
            await asyncio.wait(self._cancelling)
        await self.catalogs.close()
        await self.socket.__aexit__(kind, error, traceback)
        await self._session.close()

    @property
    def recently_connected(self) -> bool:
        """It is there, or was a moment ago: a restart takes less time than to send a job to another machine."""
        return self.socket.away_s < BRIEFLY_S

    async def info(self) -> EngineInfo:
        """Read once in a life of the engine; raises EngineUnavailable."""
        life = self.socket.connections
        if self._info is None or self._info[0] != life:
            self._info = life, await self.api.info()
        return self._info[1]

    @property
    def known_catalog(self) -> Catalog | None:
        """The engine's, once it was read; until then what WORKER_CATALOG has of it, if anything."""
        return self.catalogs.known

    async def catalog(self) -> Catalog:
        """Read once in a life of the engine (2 MB from a ComfyUI with a few packs); raises EngineUnavailable."""
        return await self.catalogs.get()

    async def follow(
        self,
        prompt: Prompt,
        hear: OnMessage,
        prompt_id: str,
        *,
        submitted: Submitted = lambda _: None,
        known: bool = False,
        options: SubmitOptions = DEFAULT_OPTIONS,
    ) -> Outputs:
        """Send a prompt once, with `options`, unless it is `known` to ComfyUI already, and follow it to its end.

        Cancel the task to take the prompt out of ComfyUI, wherever it stands; `submitted` is told None then.
        Raises what `Run.follow` raises, and InvalidWorkflow; PromptLostError at once for an engine that this worker
        starts and that is not there.
        """
        await self._reachable()
        with self.socket.subscription(prompt_id) as subscription:
            run = Run(
                prompt_id=prompt_id,
                prompt=prompt,
                api=self.api,
                socket=self.socket,
                subscription=subscription,
                silence_s=self._silence_s,
                lost_s=self._lost_s,
                hear=hear,
                submitted_at=0.0 if known else time.monotonic(),
                deaf=known,
                garbled_before=self.socket.garbled,
                managed=self._managed,
                options=options,
            )
            return await self._to_the_end(run, submitted, known=known)

    async def _to_the_end(self, run: Run, submitted: Submitted, *, known: bool) -> Outputs:
        try:
            if not known:
                submitted(run.prompt_id)
                run.taken = await self._taken(run)
                run.deaf = not run.taken
            return await run.follow()
        except PromptRefusedError as error:
            # Accepted in part, maybe.
            await self._cancel(run.prompt_id)
            raise await self._explained(error, run.prompt) from None
        except PromptLostError as lost:
            if lost.loss is PromptLoss.EVICTED:  # it may still wait there
                await self._cancel(run.prompt_id)
            raise
        except (asyncio.CancelledError, EngineUnavailable):
            # A prompt that nobody will follow any more must not reach the GPU.
            await self._cancel(run.prompt_id)
            submitted(None)
            raise

    async def _reachable(self) -> None:
        if self._managed and not self.socket.connected:
            raise PromptLostError(PromptLoss.UNTAKEN)
        if self.socket.connected:
            return
        try:
            await self.socket.opened(self._lost_s)
        except TimeoutError:
            raise EngineUnavailable("ComfyUI can't be reached") from None

    async def _taken(self, run: Run) -> bool:
        """False where ComfyUI did not answer: whether it has the prompt all the same has to be asked."""
        try:
            await self._submit(run)
        except EngineUnavailable:
            log.warning("ComfyUI did not answer the submission of a prompt")
            return False
        return True

    async def _submit(self, run: Run) -> None:
        """Not left half-way: a post cut off by a cancellation might still be queued, after the prompt was cancelled."""
        posting = asyncio.ensure_future(
            self.api.submit(run.prompt, run.prompt_id, run.subscription.client_id, run.options)
        )
        try:
            await asyncio.shield(posting)
        except asyncio.CancelledError:
            await asyncio.wait({posting})
            with suppress(EngineUnavailable, PromptRefusedError):
                posting.result()
            raise

    async def _explained(self, refused: PromptRefusedError, prompt: Prompt) -> InvalidWorkflow | ModelsMissing:
        """With suggestions, for which the catalog has to be there."""
        try:
            catalog: Catalog | None = await self.catalog()
        except EngineUnavailable:
            catalog = None
        # ComfyUI's own words list what there is.
        refused = PromptRefusedError(
            response_without_job_folders(refused.error), response_without_job_folders(refused.node_errors)
        )
        saved = await self.catalogs.saved.scan()
        if saved:
            refused = PromptRefusedError(
                saved.response_without_names(refused.error), saved.response_without_names(refused.node_errors)
            )
        partly = "ComfyUI refuses some of the outputs" if refused.node_errors else "ComfyUI can't read the workflow"
        problems = explain(refused.error, refused.node_errors, prompt, catalog)
        if (files := missing_files(problems, prompt)) is not None:
            return ModelsMissing(files[0].message, [error_detail(found) for found in files])
        return InvalidWorkflow(refused.error.get("message") or partly, [error_detail(found) for found in problems])

    async def _cancel(self, prompt_id: str) -> None:
        """Carried through even when the caller is cancelled again."""
        task = self._tasks.spawn(f"cancel-{prompt_id}", self.stop(prompt_id))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)
        await asyncio.shield(task)

    async def _cancel_quietly(self, prompt_id: str) -> None:
        with suppress(EngineUnavailable):  # then there is nothing left to cancel
            await self.api.cancel(prompt_id)


def error_detail(problem: Problem) -> Detail:
    """A problem of a workflow as a part of an error."""
    return Detail(
        problem.message,
        problem.node_id,
        problem.node_title,
        problem.class_type,
        problem.input,
        problem.suggestion,
        expected=problem.expected,
        comfyui_type=problem.comfyui_type,
    )
