"""The engine's process, where the worker starts it: a ComfyUI folder or the embedded engine; a URL is left alone."""

from __future__ import annotations

import asyncio
import logging
import shlex
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from worker.errors import StartupError
from worker.settings import Settings

log = logging.getLogger(__name__)

EMBEDDED = "embedded"
HOST = "127.0.0.1"
RESTART_S = (0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S = 60.0
"""An engine that lived this long starts its back-off anew."""
STOP_S = 5.0


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """Where an engine is, and its folders where this process can reach them."""

    url: str
    input_folder: Path | None
    output_folder: Path | None


@asynccontextmanager
async def engine(settings: Settings) -> AsyncIterator[RunningEngine]:
    """The engine that `settings.comfyui` names; started, kept running and stopped here unless it is a URL.

    Raises StartupError. Does not wait until it answers: `Link` does.
    """
    if settings.comfyui.startswith(("http://", "https://")):
        yield RunningEngine(settings.comfyui.rstrip("/"), settings.comfyui_input, settings.comfyui_output)
        return
    port = free_port()
    base = settings.state / "engine" if settings.comfyui == EMBEDDED else Path(settings.comfyui)
    command = embedded_command(base, port) if settings.comfyui == EMBEDDED else comfyui_command(base, port)
    logs = settings.state / "engine.log"
    settings.state.mkdir(parents=True, exist_ok=True)
    keeping = asyncio.create_task(keep_running([*command, *shlex.split(settings.comfyui_args)], logs), name="engine")
    try:
        yield RunningEngine(
            f"http://{HOST}:{port}",
            settings.comfyui_input or base / "input",
            settings.comfyui_output or base / "output",
        )
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping


def embedded_command(base: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "worker", "engine", "--host", HOST, "--port", str(port), "--base", str(base)]


def comfyui_command(folder: Path, port: int) -> list[str]:
    """ComfyUI's own start, with the Python of its virtual environment if it has one. Raises StartupError."""
    if not (folder / "main.py").is_file():
        raise StartupError(f"{folder} is no ComfyUI folder: it has no main.py")
    environments = (folder / name / "bin" / "python" for name in (".venv", "venv"))
    python = next((str(path) for path in environments if path.exists()), "python3")
    return [python, str(folder / "main.py"), "--listen", HOST, "--port", str(port)]


async def keep_running(command: Sequence[str], logs: Path) -> None:
    """Start the process, start it again whenever it ends, with growing pauses; stop it when cancelled."""
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        started = loop.time()
        code = await _run(command, logs)
        failures = 0 if loop.time() - started > STEADY_S else failures + 1
        pause = RESTART_S[min(failures, len(RESTART_S)) - 1] if failures else RESTART_S[0]
        log.error("the engine ended with code %s; starting it again in %g s (its log: %s)", code, pause, logs)
        await asyncio.sleep(pause)


async def _run(command: Sequence[str], logs: Path) -> int:
    with logs.open("ab") as sink:
        # A session of its own: Ctrl-C is for the worker, which then stops the engine in order.
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        return await process.wait()
    finally:
        if process.returncode is None:
            await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
