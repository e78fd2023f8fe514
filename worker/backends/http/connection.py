"""HTTP requests to one backend. Errors of the connection become errors of backends."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Self

import aiohttp
import orjson
from pydantic import SecretStr

from worker.errors import BackendError, BackendUnreachable

SILENCE_S = 60.0
"""Seconds without a byte after which the other side counts as hanging. A worker that lets a request wait sends
something before that: the comments of an event stream, or a 202 after `Prefer: wait`."""
SESSION_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=SILENCE_S)
WITHOUT_LIMIT = aiohttp.ClientTimeout(total=None, sock_connect=10)
"""For a request whose response comes at the end of a job, which may take hours."""
KEEP_ALIVE_S = 30.0
"""Seconds for which an idle connection is kept. The worker closes one after 75 s."""
PROBE_AFTER_S, PROBE_EVERY_S, PROBES = 30, 10, 3
"""TCP keep-alive: a host that has vanished without a word is noticed after a minute, also by a request that waits."""
LARGE = 512 * 1024
"""Bytes of a body from which on it is sent in pieces, so that other requests go on meanwhile."""
SHOWN_BYTES = 200
"""Bytes of an unexpected body that a message shows."""


def open_session() -> aiohttp.ClientSession:
    """Return a session for a backend. Each waiting job needs a connection of its own, so they are not limited."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, socket_factory=_probed_socket)
    # Cookies would be sent with the jobs of other callers.
    return aiohttp.ClientSession(connector=connector, timeout=SESSION_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())


def _probed_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket with TCP keep-alive."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if sys.platform == "linux":
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, PROBE_AFTER_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, PROBE_EVERY_S)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    return made


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Headers and body of a request. `waits` means that its response comes at the end of a job.

    `lost` is the error if the connection breaks between the request and the response.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    lost: type[BackendError] = BackendUnreachable
    waits: bool = False

    @property
    def data(self) -> bytes | BytesIO | None:
        """The body for aiohttp, which sends bytes in one piece and a file in many."""
        return self.body if self.body is None or len(self.body) < LARGE else BytesIO(self.body)


NOTHING = Outgoing()


class HttpConnection:
    """Requests to a URL with the operator's key for it. The session may be shared by several backends."""

    def __init__(
        self,
        name: str,
        session: aiohttp.ClientSession,
        url: str,
        key: SecretStr | None = None,
        ssl_context: ssl.SSLContext | None = None,
        timeout: aiohttp.ClientTimeout = SESSION_TIMEOUT,
    ) -> None:
        self._name = name
        self._session = session
        self._url = url.rstrip("/")
        self._authorization = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}

        self._ssl = ssl_context or True
        self._timeout = timeout

    def to(self, url: str, ssl_context: ssl.SSLContext | None = None) -> Self:
        """Return a connection to another URL, without a key, in the same session."""
        return type(self)(self._name, self._session, url, ssl_context=ssl_context)

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return self._url

    @asynccontextmanager
    async def request(
        self, method: str, path: str, outgoing: Outgoing = NOTHING
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield the response, whatever its status.

        Raises BackendUnreachable if no connection is made, and `outgoing.lost` if it breaks before the response.
        """
        timeout = WITHOUT_LIMIT if outgoing.waits else self._timeout
        headers = {**self._authorization, **outgoing.headers}
        try:
            response = await self._session.request(
                method,
                self._url + path,
                headers=headers,
                data=outgoing.data,
                allow_redirects=False,
                timeout=timeout,
                ssl=self._ssl,
            )
        except (aiohttp.ClientConnectorError, aiohttp.InvalidURL, aiohttp.ConnectionTimeoutError) as error:
            raise BackendUnreachable(f"{self._name}: no connection to {self._url}: {describe(error)}") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise outgoing.lost(f"{self._name}: {self._url} did not respond: {describe(error)}") from error
        async with response:
            yield response

    async def chunks(
        self, response: aiohttp.ClientResponse, lost: type[BackendError] = BackendUnreachable
    ) -> AsyncIterator[bytes]:
        """Yield the body of a response in pieces. Raises `lost` if the connection breaks."""
        try:
            async for chunk in response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = f"{self._name}: the connection broke during a response: {describe(error)}"
            raise lost(message) from error

    async def read(self, response: aiohttp.ClientResponse, lost: type[BackendError] = BackendUnreachable) -> bytes:
        """Return the body of a response. Raises `lost` if the connection breaks."""
        return b"".join([chunk async for chunk in self.chunks(response, lost)])

    async def json(
        self, response: aiohttp.ClientResponse, lost: type[BackendError] = BackendUnreachable
    ) -> dict[str, Any]:
        """Return the JSON object in the body of a response.

        Raises `lost` if the connection breaks, and BackendUnreachable for anything but an object.
        """
        body = await self.read(response, lost)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise self.unexpected(response, body)
        return value

    def unexpected(self, response: aiohttp.ClientResponse, body: bytes) -> BackendUnreachable:
        """Return the error for a response that the other side of this connection cannot have sent."""
        location = response.headers.get("Location")
        text = f"a redirect to {location}" if location else repr(body[:SHOWN_BYTES].decode(errors="replace"))
        server = response.url.origin()
        return BackendUnreachable(f"{self._name}: {server} is no worker: HTTP {response.status}, {text}")


def describe(error: BaseException) -> str:
    """Return the reason of an error of a connection. It contains neither a query nor a header."""
    if isinstance(error, aiohttp.ClientConnectorError) and not isinstance(error, aiohttp.ClientSSLError):
        return error.strerror or "the address cannot be reached"
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL):
        return type(error).__name__  # their texts contain the URL with its query
    return str(error) or type(error).__name__


def retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    """Return the seconds in `Retry-After`, None without it or for a date."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else None
