"""The app `modal_app.py` of comfy-worker on the local stand-in: its deployment, and workers from this checkout."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from worker.engine.process.free_port import free_ports
from worker.errors import StartupError
from worker.platforms.modal.shipped_app import SHIPPED_APP
from worker.simulators.modal.server import LocalModal
from worker.subcommand import module_command, worker_command

SECRET = "comfy-worker"  # noqa: S105 - the name of the secret and of the app
COMMAND_S = 120.0

__all__ = ["SECRET", "SHIPPED_APP", "call", "deploy", "worker_environ"]


def worker_environ(folder: Path, *, own_network: bool = False) -> dict[str, str]:
    """Return variables with which the container in `folder` starts a worker of this Python and an embedded engine.

    Without a network of its own, the container gets a free port.
    """
    environ = {
        "COMFY_WORKER_COMMAND": " ".join(worker_command()),
        "WORKER_COMFYUI": "embedded",
        "WORKER_MODELS_FOLDER": str(folder / "models"),
        "WORKER_STATE": str(folder / "state"),
    }
    return environ if own_network else {**environ, "COMFY_WORKER_PORT": str(free_ports(1)[0])}


async def deploy(modal: LocalModal, app: Path, environ: Mapping[str, str]) -> str:
    """Deploy an app with Modal's own command, and return what it prints. Raises StartupError with it on a failure."""
    command = [*module_command("modal"), "deploy", str(app)]
    return await _run(command, {**environ, **modal.client_environ}, f"modal deploy {app.name}")


async def call(modal: LocalModal, method: str, environ: Mapping[str, str], **arguments: object) -> Any:  # noqa: ANN401
    """Call a method of the shipped app with Modal's own client, and return its result. Raises StartupError."""
    request = {"app": SECRET, "cls": "ComfyUI", "method": method, "arguments": arguments}
    command = module_command("worker.simulators.modal.caller")
    output = await _run(command, {**environ, **modal.client_environ}, f"the call of {method}", json.dumps(request))
    return json.loads(output)


async def _run(command: Sequence[str], environ: Mapping[str, str], what: str, text: str = "") -> str:
    """Run a command to its end, and return its standard output. Raises StartupError with all that it printed."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(COMMAND_S):
            output, errors = await process.communicate(text.encode())
    except TimeoutError:
        raise StartupError(f"{what} has not ended within {COMMAND_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        printed = (output + errors).decode(errors="replace")
        raise StartupError(f"{what} ended with code {process.returncode}:\n{printed}")
    return output.decode(errors="replace")
