"""The engine's process, where the worker starts it: a ComfyUI folder or the embedded engine; a URL is left alone."""

from __future__ import annotations

import shlex
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from worker.engine.process.folders import (
    EMBEDDED,
    EngineFolders,
    comfyui_arguments,
    engine_folders,
    engine_home,
    make_state,
)
from worker.engine.process.gpu import PROBE
from worker.engine.process.supervisor import Command, Supervisor
from worker.errors import StartupError
from worker.events import Notify, unobserved
from worker.settings import Settings, engine_environment
from worker.simulators.comfyui.faults.fault import BadFault, parse_faults
from worker.subcommand import own_command
from worker.supervision import OnFailure, Tasks, stop

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EngineProcess:
    """Where an engine is, its folders where this process can reach them, and who can restart it, if anybody here."""

    url: str
    input_folder: Path | None
    output_folder: Path | None
    supervisor: Supervisor | None = None


@asynccontextmanager
async def engine(settings: Settings, tasks: Tasks, notify: Notify = unobserved) -> AsyncIterator[EngineProcess]:
    """The engine that `settings.comfyui` names; started, kept running and stopped here unless it is a URL.

    Raises StartupError. Does not wait until it answers: `Link` does.
    """
    make_state(settings.state)
    folders = engine_folders(settings)
    if folders is None:
        yield EngineProcess(settings.comfyui.rstrip("/"), settings.comfyui_input, settings.comfyui_output)
        return
    supervisor = Supervisor(command(settings, folders), settings, notify)
    keeping = tasks.start("engine", supervisor.keep, OnFailure.END)
    try:
        yield EngineProcess(supervisor.url, folders.input, folders.output, supervisor)
    finally:
        await stop(keeping)


def command(settings: Settings, folders: EngineFolders) -> Command:
    """Raises StartupError."""
    port = free_port()
    logs = settings.state / "engine.log"
    more = shlex.split(settings.comfyui_args)
    url = f"http://{HOST}:{port}"
    if settings.comfyui == EMBEDDED:
        return Command([*embedded_command(folders.root, port), *_faults(settings.fault), *more], url, logs)
    if settings.fault:
        raise StartupError("faults can be asked of the embedded engine only")
    python, *arguments = comfyui_command(Path(settings.comfyui), port)
    arguments += [*comfyui_arguments(folders), *more]
    home = engine_home(folders, engine_environment())
    return Command([python, *arguments], url, logs, probe=[python, "-c", PROBE], env=home)


def _faults(text: str) -> list[str]:
    """Read here, where a mistake has a reader. Raises StartupError."""
    try:
        return ["--fault", text] if parse_faults(text) else []
    except BadFault as error:
        raise StartupError(f"the fault {text!r} can't be read: {error}") from error


def embedded_command(base: Path, port: int) -> list[str]:
    return own_command("engine", "--host", HOST, "--port", str(port), "--base", str(base))


def comfyui_command(folder: Path, port: int) -> list[str]:
    """ComfyUI's own start, with the Python of its virtual environment if it has one. Raises StartupError."""
    if not (folder / "main.py").is_file():
        raise StartupError(f"{folder} is no ComfyUI folder: it has no main.py")
    environments = (folder / name / "bin" / "python" for name in (".venv", "venv"))
    python = next((str(path) for path in environments if path.exists()), "python3")
    return [python, str(folder / "main.py"), "--listen", HOST, "--port", str(port)]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
