"""`comfy-worker serve --platform vast-local`: a worker as on Vast, behind a simulated router."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from worker.errors import StartupError
from worker.platforms.base import Platform
from worker.platforms.vast.platform import Vast
from worker.settings import Settings

HOW_TO_CALL = """
Vast's router, simulated here: {url}  endpoint {endpoint}
A workflow through Vast's own client:

  VAST_API_KEY={key} comfy-worker run workflows/smoke-resize.json --vast-endpoint {endpoint} --vast-url {url}

"""


class VastLocal(Platform):
    """Runs the worker in a process of its own, because Vast's SDK reads its settings from the process's environment."""

    name = "vast-local"
    traits = Vast.traits
    sdk = Vast.sdk

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Start the simulated router and a worker process, print how to call it, and wait until the process exits.

        Raises StartupError when the worker exits.
        """
        from worker.simulators.vast_router.local_fleet import start_fleet

        command = [
            "serve",
            "--platform",
            Vast.name,
            "--comfyui",
            settings.engine.comfyui,
            "--state",
            str(settings.state),
        ]
        command += [
            "--host",
            settings.server.host,
            "--port",
            str(settings.server.port),
            "--fault",
            settings.engine.fault,
        ]
        async with start_fleet([command], environ, logs=None) as local:
            await local.wait_until_ready(settings.engine.start_s)
            vast = local.vast
            sys.stderr.write(HOW_TO_CALL.format(url=vast.url, endpoint=vast.endpoint, key=vast.api_key))
            sys.stderr.flush()
            exited_worker = await local.wait_for_exit()
        raise StartupError(f"the worker exited with code {exited_worker.process.returncode}")
