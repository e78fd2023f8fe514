"""Senders of the suite's requests, directly or through Vast's own client. They also read the delivered files."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from real.comparison import DeliveredOutput, JobAnswer
from worker.platforms.vast.client import VastEndpoint

ANSWER_S = 300.0
"""Seconds within which a job must be finished."""


class JobSender(Protocol):
    """Sends one request body in the native dialect, and returns the response."""

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer: ...


class DirectSender:
    """Sends requests to the worker's HTTP server, and downloads outputs that are delivered by URL."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/generate/sync"

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer:
        async with self._session.post(self._url, json=body) as response:
            status, data = response.status, await response.json()
        outputs = [DeliveredOutput(row, await self._content(row)) for row in data.get("outputs", ())]
        return JobAnswer(status, data, outputs)

    async def _content(self, row: Mapping[str, Any]) -> bytes | None:
        """Return the bytes of an output from the response or from its URL, or None for an output without a file."""
        if row.get("data") is not None or "url" not in row:
            return inline_content(row)
        async with self._session.get(row["url"]) as response:
            response.raise_for_status()
            return await response.read()


class VastSender:
    """Sends requests through Vast's own client."""

    def __init__(self, endpoint: VastEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer:
        response = await self._endpoint.generate(body, 1.0, ANSWER_S)
        outputs = [DeliveredOutput(row, inline_content(row)) for row in response.body.get("outputs", ())]
        return JobAnswer(response.status, response.body, outputs)


def inline_content(row: Mapping[str, Any]) -> bytes | None:
    """Return the bytes of an output that is part of the response, or None for an output without a file."""
    return None if row.get("data") is None else base64.b64decode(row["data"])
