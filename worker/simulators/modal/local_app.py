"""The app `modal_app.py` of comfy-worker on the local stand-in: its deployment, and workers from this checkout."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import worker
from worker.engine.process.free_port import free_ports
from worker.errors import StartupError
from worker.simulators.modal.server import LocalModal
from worker.subcommand import module_command, worker_command

SHIPPED_APP = Path(worker.__file__).parent.parent / "examples" / "modal" / "modal_app.py"
SECRET = "comfy-worker"  # noqa: S105 - the name of the secret
DEPLOY_S = 120.0


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
    process = await asyncio.create_subprocess_exec(
        *module_command("modal"),
        "deploy",
        str(app),
        env={**environ, **modal.client_environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DEPLOY_S):
            output, _ = await process.communicate()
    except TimeoutError:
        raise StartupError(f"modal deploy has not ended within {DEPLOY_S:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    text = output.decode(errors="replace")
    if process.returncode:
        raise StartupError(f"modal deploy {app} ended with code {process.returncode}:\n{text}")
    return text
