"""The worker of a load-balancing endpoint of RunPod: the gateway on RunPod's port, and the health check.

RunPod sends requests of clients to the workers whose health check returns 200. It checks the API key of each request
itself. There is no queue, a request may take 330 s, and its response 30 MB.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from worker.errors import StartupError
from worker.platforms.base import Authenticator, Traits
from worker.platforms.platform_settings import PlatformSettings
from worker.settings import Settings, setting

log = logging.getLogger("worker")

ANYWHERE = "0.0.0.0"  # noqa: S104 - RunPod sends requests to the address of the container
SYNC_LIMIT_S = 300.0
"""RunPod ends a request after 330 s."""
LARGEST_RESPONSE = 29_000_000
"""Bytes. RunPod documents 30 MB, and not how it counts."""


class RunpodLogin(StrEnum):
    """The side that checks requests to a load-balancing endpoint."""

    WORKER = "worker"
    """The worker checks its tokens, in `X-Worker-Token`, because `Authorization` has RunPod's key."""
    PLATFORM = "platform"
    """RunPod checks its API key. The worker needs no tokens, and trusts every request that reaches its port."""


AUTHENTICATORS = {RunpodLogin.WORKER: Authenticator.WORKER, RunpodLogin.PLATFORM: Authenticator.PLATFORM}
LOAD_BALANCING_TRAITS = Traits(
    sync_limit_s=SYNC_LIMIT_S,
    max_response_bytes=LARGEST_RESPONSE,
    output_urls=False,
)


@dataclass(frozen=True, slots=True)
class LoadBalancingSettings(PlatformSettings):
    """Settings of a load-balancing endpoint, from the environment."""

    port: int = setting("PORT", 80, "port on which the worker listens; the endpoint's `ports` have to contain it")
    health_port: int = setting("PORT_HEALTH", 0, "port of the health check; 0 means PORT")
    health_path: str = setting("HEALTH_CHECK_PATH", "/ping", "path of the health check")
    login: RunpodLogin = setting(
        "WORKER_RUNPOD_LOGIN",
        RunpodLogin.WORKER,
        "who checks requests: `worker`, with WORKER_TOKENS, or `platform`, with the API keys of RunPod alone",
    )

    @property
    def traits(self) -> Traits:
        """Facts about the endpoint, with the side that checks requests."""
        return dataclasses.replace(LOAD_BALANCING_TRAITS, authenticates=AUTHENTICATORS[self.login])

    def adapted(self, settings: Settings) -> Settings:
        """Return the settings of a worker that listens where RunPod sends requests.

        A longer WORKER_SYNC_LIMIT has no use, because RunPod would end the request. Raises StartupError without tokens.
        """
        if self.login is RunpodLogin.WORKER and not settings.server.tokens.get_secret_value():
            raise StartupError(
                "the port of a load-balancing endpoint is open: set WORKER_TOKENS and send a token in X-Worker-Token, "
                "or set WORKER_RUNPOD_LOGIN=platform if RunPod's own API keys are enough"
            )
        sync_limit_s = min(settings.limits.sync_limit_s or SYNC_LIMIT_S, SYNC_LIMIT_S)
        return self.listening(settings).replaced(sync_limit_s=sync_limit_s)

    def listening(self, settings: Settings) -> Settings:
        """Return the settings with the ports and the path of the endpoint."""
        return settings.replaced(
            host=ANYWHERE, port=self.port, health_port=self.health_port, health_path=self.health_path
        )


async def serve(settings: Settings, environ: Mapping[str, str]) -> None:
    """Serve until cancelled, then drain. The health check returns 204 from the first moment, and 200 once ready.

    During the drain it returns 503, so that RunPod sends no more requests. Raises StartupError.
    """
    from worker.app import build

    endpoint = LoadBalancingSettings.from_env(environ)
    async with build(endpoint.adapted(settings), traits=endpoint.traits) as app, app.draining():
        log.info("listening on %s", app.url)
        await app.ready()
        log.info("ready %s", app.timing)
        await app.exclude_from_gc()
        await asyncio.get_running_loop().create_future()  # never done, so this waits until it is cancelled
