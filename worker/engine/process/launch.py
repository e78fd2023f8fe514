"""The commands that start the embedded engine or a ComfyUI folder."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, EngineFolders, comfyui_arguments, engine_home
from worker.engine.process.free_port import HOST, free_port
from worker.engine.process.gpu import PROBE, driver_command, gpu_environment
from worker.engine.process.names import FIRST_ENGINE, per_engine
from worker.engine.process.sandbox.home import sandbox_home
from worker.engine.process.sandbox.plan import sandbox_policy
from worker.engine.process.sandbox.support import landlock_version, sandbox_status
from worker.engine.process.supervisor import EngineCommand
from worker.errors import InvalidFault, StartupError
from worker.settings import Settings, engine_environment
from worker.simulators.comfyui.faults.fault import parse_faults
from worker.subcommand import worker_command


def engine_command(
    settings: Settings, folders: EngineFolders, name: str = FIRST_ENGINE, gpu: str | None = None
) -> EngineCommand:
    """Return the command of an engine, with a free port. Create the folders that it needs.

    `gpu` is the only GPU that it sees, or None for all. Raises StartupError.
    """
    port, logs = free_port(), settings.state / f"{per_engine('engine', name)}.log"
    status = sandbox_status(settings.sandbox, landlock_version())
    environ = engine_environment()
    env = gpu_environment(gpu, environ)
    if status.launched:
        env |= sandbox_home(folders.root, environ)
    extra_arguments = shlex.split(settings.engine.args)
    probe: list[str] = []
    if settings.engine.comfyui == EMBEDDED:
        python, *arguments = embedded_command(folders.root, port)
        arguments += [*_folder_options(folders), *_fault_option(settings.engine.fault), *extra_arguments]
    else:
        if settings.engine.fault:
            raise StartupError("a fault can be injected into the embedded engine only")
        python, *arguments = comfyui_command(Path(settings.engine.comfyui), port)
        arguments += [*comfyui_arguments(folders), *extra_arguments]
        env = {**engine_home(folders, environ), **env}
        probe = [python, "-c", PROBE]
    sandbox = sandbox_policy(settings, folders, status, {**environ, **env}, python, port)
    driver = driver_command(None if settings.engine.comfyui == EMBEDDED else gpu)
    return EngineCommand([python, *arguments], f"http://{HOST}:{port}", logs, probe, env, driver, name, sandbox)


def _fault_option(text: str) -> list[str]:
    """Return the option for the value of WORKER_FAULT, or nothing for an empty one. Raises StartupError if invalid."""
    try:
        return ["--fault", text] if parse_faults(text) else []
    except InvalidFault as error:
        raise StartupError(f"the fault {text!r} is invalid: {error}") from error


def _folder_options(folders: EngineFolders) -> Iterator[str]:
    """Yield options of the embedded engine for folders that are not at their default place in its root folder."""
    paths = {"input": folders.input, "output": folders.output, "models": folders.models}
    for name, path in paths.items():
        if path != folders.root / name:
            yield from (f"--{name}-directory", str(path))


def embedded_command(base: Path, port: int) -> list[str]:
    """Return the command of the embedded engine, with its files in the folder `base`."""
    return worker_command("engine", "--host", HOST, "--port", str(port), "--base", str(base))


def comfyui_command(folder: Path, port: int) -> list[str]:
    """Return ComfyUI's command, with the Python of its virtual environment if it has one. Raises StartupError."""
    if not (folder / "main.py").is_file():
        raise StartupError(f"{folder} is not a ComfyUI folder: it has no main.py")
    environments = (folder / name / "bin" / "python" for name in (".venv", "venv"))
    python = next((str(path) for path in environments if path.exists()), "python3")
    return [python, str(folder / "main.py"), "--listen", HOST, "--port", str(port)]
