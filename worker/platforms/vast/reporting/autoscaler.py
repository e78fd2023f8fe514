"""Calls of Vast's autoscaler that the SDK does not make, or not reliably enough."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

import aiohttp
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from worker.backoff import Backoff
from worker.errors import StartupError
from worker.platforms.vast.settings import VastSettings

log = logging.getLogger(__name__)

RETRY_PAUSES = Backoff(1.0, 15.0)


def public_key_pem(text: str) -> str:
    """Return the text if it is a PEM public key. Raises ValueError for anything else."""
    try:
        load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the response is not a public key: {text[:60]!r}") from error
    return text


class Autoscaler:
    """A client of the autoscaler, used at the start and at the end of the process."""

    def __init__(self, session: aiohttp.ClientSession, settings: VastSettings) -> None:
        self._session = session
        self._settings = settings

    async def public_key(self) -> str:
        """Return the PEM of Vast's public key, which verifies requests. Retry for up to `pubkey_timeout_s` seconds.

        Raises StartupError when there is no key by then. The SDK itself tries five times in 15 s. Without a key, it
        keeps running and rejects every request.
        """
        url = f"{self._settings.autoscaler}/pubkey/"
        pauses, reason = RETRY_PAUSES.pauses(), "no response"
        try:
            async with asyncio.timeout(self._settings.pubkey_timeout_s):
                while True:
                    try:
                        async with self._session.get(url) as response:
                            if response.ok:
                                return public_key_pem(await response.text())
                            reason = f"HTTP {response.status}"
                    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                        reason = str(error) or type(error).__name__
                    pause_s = next(pauses)
                    log.warning("no public key from %s (%s); retrying in %.1f s", url, reason, pause_s)
                    await asyncio.sleep(pause_s)
        except TimeoutError:
            limit_s = self._settings.pubkey_timeout_s
            raise StartupError(f"no public key from {url} within {limit_s:g} s: {reason}") from None

    async def send_deletions(self, requests: Iterable[Mapping[str, object]]) -> None:
        """Send the requests that are done and that the SDK did not report before it stopped, as rows of the route."""
        await self._post(
            "delete_requests",
            {
                "worker_id": self._settings.container_id,
                "mtoken": self._settings.master_token,
                "requests": list(requests),
            },
        )

    async def _post(self, route: str, body: Mapping[str, object]) -> None:
        """Post a body to a route of the autoscaler. A failure is only logged."""
        try:
            async with self._session.post(f"{self._settings.autoscaler}/{route}/", json=body) as response:
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the autoscaler did not accept %s: %s", route, error)
