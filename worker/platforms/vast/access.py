"""What a client needs to reach the workers of an endpoint: the authority of their certificates, and the endpoint's key.

Vast's SDK fetches both. The calls to the router and to the workers are not the SDK's, for these reasons: its errors are
texts without the status, it sends the endpoint's key to the rented machines (T29), it retries without limit (T32, T33),
and it returns the choice of a worker and the job's response together, so that nobody can store the first.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pydantic import SecretStr

from worker.errors import StartupError, VastRefused, VastUnreachable
from worker.platforms.vast.client import sdk_client

STATUS = re.compile(r"HTTP (\d{3})")
LOOKUP_S = 86_400.0
"""Seconds for which the key of an endpoint is kept. The SDK's own refresh does not work (T36b)."""


@dataclass(frozen=True, slots=True)
class EndpointKey:
    """Number and key of an endpoint."""

    number: int
    key: str = field(repr=False)


class VastAccess:
    """Fetches the certificate and the key when they are needed first, so that an outage of Vast can end meanwhile."""

    def __init__(self, endpoint: str, key: SecretStr, url: str | None) -> None:
        self.endpoint = endpoint
        self.account_key = key
        self._client = sdk_client(key.get_secret_value(), url)
        self._found: EndpointKey | None = None
        self._found_at = 0.0

    @property
    def router_url(self) -> str:
        """The URL of the router."""
        return str(self._client.autoscaler_url)

    async def ssl_context(self) -> ssl.SSLContext:
        """Return a context that trusts Vast's authority. Raises VastUnreachable."""
        try:
            context: ssl.SSLContext = await self._client.get_ssl_context()
        except Exception as error:
            raise VastUnreachable(f"the certificate of Vast's authority cannot be fetched ({_kind(error)})") from error
        return context

    async def endpoint_key(self) -> EndpointKey:
        """Return number and key of the endpoint. Raises VastRefused, also for an unknown name, and VastUnreachable."""
        if self._found is None or time.monotonic() - self._found_at > LOOKUP_S:
            self._found, self._found_at = await self._look_up(), time.monotonic()
        return self._found

    async def close(self) -> None:
        """Close the connections of the SDK."""
        await self._client.close()

    async def _look_up(self) -> EndpointKey:
        """Fetch the endpoints of the account. The SDK raises plain exceptions, with the status in their text."""
        await self.ssl_context()
        try:
            endpoints = await self._client.get_endpoints()
        except Exception as error:
            status = STATUS.search(str(error))
            if status is None or status[1].startswith("5"):
                raise VastUnreachable(f"Vast's API cannot be reached ({_kind(error)})") from error
            cure = "check VAST_API_KEY" if status[1] in {"401", "403"} else "try again later"
            raise VastRefused(f"Vast's API returns {status[0]} for the endpoints: {cure}", int(status[1])) from None
        for endpoint in endpoints:
            if endpoint.name == self.endpoint:
                return EndpointKey(endpoint.id, endpoint.api_key)
        names = ", ".join(sorted(str(endpoint.name) for endpoint in endpoints)) or "none"
        raise VastRefused(f"the account has no endpoint {self.endpoint!r}. It has: {names}", 404)


@asynccontextmanager
async def open_access(endpoint: str, key: SecretStr | None, url: str | None = None) -> AsyncIterator[VastAccess]:
    """Open the access to an endpoint. `url` is the address of a simulated Vast.

    Raises StartupError without a key or the SDK, for a key that Vast rejects, and for an unknown endpoint.
    """
    access = VastAccess(endpoint, key or SecretStr(""), url)
    try:
        try:
            await access.endpoint_key()
        except VastRefused as error:
            raise StartupError(f"Vast's endpoint {endpoint!r} cannot be opened: {error}") from None
        except VastUnreachable:
            pass  # the caller gets it again with its first job
        yield access
    finally:
        await access.close()


def _kind(error: BaseException) -> str:
    """Return the name of an exception. The SDK's texts may contain the URL with the key in its query."""
    return type(error.__cause__ or error.__context__ or error).__name__
