"""A gateway seen from its client: one job followed event by event, its files fetched, or cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from worker.backoff import Backoff
from worker.cli.output.failure import Failure
from worker.errors import UrlNeedsStorage
from worker.sse import EventParser

CHUNK = 256 * 1024
JSON = {"Content-Type": "application/json"}
PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
"""A stream says something every 15 s, if only that it lives."""
RECONNECTS, RECONNECT = 5, Backoff(0.2, 2.0)
"""Together shorter than the grace in which a job outlives its last listener."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a job, as `worker.api.sse` describes them: `data` has the shape that belongs to `name`."""

    number: int
    name: str
    data: dict[str, Any]


class WorkerClient:
    """Raises Failure for whatever the gateway answers with an error, and where it can't be reached."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        self._session = session
        self._asking = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
        self.url = _with_scheme(url)

    async def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Name and data of every event of a new job, from `accepted` to `result`.

        `request` is a native body without `output_format`: outputs come by URL, or inline from a worker that no URL
        reaches. A connection that breaks is taken up again.
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
        accepted: Event | None = None
        last = tries = 0
        while tries < RECONNECTS:
            if accepted is None:
                events = self._events("POST", "/generate/stream", self._asking, orjson.dumps(body))
            else:
                await asyncio.sleep(RECONNECT.pause(tries) if tries else 0)
                headers = {**_bearer(accepted.data), "Last-Event-ID": str(last)}
                events = self._events("GET", f"/jobs/{accepted.data['id']}/events", headers)
            tries += 1
            try:
                async for event in events:
                    last, tries = event.number, 0
                    accepted = accepted or event
                    yield event
                    if event.name == "result":
                        return
            except (aiohttp.ClientError, TimeoutError) as error:
                if accepted is None:
                    raise Failure.unreachable(self.url, error) from error
        raise Failure.unreachable(self.url, "the connection broke, and could not be taken up again")

    async def cancel(self, job: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the worker's answer. `job` is the data of `accepted`."""
        async with self._asked("DELETE", f"{self.url}/jobs/{job['id']}", _bearer(job)) as answer:
            cancellation: Mapping[str, Any] = await answer.json()
            return cancellation

    async def download(self, url: str, target: Path) -> None:
        """Stream a file to `target`, never whole in memory."""
        async with self._asked("GET", url) as answer:
            with target.open("wb") as sink:
                async for chunk in answer.content.iter_chunked(CHUNK):
                    sink.write(chunk)

    async def _events(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[Event]:
        parser = EventParser()
        async with self._session.request(method, self.url + path, headers=headers, data=body) as answer:
            await _check(answer)
            async for chunk in answer.content.iter_any():
                for event in parser.feed(chunk):
                    yield Event(int(event.id), event.name, orjson.loads(event.data))

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(method, url, headers=headers) as answer:
                await _check(answer)
                yield answer
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure.unreachable(self.url, error) from error


async def validated(url: str, token: str | None, workflow: object, *, strict: bool) -> Mapping[str, Any]:
    """Return what a worker answers at `POST /validate`. Raises Failure."""
    place = f"{_with_scheme(url)}/validate"
    headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
    body = orjson.dumps({"workflow": workflow, **({"strict": True} if strict else {})})
    try:
        async with (
            aiohttp.ClientSession(timeout=PATIENCE) as session,
            session.post(place, data=body, headers=headers) as answer,
        ):
            await _check(answer)
            report = orjson.loads(await answer.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Failure.unreachable(url, error) from error
    if not isinstance(report, dict) or not {"valid", "problems", "models", "workload"} <= report.keys():
        raise Failure.read(report)
    return report


def _with_scheme(url: str) -> str:
    """Take a URL without a scheme for HTTP, as curl does."""
    return (url if "://" in url else f"http://{url}").rstrip("/")


def _bearer(job: Mapping[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {job['token']}"}


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.ok:
        return
    try:
        raise Failure.read(orjson.loads(await answer.read()))
    except orjson.JSONDecodeError:
        raise Failure(
            "bad_answer", f"{answer.url.origin()} answers HTTP {answer.status}, and not as a worker"
        ) from None
