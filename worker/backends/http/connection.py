"""HTTP requests to one backend. Errors of the connection become errors of backends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from pydantic import SecretStr

from worker.errors import BackendError, BackendUnreachable

SESSION_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10)
"""A job may take hours. Whether the other side still lives is checked by other requests."""
KEEP_ALIVE_S = 30.0
"""Seconds for which an idle connection is kept. The worker closes one after 75 s."""


class HttpConnection:
    """Requests to a URL with the operator's key for it. The session may be shared by several backends."""

    def __init__(self, name: str, session: aiohttp.ClientSession, url: str, key: SecretStr | None = None) -> None:
        self._name = name
        self._session = session
        self._url = url.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        lost: type[BackendError] = BackendUnreachable,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the response, whatever its status.

        Raises BackendUnreachable if no connection is made, and `lost` if it breaks before the response.
        """
        all_headers = {**self._authorization, **(headers or {})}
        try:
            response = await self._session.request(
                method, self._url + path, headers=all_headers, data=body, allow_redirects=False
            )
        except aiohttp.ClientConnectorError as error:
            raise BackendUnreachable(f"{self._name}: no connection to {self._url}: {error.strerror}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise lost(f"{self._name}: {self._url} did not respond: {error or type(error).__name__}") from error
        async with response:
            yield response

    async def chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """Yield the body of a response in pieces. Raises BackendUnreachable if the connection breaks."""
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise BackendUnreachable(f"{self._name}: the connection broke during a response: {error}") from error

    async def read(self, response: aiohttp.ClientResponse) -> bytes:
        """Return the body of a response. Raises BackendUnreachable if the connection breaks."""
        return b"".join([chunk async for chunk in self.chunks(response)])

    async def json(self, response: aiohttp.ClientResponse) -> dict[str, Any]:
        """Return the JSON object in the body of a response. Raises BackendUnreachable for anything else."""
        body = await self.read(response)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            text = body[:200].decode(errors="replace")
            raise BackendUnreachable(f"{self._name}: {self._url} is no worker: HTTP {response.status}, {text!r}")
        return value
