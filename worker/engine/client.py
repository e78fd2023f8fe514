"""The client of one engine: sends prompts to ComfyUI, follows them to their end and cancels them."""

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
from worker.engine.process.names import FIRST_ENGINE
from worker.engine.protocol.api import DEFAULT_OPTIONS, ComfyApi, SubmitOptions
from worker.engine.protocol.responses import EngineInfo
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

RECENT_S = 60.0
"""A connection that was lost less than this many seconds ago counts as recent."""
Submitted = Callable[[str | None], None]
"""Callback that is called with the id of a prompt just before it is posted, and with None after it was removed."""
Stop = Callable[[str], Coroutine[Any, Any, None]]
"""Coroutine function that removes the prompt with this id from ComfyUI, as far as ComfyUI allows it."""


class ComfyClient:
    """The HTTP session and the WebSocket to one ComfyUI, for the whole life of the worker.

    `managed` is True if this worker starts ComfyUI. Then a prompt is lost with ComfyUI's process, and the caller
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
        name: str = FIRST_ENGINE,
        notify: Notify = ignore_event,
    ) -> None:
        self._lost_s = max(settings.lost_s, settings.start_s if managed else 0.0)
        self._managed = managed
        self._silence_s = settings.event_silence_s
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60))
        self.api = ComfyApi(self._session, base_url)
        self.socket = EngineSocket(self._session, self.api.base_url, tasks, name, notify)
        from_file = read_catalog(settings.catalog) if settings.catalog else None
        self.catalogs = CatalogCache(self.api, self.socket, tasks, from_file)
        self._tasks = tasks
        self._info: EngineInfo | None = None
        self._info_connection = -1
        """Number of the connection during which `_info` was read."""
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
        """Whether ComfyUI is connected, or was within the last minute.

        A restart then takes less time than sending a job to another machine.
        """
        return self.socket.disconnected_s < RECENT_S

    async def info(self) -> EngineInfo:
        """Return ComfyUI's version and device, which are read once for each connection. Raises EngineUnavailable."""
        connection = self.socket.connections
        if self._info is None or self._info_connection != connection:
            self._info, self._info_connection = await self.api.info(), connection
        return self._info

    @property
    def known_catalog(self) -> Catalog | None:
        """The catalog that was read last, or before the first read that of WORKER_CATALOG, or None without either."""
        return self.catalogs.known

    async def catalog(self) -> Catalog:
        """Return the catalog, which is read once for each connection. Raises EngineUnavailable.

        The response of ComfyUI has 2 MB with a few node packs.
        """
        return await self.catalogs.get()

    async def run_prompt(
        self,
        prompt: Prompt,
        on_message: OnMessage,
        prompt_id: str,
        *,
        submitted: Submitted = lambda _: None,
        already_submitted: bool = False,
        options: SubmitOptions = DEFAULT_OPTIONS,
    ) -> Outputs:
        """Submit a prompt unless it was `already_submitted`, and return its outputs once it has ended.

        When the calling task is cancelled, the prompt is removed from ComfyUI, and `submitted` is called with None.
        Raises what `Run.follow` raises, and InvalidWorkflow. Raises PromptLostError at once for a managed engine that
        is not connected.
        """
        await self._wait_until_connected()
        with self.socket.subscription(prompt_id) as subscription:
            run = Run(
                prompt_id=prompt_id,
                prompt=prompt,
                api=self.api,
                socket=self.socket,
                subscription=subscription,
                silence_s=self._silence_s,
                lost_s=self._lost_s,
                on_message=on_message,
                submitted_at=0.0 if already_submitted else time.monotonic(),
                without_frames=already_submitted,
                unreadable_before=self.socket.unreadable_frames,
                managed=self._managed,
                options=options,
            )
            return await self._submit_and_follow(run, submitted, already_submitted=already_submitted)

    async def _submit_and_follow(self, run: Run, submitted: Submitted, *, already_submitted: bool) -> Outputs:
        """Submit the prompt and follow it to its end. Remove it from ComfyUI when the run fails or is cancelled."""
        try:
            if not already_submitted:
                submitted(run.prompt_id)
                run.accepted = await self._try_submit(run)
                run.without_frames = not run.accepted
            return await run.follow()
        except PromptRefusedError as error:
            # ComfyUI may have accepted a part of the prompt.
            await self._cancel(run.prompt_id)
            raise await self._to_client_error(error, run.prompt) from None
        except PromptLostError as lost:
            if lost.loss is PromptLoss.EVICTED:  # ComfyUI may still have it in its queue
                await self._cancel(run.prompt_id)
            raise
        except (asyncio.CancelledError, EngineUnavailable):
            # A prompt without a client must not reach the GPU.
            await self._cancel(run.prompt_id)
            submitted(None)
            raise

    async def _wait_until_connected(self) -> None:
        """Wait for the connection. Raises PromptLostError for a managed engine, EngineUnavailable after a timeout."""
        if self._managed and not self.socket.connected:
            raise PromptLostError(PromptLoss.NOT_ACCEPTED)
        if self.socket.connected:
            return
        try:
            await self.socket.wait_until_open(self._lost_s)
        except TimeoutError:
            raise EngineUnavailable("ComfyUI cannot be reached") from None

    async def _try_submit(self, run: Run) -> bool:
        """Submit the prompt and return True, or False when ComfyUI did not respond.

        ComfyUI may have accepted the prompt in that case, which the run finds out by polling.
        """
        try:
            await self._submit(run)
        except EngineUnavailable:
            log.warning("ComfyUI did not respond to the submission of a prompt")
            return False
        return True

    async def _submit(self, run: Run) -> None:
        """Post the prompt, and complete the request even when the task is cancelled.

        ComfyUI may queue a prompt whose request was aborted, after the prompt was cancelled.
        """
        posting = asyncio.ensure_future(
            self.api.submit(run.prompt, run.prompt_id, run.subscription.client_id, run.options)
        )
        try:
            await asyncio.shield(posting)
        except asyncio.CancelledError:
            await asyncio.wait({posting})
            with suppress(EngineUnavailable, PromptRefusedError):
                posting.result()  # so that asyncio does not log the error as never retrieved
            raise

    async def _to_client_error(self, rejection: PromptRefusedError, prompt: Prompt) -> InvalidWorkflow | ModelsMissing:
        """Return the error for a rejected prompt, with suggestions if the catalog can be read."""
        try:
            catalog: Catalog | None = await self.catalog()
        except EngineUnavailable:
            catalog = None
        rejection = await self._without_files_of_jobs(rejection)
        default_message = (
            "ComfyUI rejects some of the outputs" if rejection.node_errors else "ComfyUI cannot read the workflow"
        )
        problems = explain(rejection.error, rejection.node_errors, prompt, catalog)
        missing = missing_files(problems, prompt)
        if missing is not None:
            return ModelsMissing(missing[0].message, [error_detail(problem) for problem in missing])
        return InvalidWorkflow(
            rejection.error.get("message") or default_message, [error_detail(problem) for problem in problems]
        )

    async def _without_files_of_jobs(self, rejection: PromptRefusedError) -> PromptRefusedError:
        """Return the rejection without names of other jobs' files, which ComfyUI lists among the possible choices."""
        error = response_without_job_folders(rejection.error)
        node_errors = response_without_job_folders(rejection.node_errors)
        saved_models = await self.catalogs.saved_models.scan()
        if saved_models:
            error = saved_models.response_without_names(error)
            node_errors = saved_models.response_without_names(node_errors)
        return PromptRefusedError(error, node_errors)

    async def _cancel(self, prompt_id: str) -> None:
        """Remove a prompt from ComfyUI, even when the caller is cancelled a second time."""
        task = self._tasks.spawn(f"cancel-{prompt_id}", self.stop(prompt_id))
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)
        await asyncio.shield(task)

    async def _cancel_quietly(self, prompt_id: str) -> None:
        """Remove a prompt from ComfyUI, or do nothing when ComfyUI does not respond."""
        with suppress(EngineUnavailable):  # ComfyUI has ended, and the prompt with it
            await self.api.cancel(prompt_id)


def error_detail(problem: Problem) -> Detail:
    """Return the detail of an error that describes a problem of a workflow."""
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
