"""The engines of a worker before they are started: one ComfyUI each, with a GPU, folders and an address of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, create_state_folder, engine_folders, is_url
from worker.engine.process.gpu import AUTO, listed_gpus, read_gpus
from worker.engine.process.launch import command
from worker.engine.process.names import FIRST, engine_name
from worker.engine.process.sandbox.support import SandboxState, engines_sandbox
from worker.engine.process.supervisor import EngineCommand
from worker.errors import StartupError
from worker.settings import Settings, engine_environment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """One ComfyUI: its address, its folders where this process can reach them, and how it is started.

    `gpu` is its value of CUDA_VISIBLE_DEVICES, None where it sees all. `command` is None where somebody else runs it.
    """

    name: str
    url: str
    input: Path | None
    output: Path | None
    temp: Path | None = None
    gpu: str | None = None
    command: EngineCommand | None = None
    models: tuple[Path, ...] = ()
    """The operator's folders of models, where they are known."""


async def engine_configs(settings: Settings) -> list[EngineConfig]:
    """Return the engines that the settings ask for: one, or with WORKER_GPUS one for each GPU. Raises StartupError."""
    create_state_folder(settings.state)
    if is_url(settings.engine.comfyui):
        if settings.engine.gpus:
            raise StartupError(
                f"WORKER_GPUS={settings.engine.gpus} starts one ComfyUI for each GPU, and"
                f" WORKER_COMFYUI={settings.engine.comfyui} is one that runs already:"
                " leave WORKER_GPUS empty, or give WORKER_COMFYUI a folder"
            )
        url = settings.engine.comfyui.rstrip("/")
        models = (settings.models.folder,) if settings.models.folder else ()
        return [EngineConfig(FIRST, url, settings.engine.input_folder, settings.engine.output_folder, models=models)]
    log_sandbox_gaps(settings)
    text = settings.engine.gpus.strip()
    listed = await listed_gpus() if text == AUTO and settings.engine.comfyui != EMBEDDED else 0
    visible = engine_environment().get("CUDA_VISIBLE_DEVICES", "")
    gpus: Sequence[str | None] = read_gpus(text, visible, listed) or (None,)
    return [started(settings, engine_name(number), gpu) for number, gpu in enumerate(gpus)]


def log_sandbox_gaps(settings: Settings) -> None:
    """Log once what the engines' sandbox can't keep from node packs. Raises StartupError where it is required."""
    status = engines_sandbox(settings)
    if status is not None and status.state is not SandboxState.ON:
        log.warning("the sandbox of ComfyUI is %s", status)


def started(settings: Settings, name: str, gpu: str | None) -> EngineConfig:
    """Return the engine of this name that the worker starts. Raises StartupError."""
    folders = engine_folders(settings, name)
    if folders is None:
        raise StartupError(f"WORKER_COMFYUI={settings.engine.comfyui} is not started by this worker")
    how = command(settings, folders, name, gpu)
    models = (folders.models, *([folders.baked] if folders.baked else []))
    return EngineConfig(name, how.url, folders.input, folders.output, folders.root / "temp", gpu, how, models)
