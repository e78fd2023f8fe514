"""`comfy-worker serve --platform vast-local`: this worker as at Vast, with Vast's router played before it."""

from __future__ import annotations

from worker.cli.demo.local_fleet import fleet
from worker.cli.output.screen import screen
from worker.errors import StartupError
from worker.settings import Settings, environment


async def serve(settings: Settings) -> None:
    """Until cancelled. Raises StartupError where the worker ends by itself."""
    command = ["serve", "--platform", "vast", "--comfyui", settings.comfyui, "--state", str(settings.state)]
    command += ["--host", settings.host, "--port", str(settings.port), "--fault", settings.fault]
    notes = screen(stderr=True)
    async with fleet([command], environment(), logs=None) as found:
        await found.ready(settings.engine_start_s)
        vast = found.vast
        notes.print(f"\nVast's router, played here: [bold]{vast.url}[/bold]  endpoint [bold]{vast.endpoint}[/bold]")
        notes.print("A workflow through Vast's own client:\n")
        notes.print(
            f"  VAST_API_KEY={vast.api_key} comfy-worker run workflows/smoke-resize.json "
            f"--vast-endpoint {vast.endpoint} --vast-url {vast.url}\n",
            soft_wrap=True,
        )
        member = await found.ended()
    raise StartupError(f"the worker ended with code {member.process.returncode}")
