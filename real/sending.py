"""Sends the requests of the suite, directly or through Vast's own client, and reads the files of the answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp

from real.comparison import DeliveredOutput, JobAnswer
from worker.platforms.vast.client import VastEndpoint

ANSWER_S = 300.0


class JobSender(Protocol):
    """Sends one native body and waits for its answer."""

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer: ...


class DirectSender:
    """Asks the gateway, and fetches what comes by URL."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = f"{url}/generate/sync"

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer:
        async with self._session.post(self._url, json=body) as answer:
            status, data = answer.status, await answer.json()
        outputs = [DeliveredOutput(row, await self._content(row)) for row in data.get("outputs", ())]
        return JobAnswer(status, data, outputs)

    async def _content(self, row: Mapping[str, Any]) -> bytes | None:
        if row.get("data") is not None or "url" not in row:
            return inline(row)
        async with self._session.get(row["url"]) as answer:
            answer.raise_for_status()
            return await answer.read()


class VastSender:
    """Asks through Vast's own client."""

    def __init__(self, endpoint: VastEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, body: Mapping[str, Any]) -> JobAnswer:
        answer = await self._endpoint.generate(body, 1.0, ANSWER_S)
        outputs = [DeliveredOutput(row, inline(row)) for row in answer.body.get("outputs", ())]
        return JobAnswer(answer.status, answer.body, outputs)


def inline(row: Mapping[str, Any]) -> bytes | None:
    """The bytes of an output that came inside the answer; None for one that has no file."""
    return None if row.get("data") is None else base64.b64decode(row["data"])
