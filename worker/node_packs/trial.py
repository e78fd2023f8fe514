"""Starts an image's ComfyUI on the CPU and has it take every template: what it said, and what it refused."""

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
from worker.node_packs import standins
from worker.settings import Settings
from worker.supervision import stop
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.templates.fill import fill
from worker.workflow.templates.template import Template
from worker.workflow.validation.explain import Problem, explain

ASK_S = 0.1


@dataclass(frozen=True, slots=True)
class Trial:
    """`died` is a sentence where ComfyUI never answered. `refused` has the templates that it would not run."""

    log: str
    died: str = ""
    version: str = ""
    catalog: Catalog | None = None
    refused: Mapping[str, Sequence[Problem]] = field(default_factory=dict)


async def run_trial(folder: Path, templates: Sequence[Template], settings: Settings) -> Trial:
    """Writes nothing outside a temporary folder. Raises StartupError where `folder` is no ComfyUI."""
    with tempfile.TemporaryDirectory(prefix="verify-") as scratch:
        home = Path(scratch)
        more = standins.write(home, (model for one in templates for model in one.models))
        port = free_port()
        arguments = [*comfyui_command(folder, port), "--cpu", "--disable-auto-launch", *more]
        command = EngineCommand(arguments, f"http://{HOST}:{port}", home / "comfyui.log")
        async with _kept(command, settings) as keeping, aiohttp.ClientSession() as session:
            api = ComfyApi(session, command.url)
            catalog = await _catalog(api, keeping)
            if catalog is None:
                return Trial(_read(command.logs), died=str(keeping.exception() or "it ended"))
            refused = {one.name: await _refused(api, one, catalog) for one in templates}
            version = (await api.info()).version
            return Trial(
                _read(command.logs), "", version, catalog, {name: found for name, found in refused.items() if found}
            )


@asynccontextmanager
async def _kept(command: EngineCommand, settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """The task that starts it once; it raises WorkerFailed where ComfyUI does not answer. Stopped in the end."""
    supervisor = Supervisor(command, dataclasses.replace(settings.engine, tries=1))
    keeping = asyncio.create_task(supervisor.keep(), name="trial")
    try:
        yield keeping
    finally:
        await stop(keeping)


async def _catalog(api: ComfyApi, keeping: asyncio.Task[None]) -> Catalog | None:
    """As soon as ComfyUI answers; None where it ended instead."""
    while not keeping.done():
        with suppress(EngineUnavailable):
            return await api.catalog()
        await asyncio.wait({keeping}, timeout=ASK_S)
    return None


async def _refused(api: ComfyApi, template: Template, catalog: Catalog) -> Sequence[Problem]:
    """Nothing where ComfyUI takes it as a whole; it is taken out again at once."""
    given, prompt_id = standins.params(template), str(uuid.uuid4())
    prompt = fill(template, given, secrets.randbelow, frozenset(given.values())).prompt
    try:
        await api.submit(prompt, prompt_id, "verify")
        await api.cancel(prompt_id)
    except PromptRefusedError as refused:
        return explain(refused.error, refused.node_errors, prompt, catalog)
    except EngineUnavailable as error:
        return explain({"message": error.message}, {}, prompt)
    return ()


def _read(logs: Path) -> str:
    return logs.read_text("utf-8", "replace") if logs.exists() else ""
