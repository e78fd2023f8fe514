"""A trial of an image: starts its ComfyUI on the CPU and submits every template to it."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
import tempfile
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from worker.engine.process.free_port import HOST, free_port
from worker.engine.process.launch import comfyui_command
from worker.engine.process.supervisor import EngineCommand, Supervisor
from worker.engine.protocol.api import ComfyApi
from worker.errors import EngineUnavailable, PromptRefusedError
from worker.node_packs.standins import standin_params, write_standins
from worker.settings import Settings
from worker.supervision import stop
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.fill import fill
from worker.workflow.templates.template import Template
from worker.workflow.validation.explain import Problem, explain

POLL_S = 0.1
"""Seconds between two requests for the catalog while ComfyUI starts."""


@dataclass(frozen=True, slots=True)
class Trial:
    """The result of a trial.

    `failure` is a sentence when ComfyUI never responded, and then there is no catalog. `refused` has the problems of
    the templates that ComfyUI rejected.
    """

    log: str
    failure: str = ""
    version: str = ""
    catalog: Catalog | None = None
    refused: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


async def run_trial(folder: Path, templates: Sequence[Template], settings: Settings) -> Trial:
    """Start the ComfyUI in `folder` on the CPU, submit the templates, stop it, and return the result.

    Each template is cancelled after its submission. Nothing is written outside a temporary folder. Raises StartupError
    when `folder` has no ComfyUI.
    """
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        home = Path(scratch)
        models = (model for template in templates for model in template.models)
        options = write_standins(home, models)
        port = free_port()
        arguments = [*comfyui_command(folder, port), "--cpu", "--disable-auto-launch", *options]
        command = EngineCommand(arguments, f"http://{HOST}:{port}", home / "comfyui.log")
        async with _comfyui(command, settings) as running, aiohttp.ClientSession() as session:
            api = ComfyApi(session, command.url)
            catalog = await _read_catalog(api, running)
            if catalog is None:
                return Trial(_read(command.logs), failure=str(running.exception() or "it exited"))
            problems = {template.name: await _problems(api, template, catalog) for template in templates}
            refused = {name: rows for name, rows in problems.items() if rows}
            version = (await api.info()).version
            return Trial(_read(command.logs), "", version, catalog, refused)


@asynccontextmanager
async def _comfyui(command: EngineCommand, settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """Start ComfyUI and yield the task that supervises it. Stop ComfyUI when the context ends.

    The task ends when ComfyUI exits. It raises WorkerFailed when ComfyUI never responds, because it is started once.
    """
    supervisor = Supervisor(command, dataclasses.replace(settings.engine, tries=1))
    running = asyncio.create_task(supervisor.keep_running(), name="trial")
    try:
        yield running
    finally:
        await stop(running)


async def _read_catalog(api: ComfyApi, running: asyncio.Task[None]) -> Catalog | None:
    """Wait until ComfyUI responds and return its catalog. Return None when it exits before. `running` is its task."""
    while not running.done():
        with suppress(EngineUnavailable):
            return await api.catalog()
        await asyncio.wait({running}, timeout=POLL_S)
    return None


async def _problems(api: ComfyApi, template: Template, catalog: Catalog) -> Sequence[Problem]:
    """Submit a template with stand-ins for its files and cancel it. Return the problems, none if it was accepted."""
    params, prompt_id = standin_params(template), str(uuid.uuid4())
    prompt = fill(template, params, secrets.randbelow, frozenset(params.values())).prompt
    try:
        await api.submit(prompt, prompt_id, "verify")
        await api.cancel(prompt_id)
    except PromptRefusedError as refused:
        return explain(refused.error, refused.node_errors, prompt, catalog)
    except EngineUnavailable as error:
        return explain({"message": error.message}, {}, prompt)
    return ()


def _read(log: Path) -> str:
    """Return the text of a log, or an empty text when there is none."""
    return log.read_text("utf-8", "replace") if log.exists() else ""
