"""What we ask and tell Vast's autoscaler ourselves, where the SDK has no way for it."""

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
        raise ValueError(f"the answer is not a public key: {text[:60]!r}") from error
    return text


class Autoscaler:
    """One session, used at the start and at the end of the process."""

    def __init__(self, session: aiohttp.ClientSession, settings: VastSettings) -> None:
        self._session = session
        self._settings = settings

    async def public_key(self) -> str:
        """The PEM by which requests are checked; asked for until `pubkey_timeout_s`. Raises StartupError.

        The SDK asks by itself five times in 15 s and then takes requests for ever that it can only refuse.
        """
        url = f"{self._settings.autoscaler}/pubkey/"
        pauses, why = RETRY_PAUSES.pauses(), "no answer"
        try:
            async with asyncio.timeout(self._settings.pubkey_timeout_s):
                while True:
                    try:
                        async with self._session.get(url) as response:
                            if response.ok:
                                return public_key_pem(await response.text())
                            why = f"HTTP {response.status}"
                    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                        why = str(error) or type(error).__name__
                    pause = next(pauses)
                    log.warning("no public key from %s (%s); asking again in %.1f s", url, why, pause)
                    await asyncio.sleep(pause)
        except TimeoutError:
            waited = self._settings.pubkey_timeout_s
            raise StartupError(f"no public key from {url} within {waited:g} s: {why}") from None

    async def deleted(self, requests: Iterable[Mapping[str, object]]) -> None:
        """The last deletions, when the SDK no longer runs."""
        await self._tell(
            "delete_requests",
            {
                "worker_id": self._settings.container_id,
                "mtoken": self._settings.master_token,
                "requests": list(requests),
            },
        )

    async def _tell(self, route: str, body: Mapping[str, object]) -> None:
        try:
            async with self._session.post(f"{self._settings.autoscaler}/{route}/", json=body) as response:
                response.raise_for_status()
        except (aiohttp.ClientError, TimeoutError) as error:
            log.warning("the autoscaler did not take %s: %s", route, error)
