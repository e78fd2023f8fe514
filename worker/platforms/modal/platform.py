"""Modal as a platform: its traits, its environment, and the worker behind Modal's web server and methods."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Iterable, Mapping, Sequence

from worker.check_finding import CheckFinding, fail, ok
from worker.errors import StartupError
from worker.platforms.base import Authenticator, Detection, Platform, SettingRow, Traits
from worker.platforms.modal.settings import ModalLogin, ModalSettings
from worker.settings import Settings

log = logging.getLogger("worker")

TASK_ID = "MODAL_TASK_ID"
DRAIN_S = 25.0
"""Modal kills a container 30 s after it has asked it to end."""


class Modal(Platform):
    """A worker in a container of a Modal app. `modal_app.py` starts it, waits until it is ready, and stops it.

    Any request may reach any container, so a URL of one worker is of no use to clients: outputs are part of the
    response, or in a bucket.
    """

    name = "modal"
    traits = Traits(output_urls=False, drain_s=DRAIN_S)
    owned_variables = ("MODAL_",)

    def detect(self, environ: Mapping[str, str]) -> Detection:
        """Detect Modal by the id that every container has."""
        if not environ.get(TASK_ID):
            return Detection(found=False, evidence=f"Modal's {TASK_ID} not set")
        return Detection(found=True, evidence=f"{TASK_ID} is set")

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        """Serve until cancelled, then drain. `modal_app.py` waits for /ready before a job can arrive."""
        from worker.app import build

        traits = traits_for(ModalSettings.from_env(environ).login)
        async with build(settings, traits=traits) as app, app.draining():
            log.info("listening on %s", app.url)
            await app.ready()
            log.info("ready %s", app.timing)
            await app.exclude_from_gc()
            await asyncio.get_running_loop().create_future()  # never done, so this waits until it is cancelled

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        """Log why the process ends. `modal_app.py` sees the exit code, and Modal shows the log."""
        log.critical("not serving: %s", message)

    def check(self, environ: Mapping[str, str]) -> Sequence[CheckFinding]:
        """Return a finding about the container and its settings."""
        try:
            modal = ModalSettings.from_env(environ)
        except StartupError as error:
            return [fail(self.name, str(error), "set WORKER_MODAL_LOGIN to worker or platform")]
        if not modal.task_id:
            return [fail(self.name, f"{TASK_ID} not set", "Modal sets it; use --platform none on this machine")]
        return [ok(self.name, f"container {modal.task_id} in {modal.region or 'an unknown region'}")]

    def variables(self) -> Iterable[SettingRow]:
        """Return the variables of ModalSettings."""
        return ModalSettings.table()


def traits_for(login: ModalLogin) -> Traits:
    """Return Modal's traits, with the side that checks requests."""
    authenticates = {ModalLogin.WORKER: Authenticator.WORKER, ModalLogin.PLATFORM: Authenticator.PLATFORM}[login]
    return dataclasses.replace(Modal.traits, authenticates=authenticates)
