"""Vast.ai Serverless as a platform: its traits, its environment, and the worker behind its SDK."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from worker.check_finding import CheckFinding, fail, ok, warn
from worker.errors import StartupError
from worker.platforms.base import Detection, Platform, Sdk, SettingRow, Traits
from worker.platforms.vast.settings import VastSettings
from worker.settings import Settings

log = logging.getLogger("worker")

MARKS = ("CONTAINER_ID", "PUBLIC_IPADDR")
"""The SDK cannot work without these two, and no other platform sets both."""
SYNC_LIMIT_S = 540.0
"""Vast's client drops a request after 600 s and sends it again, without end; it has to be answered before."""


class Vast(Platform):
    """A worker of a serverless worker group.

    The gateway listens on this machine only; the ingress, which listens for clients, checks the router's signature.
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
        missing = [name for name in MARKS if not environ.get(name)]
        if missing:
            return Detection(found=False, evidence=f"{' and '.join(missing)} not set, which Vast sets")
        return Detection(found=True, evidence=f"{' and '.join(MARKS)} are set")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        from worker.app import build
        from worker.platforms.vast.serve import serve

        vast = VastSettings.from_env(environ)
        settings = settings.replaced(public_url=settings.server.public_url or vast.public_url)
        async with build(settings, traits=self.traits) as app:
            log.info("listening on %s", app.url)
            await serve(app, vast)

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        from worker.platforms.vast.reporting.failure_report import send_failure_report

        log.critical("not serving: %s", message)
        send_failure_report(environ, message)

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        try:
            vast = VastSettings.from_env(environ)
        except StartupError as error:
            cure = "a serverless worker group sets them; try it here with --platform vast-local"
            return [fail(self.name, str(error), cure)]
        instance = f"instance {vast.container_id}, {vast.public_url}, reports to {vast.autoscaler}"
        return [ok(self.name, instance), _benchmark(vast.benchmark)]

    def variables(self) -> Iterable[SettingRow]:
        return VastSettings.table()

    def links(self, state: Path) -> Mapping[Path, Path]:
        from worker.platforms.vast.certificate import FIXED

        return {path: state / "tls" / path.name for path in (FIXED.certificate, FIXED.key)}


def _benchmark(path: Path | None) -> CheckFinding:
    cure = "set WORKER_BENCHMARK to a workflow"
    if path is None:
        return warn("benchmark", "a model-free workflow: its score says little", cure)
    if not path.is_file():
        return fail("benchmark", f"{path} is not there", cure)
    return ok("benchmark", str(path))
