"""The native HTTP API behind the tools, as one caller uses it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from worker.cli.client.worker_client import CHUNK, JSON, WorkerClient, check_response
from worker.errors import Failure, UrlNeedsStorage


@dataclass(frozen=True, slots=True)
class McpJob:
    """A job, and the token that may read it. Without one the caller's own token has to."""

    id: str
    token: str | None = None


class CallerApi:
    """The API with the token of one caller. Every method raises Failure.

    Job ids are quoted in paths, so that an id from an agent never names another route.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str | None = None) -> None:
        self._session = session
        self._worker = WorkerClient(session, url, token)
        self._token = token

    async def templates(self) -> list[dict[str, Any]]:
        """Return the entries of `GET /templates`."""
        _, body = await self._json("GET", "/templates")
        templates: list[dict[str, Any]] = body["templates"]
        return templates

    async def template(self, name: str) -> dict[str, Any]:
        """Return one template with the JSON Schema of its parameters."""
        _, body = await self._json("GET", f"/templates/{quote(name, safe='')}")
        return body

    async def verdict(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the response of `POST /validate`, which checks a request and runs nothing."""
        _, body = await self._json("POST", "/validate", body=request)
        return body

    def follow(self, request: Mapping[str, Any]) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Start a job and yield the name and the data of each event, from `accepted` to `result`."""
        return self._worker.follow(request)

    async def start(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Start a job and return the response, with its `id` and `token`, without waiting for its end."""
        try:
            _, body = await self._json("POST", "/generate", body={**request, "output_format": "url"})
        except Failure as failure:
            if failure.code != UrlNeedsStorage.code:
                raise
            _, body = await self._json("POST", "/generate", body={**request, "output_format": "base64"})
        return body

    async def job(self, job: McpJob) -> tuple[bool, dict[str, Any]]:
        """Return whether a job has ended, and its result or its progress. Raises Failure for a job that failed."""
        status, body = await self._json("GET", _path(job), job)
        return status != HTTPStatus.ACCEPTED, body

    async def wait(self, job: McpJob, seconds: float) -> None:
        """Wait until a job ends, but at most this long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self._response("GET", f"{_path(job)}/events", job) as response:
                async for _ in response.content.iter_any():
                    pass

    async def cancel(self, job: McpJob) -> dict[str, Any]:
        """Cancel a job and return the response."""
        _, body = await self._json("DELETE", _path(job), job)
        return body

    async def output(self, job: McpJob, index: int, limit: int) -> tuple[str, bytes]:
        """Return the media type and the content of an output. Raises Failure if it has more than `limit` bytes."""
        async with self._response("GET", f"{_path(job)}/outputs/{index}", job) as response:
            content = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK):
                content += chunk
                if len(content) > limit:
                    message = f"output {index} of job {job.id} has more than {limit // 1024**2} MiB"
                    raise Failure("output_too_large", message)
            return response.content_type, bytes(content)

    async def save(self, job: McpJob, index: int, target: Path) -> None:
        """Write an output to a file in pieces."""
        async with self._response("GET", f"{_path(job)}/outputs/{index}", job) as response:
            with target.open("wb") as sink:
                async for chunk in response.content.iter_chunked(CHUNK):
                    sink.write(chunk)

    async def _json(
        self, method: str, path: str, job: McpJob | None = None, body: object = None
    ) -> tuple[int, dict[str, Any]]:
        """Send a request and return the status and the JSON object of its response."""
        async with self._response(method, path, job, body) as response:
            try:
                content = orjson.loads(await response.read())
            except orjson.JSONDecodeError:
                content = None
            if not isinstance(content, dict):
                raise Failure("bad_answer", f"the response to {method} {path} is not a JSON object: it is no worker's")
            return response.status, content

    @asynccontextmanager
    async def _response(
        self, method: str, path: str, job: McpJob | None = None, body: object = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request, with the token of the job if it has one, and yield the response."""
        token = (job and job.token) or self._token
        headers = JSON | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else io.BytesIO(orjson.dumps(body))  # aiohttp sends a file in pieces
        try:
            async with self._session.request(method, self._worker.url + path, headers=headers, data=data) as response:
                await check_response(response)
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Failure.unreachable(self._worker.url, error) from error


def _path(job: McpJob) -> str:
    return f"/jobs/{quote(job.id, safe='')}"
