"""The configuration of a worker's engines: the address, folders, GPU and command of each ComfyUI."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, create_state_folder, engine_folders, is_url, known_folders
from worker.engine.process.gpu import AUTO, listed_gpus, read_gpus
from worker.engine.process.launch import engine_command
from worker.engine.process.names import FIRST_ENGINE, engine_name
from worker.engine.process.sandbox.support import SandboxState, engines_sandbox
from worker.engine.process.supervisor import EngineCommand
from worker.engine.process.volume import log_volume
from worker.errors import StartupError
from worker.settings import Settings, engine_environment

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """The configuration of one ComfyUI.

    `input`, `output` and `temp` are its folders, or None if this process cannot reach them. `gpu` is the value of
    CUDA_VISIBLE_DEVICES, or None if ComfyUI sees all GPUs. `command` starts ComfyUI. It is None if the worker does not.
    """

    name: str
    url: str
    input: Path | None
    output: Path | None
    temp: Path | None = None
    gpu: str | None = None
    command: EngineCommand | None = None
    models: tuple[Path, ...] = ()
    """The operator's folders of models, as far as the worker knows them."""


async def engine_configs(settings: Settings) -> list[EngineConfig]:
    """Create the state folder, and return the configured engines: one, or one for each GPU of WORKER_GPUS.

    Raises StartupError for settings that exclude each other or cannot be met.
    """
    create_state_folder(settings.state)
    if is_url(settings.engine.comfyui):
        if settings.engine.gpus:
            raise StartupError(
                f"WORKER_GPUS={settings.engine.gpus} starts one ComfyUI for each GPU, but"
                f" WORKER_COMFYUI={settings.engine.comfyui} is a ComfyUI that runs already:"
                " leave WORKER_GPUS empty, or set WORKER_COMFYUI to a folder"
            )
        url = settings.engine.comfyui.rstrip("/")
        models = (settings.models.folder,) if settings.models.folder else ()
        return [
            EngineConfig(FIRST_ENGINE, url, settings.engine.input_folder, settings.engine.output_folder, models=models)
        ]
    log_sandbox_gaps(settings)
    await asyncio.to_thread(log_volume, settings, known_folders())
    requested_gpus = settings.engine.gpus.strip()
    gpu_count = await listed_gpus() if requested_gpus == AUTO and settings.engine.comfyui != EMBEDDED else 0
    visible = engine_environment().get("CUDA_VISIBLE_DEVICES", "")
    gpus: Sequence[str | None] = read_gpus(requested_gpus, visible, gpu_count) or (None,)  # None: all GPUs
    return [managed_config(settings, engine_name(number), gpu) for number, gpu in enumerate(gpus)]


def visible_gpus_of(configs: Sequence[EngineConfig]) -> dict[str, str | None]:
    """Return CUDA_VISIBLE_DEVICES of each engine that this worker starts, or None where the variable is not set."""
    inherited = engine_environment().get("CUDA_VISIBLE_DEVICES")
    return {config.name: config.gpu or inherited for config in configs if config.command is not None}


def log_sandbox_gaps(settings: Settings) -> None:
    """Log what the sandbox of the engines cannot protect. Raises StartupError when the sandbox is required."""
    status = engines_sandbox(settings)
    if status is not None and status.state is not SandboxState.ON:
        log.warning("the sandbox of ComfyUI is %s", status)


def managed_config(settings: Settings, name: str, gpu: str | None) -> EngineConfig:
    """Return the configuration of an engine that this worker starts.

    Raises StartupError when WORKER_COMFYUI is a URL, or when the engine cannot be started with these settings.
    """
    folders = engine_folders(settings, name)
    if folders is None:
        raise StartupError(f"WORKER_COMFYUI={settings.engine.comfyui} is not started by this worker")
    command = engine_command(settings, folders, name, gpu)
    temp, models = folders.root / "temp", folders.model_roots
    return EngineConfig(name, command.url, folders.input, folders.output, temp, gpu, command, models)
