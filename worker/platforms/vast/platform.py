"""Vast.ai Serverless as a platform: its traits, its environment, and the worker behind its SDK."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from worker.check_finding import CheckFinding, fail, ok
from worker.errors import StartupError
from worker.platforms.base import Detection, Platform, Sdk, SettingRow, Traits
from worker.platforms.vast.settings import VastSettings
from worker.settings import Settings

log = logging.getLogger("worker")

REQUIRED_VARIABLES = ("CONTAINER_ID", "PUBLIC_IPADDR")
"""Variables that the SDK needs, and that no other platform sets both of."""
SYNC_LIMIT_S = 540.0
"""Vast's client drops a request after 600 s and retries it forever, so the response has to come before that."""


class Vast(Platform):
    """A worker of a serverless worker group.

    The gateway listens on this machine only. Clients reach the ingress, which checks the router's signature.
    """

    name = "vast"
    traits = Traits(
        sync_limit_s=SYNC_LIMIT_S,
        output_urls=False,
        raw_answers=False,
        job_urls=False,
        retries_server_errors=True,
    )
    sdk = Sdk("vastai", "vastai.serverless.server.worker", "vast")
    owned_variables = ("CONTAINER_", "PUBLIC_IPADDR", "VAST_", "MASTER_TOKEN", "REPORT_ADDR", "GPU_COUNT")

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Detect Vast by the variables that it sets in every container."""
        missing = [name for name in REQUIRED_VARIABLES if not environ.get(name)]
        if missing:
            return Detection(found=False, evidence=f"Vast's {' and '.join(missing)} not set")
        return Detection(found=True, evidence=f"{' and '.join(REQUIRED_VARIABLES)} are set")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Build a worker whose public URL is that of this instance, and serve it behind Vast's SDK until cancelled."""
        from worker.app import build
        from worker.platforms.vast.serve import serve

        vast = VastSettings.from_env(environ)
        settings = settings.replaced(public_url=settings.server.public_url or vast.public_url)
        async with build(settings, traits=self.traits) as app:
            log.info("listening on %s", app.url)
            await serve(app, vast)

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        """Log why the process ends, and report it to the autoscaler."""
        from worker.platforms.vast.reporting.failure_report import send_failure_report

        log.critical("not serving: %s", message)
        send_failure_report(environ, message)

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        """Return findings about Vast's variables and about the benchmark workflow."""
        try:
            vast = VastSettings.from_env(environ)
        except StartupError as error:
            cure = "a serverless worker group sets them; use --platform vast-local to run it on this machine"
            return [fail(self.name, str(error), cure)]
        instance = f"instance {vast.container_id}, {vast.public_url}, reports to {vast.autoscaler}"
        return [ok(self.name, instance), _benchmark(vast.benchmark, environ)]

    def variables(self) -> Iterable[SettingRow]:
        """Return the variables of VastSettings."""
        return VastSettings.table()

    def links(self, state: Path) -> Mapping[Path, Path]:
        """Return links from the paths of the certificate and the key to files in `state`, which is writable."""
        from worker.platforms.vast.certificate import SDK_PATHS

        return {path: state / "tls" / path.name for path in (SDK_PATHS.certificate, SDK_PATHS.key)}


def _benchmark(benchmark: str, environ: Mapping[str, str]) -> CheckFinding:
    """Return the finding about the job that measures the speed, by WORKER_BENCHMARK and WORKER_MODELS."""
    from worker.platforms.vast.benchmark.choice import CURE, MISSING, PACKAGED, chosen_name
    from worker.platforms.vast.benchmark.workflow import read_workflow
    from worker.workflow.templates.library import read_library

    try:
        settings = Settings.from_env(environ)
        name = chosen_name(benchmark, settings.models.templates)
        if not name:
            return fail("benchmark", MISSING, CURE)
        workflow = read_workflow(name, read_library(settings.templates))
    except StartupError as error:
        return fail("benchmark", str(error), CURE)
    return ok("benchmark", "the packaged workflow, which needs no model" if name == PACKAGED else workflow.name)
