"""The HTTP client of a worker: it follows a job, downloads its outputs and cancels it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from worker.backoff import Backoff
from worker.errors import Failure, UrlNeedsStorage
from worker.sse import EventParser

CHUNK = 256 * 1024
JSON = {"Content-Type": "application/json"}
CLIENT_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
"""A stream of events sends a comment every 15 s, so that 60 s of silence mean a lost connection."""
RECONNECTS, RECONNECT = 5, Backoff(0.2, 2.0)
"""All retries together are shorter than the time for which a job goes on after its client has disconnected."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job, as `worker.api.sse` describes it. The shape of `data` depends on `name`."""

    number: int
    name: str
    data: dict[str, Any]


class WorkerClient:
    """A worker at a URL. Every method raises Failure for an error response, and when the worker cannot be reached."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        self._session = session
        self._headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = _with_scheme(url)

    async def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Start a job and yield the name and the data of each of its events, from `accepted` to `result`.

        `request` is a native body without `output_format`. Outputs come by URL, or inline from a worker whose URLs
        cannot be opened. A lost connection is opened again, and no event is lost.
        """
        try:
            async for event in self._follow({**request, "output_format": "url"}):
                yield event.name, event.data
        except Failure as failure:
            if failure.code != UrlNeedsStorage.code:
                raise
            async for event in self._follow({**request, "output_format": "base64"}):
                yield event.name, event.data

    async def _follow(self, body: Mapping[str, Any]) -> AsyncIterator[Event]:
        """Start a job with this body and yield its events. Reconnect after a lost connection.

        The first event is `accepted`. Its data has the id and the token with which the stream is opened again.
        """
        accepted: Event | None = None
        last_number = tries = 0
        while tries < RECONNECTS:
            if accepted is None:
                events = self._events("POST", "/generate/stream", self._headers, orjson.dumps(body))
            else:
                await asyncio.sleep(RECONNECT.pause(tries) if tries else 0)
                headers = {**_bearer(accepted.data), "Last-Event-ID": str(last_number)}
                events = self._events("GET", f"/jobs/{accepted.data['id']}/events", headers)
            tries += 1
            try:
                async for event in events:
                    last_number, tries = event.number, 0  # only reconnects without an event in between are counted
                    accepted = accepted or event
                    yield event
                    if event.name == "result":
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                if accepted is None:
                    raise Failure.unreachable(self.url, error) from error
        raise Failure.unreachable(self.url, "the connection was lost and could not be opened again")

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Cancel a job and return the worker's response. `job` is the data of its `accepted` event."""
        async with self._response("DELETE", f"{self.url}/jobs/{job['id']}", _bearer(job)) as response:
            cancellation: Mapping[str, Any] = await response.json()
            return cancellation

    async def download(self, url: str, target: Path) -> None:
        """Download a file to `target` in pieces, so that it is never in memory as a whole."""
        async with self._response("GET", url) as response:
            with target.open("wb") as sink:
                async for chunk in response.content.iter_chunked(CHUNK):
                    sink.write(chunk)

    async def _events(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[Event]:
        """Send one request and yield the events of its response, until the connection ends."""
        parser = EventParser()
        data = None if body is None else io.BytesIO(body)  # aiohttp sends a file in pieces
        async with self._session.request(method, self.url + path, headers=headers, data=data) as response:
            await check_response(response)
            async for chunk in response.content.iter_any():
                for event in parser.feed(chunk):
                    yield Event(int(event.id), event.name, orjson.loads(event.data))

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and yield its response. Raises Failure for an error response, or without a response."""
        try:
            async with self._session.request(method, url, headers=headers) as response:
                await check_response(response)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure.unreachable(self.url, error) from error


async def request_validation(url: str, token: str | None, workflow: object, *, strict: bool) -> Mapping[str, Any]:
    """Return the body of a worker's response to `POST /validate`. Raises Failure."""
    headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
    body = orjson.dumps({"workflow": workflow, **({"strict": True} if strict else {})})
    try:
        async with (
            aiohttp.ClientSession(timeout=CLIENT_TIMEOUT) as session,
            session.post(f"{_with_scheme(url)}/validate", data=body, headers=headers) as response,
        ):
            await check_response(response)
            report = orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Failure.unreachable(url, error) from error
    if not isinstance(report, dict) or not {"valid", "problems", "models", "workload"} <= report.keys():
        raise Failure.read(report)
    return report


def _with_scheme(url: str) -> str:
    """Return the URL with a scheme. Without one it is HTTP, as for curl."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def _bearer(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the header that authorizes requests about a job. `job` is the data of its `accepted` event."""
    return {"Authorization": f"Bearer {job['token']}"}


async def check_response(response: aiohttp.ClientResponse) -> None:
    """Raise Failure for an error response: the worker's error, or `bad_answer` if the body is not JSON."""
    if response.ok:
        return
    try:
        raise Failure.read(orjson.loads(await response.read()))
    except orjson.JSONDecodeError:
        message = f"{response.url.origin()} returned HTTP {response.status} without a worker's error: it is no worker"
        raise Failure("bad_answer", message) from None
