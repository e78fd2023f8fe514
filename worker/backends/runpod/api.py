"""RunPod's API for the clients of an endpoint, over plain HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson

from worker.backends.dialect import parse
from worker.backends.http.connection import HttpConnection, Outgoing, retry_after_s
from worker.backends.refusal import refused_by_platform
from worker.backoff import Backoff
from worker.errors import BackendError, BackendRefused, BackendUnreachable, JobLost, SubmissionUncertain

JSON_HEADERS = {"Content-Type": "application/json"}
LIMITED_S = 5.0
"""Pause after 429 without `Retry-After`."""
LIMITED_TRIES = 6
"""Requests about a job before a rate limit counts as an outage."""
WAIT_MS = 40_000
"""Wait of /status-sync, shorter than the silence after which a connection counts as broken."""
POLL = Backoff(0.5, 5.0)
NOT_WAITING = frozenset({404, 405})
"""Statuses of an API without /status-sync, which only RunPod's JavaScript client documents."""


@dataclass(frozen=True, slots=True)
class RunpodApi:
    """One endpoint. A status object has `id` and `status`, and `output` or `error` once the job has ended."""

    name: str
    connection: HttpConnection

    async def submit(self, body: bytes) -> str:
        """Send a job, and return its id. Raises BackendRefused, SubmissionUncertain and BackendUnreachable."""
        async with self.connection.request(
            "POST", "/run", Outgoing(JSON_HEADERS, body, lost=SubmissionUncertain)
        ) as response:
            if response.status != 200:
                raise await self._refusal(response)
            answer = await self._object(response, lost=SubmissionUncertain)
        if not isinstance(answer.get("id"), str):
            raise BackendUnreachable(f"{self.name}: the endpoint accepted a job without an id")
        return str(answer["id"])

    async def status(self, job_id: str) -> dict[str, Any]:
        """Return the status object of a job. Raises JobLost and BackendUnreachable."""
        return await self._about("GET", f"/status/{quote(job_id, safe='')}", job_id)

    async def wait(self, job_id: str) -> dict[str, Any]:
        """Wait until a job has ended, and return its status object. Raises JobLost and BackendUnreachable."""
        for pause_s in POLL.pauses():
            answer = await self._wait_once(job_id)
            if answer is None:
                answer = await self.status(job_id)
                if not has_ended(answer):
                    await asyncio.sleep(pause_s)
            if has_ended(answer):
                return answer
        raise AssertionError("the pauses have no end")

    async def cancel(self, job_id: str) -> dict[str, Any]:
        """Cancel a job, and return its status object. Raises JobLost and BackendUnreachable."""
        return await self._about("POST", f"/cancel/{quote(job_id, safe='')}", job_id)

    async def health(self) -> dict[str, Any]:
        """Return the numbers of jobs and workers. Raises BackendUnreachable."""
        async with self.connection.request("GET", "/health") as response:
            if response.status != 200:
                raise BackendUnreachable(f"{self.name}: RunPod returns HTTP {response.status} for the health")
            return await self._object(response)

    async def _wait_once(self, job_id: str) -> dict[str, Any] | None:
        """Return the status object of a job when it has ended or after WAIT_MS, None if the API cannot wait."""
        path = f"/status-sync/{quote(job_id, safe='')}?wait={WAIT_MS}"
        async with self.connection.request("GET", path) as response:
            if response.status == 200:
                return await self._object(response)
            if response.status not in NOT_WAITING and response.status != 429:
                raise BackendUnreachable(f"{self.name}: RunPod returns HTTP {response.status} for a job")
            if response.status == 429:
                await asyncio.sleep(retry_after_s(response) or LIMITED_S)
            return None

    async def _about(self, method: str, path: str, job_id: str) -> dict[str, Any]:
        """Send a request about a job, again after a rate limit."""
        for _ in range(LIMITED_TRIES):
            async with self.connection.request(method, path) as response:
                if response.status == 200:
                    return await self._object(response)
                if response.status == 404:
                    raise JobLost(f"{self.name}: RunPod does not know the job {job_id} any more")
                pause_s = retry_after_s(response) or LIMITED_S
                if response.status != 429:
                    raise BackendUnreachable(f"{self.name}: RunPod returns HTTP {response.status} for a job")
            await asyncio.sleep(pause_s)
        raise BackendUnreachable(f"{self.name}: RunPod returns 429 again and again")

    async def _object(
        self, response: aiohttp.ClientResponse, lost: type[BackendError] = BackendUnreachable
    ) -> dict[str, Any]:
        """Return the JSON object of a response, which may be large."""
        body = await self.connection.read(response, lost)
        try:
            value = await parse(body)
        except orjson.JSONDecodeError:
            value = None
        if not isinstance(value, dict):
            raise self.connection.unexpected(response, body)
        return value

    async def _refusal(self, response: aiohttp.ClientResponse) -> BackendRefused:
        """Return the error for a job that the endpoint did not accept. Another backend may accept the same job."""
        body = await self.connection.read(response)
        text = body[:200].decode(errors="replace")
        message = f"RunPod returns HTTP {response.status} for a job: {text}"
        retry_s = retry_after_s(response)
        return refused_by_platform(self.name, response.status, "runpod_refused", message, retry_s)


def has_ended(answer: dict[str, Any]) -> bool:
    """Return whether a status object is that of a job that has ended."""
    return answer.get("status") in {"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"}
