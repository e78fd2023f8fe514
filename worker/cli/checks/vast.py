"""What a worker behind Vast needs from its container."""

from __future__ import annotations

from collections.abc import Mapping

from worker.cli.checks.finding import CheckFinding, fail, ok, warn
from worker.errors import StartupError
from worker.settings import Settings


def container(settings: Settings, environ: Mapping[str, str]) -> list[CheckFinding]:
    """Nothing to say where the platform isn't Vast."""
    if settings.platform != "vast":
        return []
    from worker.platforms.vast import VastSettings

    try:
        found = VastSettings.from_env(environ)
    except StartupError as error:
        return [fail("vast", str(error), "a serverless worker group sets them; try it here with --platform vast-local")]
    reached = ok("vast", f"instance {found.container_id}, {found.public_url}, reports to {found.autoscaler}")
    if found.benchmark is None:
        unmeasured = warn(
            "benchmark", "a model-free workflow: its score says little", "set WORKER_BENCHMARK to a workflow"
        )
        return [reached, unmeasured]
    if not found.benchmark.is_file():
        return [reached, fail("benchmark", f"{found.benchmark} is not there", "set WORKER_BENCHMARK to a workflow")]
    return [reached, ok("benchmark", str(found.benchmark))]
