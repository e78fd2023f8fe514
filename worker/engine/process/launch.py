"""The commands of the engines that a worker starts: a ComfyUI folder or the embedded engine."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, EngineFolders, comfyui_arguments, engine_home
from worker.engine.process.free_port import HOST, free_port
from worker.engine.process.gpu import PROBE, driver_command, gpu_environment
from worker.engine.process.names import FIRST, per_engine
from worker.engine.process.sandbox.home import sandbox_home
from worker.engine.process.sandbox.plan import sandbox_policy
from worker.engine.process.sandbox.support import landlock_version, sandbox_status
from worker.engine.process.supervisor import EngineCommand
from worker.errors import InvalidFault, StartupError
from worker.settings import Settings, engine_environment
from worker.simulators.comfyui.faults.fault import parse_faults
from worker.subcommand import worker_command


def command(settings: Settings, folders: EngineFolders, name: str = FIRST, gpu: str | None = None) -> EngineCommand:
    """Return how an engine is started; `gpu` is the only one that it sees. Raises StartupError."""
    port, logs = free_port(), settings.state / f"{per_engine('engine', name)}.log"
    status = sandbox_status(settings.sandbox, landlock_version())
    environ = engine_environment()
    env = gpu_environment(gpu, environ)
    if status.launched:
        env |= sandbox_home(folders.root, environ)
    more = shlex.split(settings.engine.args)
    probe: list[str] = []
    if settings.engine.comfyui == EMBEDDED:
        python, *arguments = embedded_command(folders.root, port)
        arguments += [*_embedded_folders(folders), *_faults(settings.engine.fault), *more]
    else:
        if settings.engine.fault:
            raise StartupError("faults can be asked of the embedded engine only")
        python, *arguments = comfyui_command(Path(settings.engine.comfyui), port)
        arguments += [*comfyui_arguments(folders), *more]
        env = {**engine_home(folders, environ), **env}
        probe = [python, "-c", PROBE]
    sandbox = sandbox_policy(settings, folders, status, {**environ, **env}, python, port)
    driver = driver_command(None if settings.engine.comfyui == EMBEDDED else gpu)
    return EngineCommand([python, *arguments], f"http://{HOST}:{port}", logs, probe, env, driver, name, sandbox)


def _faults(text: str) -> list[str]:
    """Read here, where a mistake has a reader. Raises StartupError."""
    try:
        return ["--fault", text] if parse_faults(text) else []
    except InvalidFault as error:
        raise StartupError(f"the fault {text!r} can't be read: {error}") from error


def _embedded_folders(folders: EngineFolders) -> Iterator[str]:
    """Yield the options for those folders that are not below the engine's own."""
    places = {"input": folders.input, "output": folders.output, "models": folders.models}
    for name, place in places.items():
        if place != folders.root / name:
            yield from (f"--{name}-directory", str(place))


def embedded_command(base: Path, port: int) -> list[str]:
    return worker_command("engine", "--host", HOST, "--port", str(port), "--base", str(base))


def comfyui_command(folder: Path, port: int) -> list[str]:
    """ComfyUI's own start, with the Python of its virtual environment if it has one. Raises StartupError."""
    if not (folder / "main.py").is_file():
        raise StartupError(f"{folder} is no ComfyUI folder: it has no main.py")
    environments = (folder / name / "bin" / "python" for name in (".venv", "venv"))
    python = next((str(path) for path in environments if path.exists()), "python3")
    return [python, str(folder / "main.py"), "--listen", HOST, "--port", str(port)]
