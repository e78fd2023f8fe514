"""A simulated endpoint for tests, with a client and workers that send plain HTTP."""

from __future__ import annotations

import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from worker.simulators.runpod import LocalRunpod, PodOptions, RunpodAssumptions, serve

HOLD_S = 0.3
"""Seconds for which takes and stops without a job are held in tests."""

Answer = tuple[int, Any]


@dataclass(frozen=True)
class PlainWorker:
    """A worker that sends each call when the test says so."""

    runpod: LocalRunpod
    http: aiohttp.ClientSession
    id: str = "pod0"

    async def take(self) -> Any:
        """Return the next job, or None."""
        status, job = await self.call("GET", f"job-take/{self.id}?gpu=FAKE&job_in_progress=0")
        assert status in (200, 204), status
        return job

    async def stops(self) -> list[str]:
        """Return the ids of the jobs to stop."""
        _, body = await self.call("GET", f"job-stop/{self.id}?gpu=FAKE")
        return body["jobsToStop"] if body else []

    async def done(self, job_id: str, body: object) -> int:
        """Report a result or progress, and return the HTTP status."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _ = await self.call("POST", f"job-done/{self.id}/{job_id}?gpu=FAKE&isStream=false", data)
        return status

    async def ping(self, query: str = "") -> int:
        """Send a heartbeat, and return the HTTP status."""
        status, _ = await self.call("GET", f"ping/{self.id}?gpu=FAKE{query}")
        return status

    async def call(self, method: str, path: str, data: bytes | None = None) -> Answer:
        """Send a request with the worker's key, and return the status and the JSON body."""
        headers = {"Authorization": self.runpod.state.keys.worker}
        return await exchange(self.http, method, f"{self.runpod.endpoint_url}/{path}", data, headers)


@dataclass(frozen=True)
class PlainEndpoint:
    """The stand-in with a client of it."""

    runpod: LocalRunpod
    http: aiohttp.ClientSession

    def worker(self, worker_id: str = "pod0") -> PlainWorker:
        """Return a worker."""
        return PlainWorker(self.runpod, self.http, worker_id)

    async def run(self, input: Any = None, **fields: Any) -> str:
        """Queue a job and return its id."""
        status, body = await self.post("run", {"input": input or {}, **fields})
        assert status == 200, body
        return body["id"]

    async def status(self, job_id: str) -> Any:
        """Return the state of a job. Its `status` is the HTTP status when that is not 200."""
        status, body = await self.get(f"status/{job_id}")
        return body if status == 200 else {"status": status}

    async def post(self, path: str, body: object = None, key: str | None = None) -> Answer:
        """POST to the endpoint as a client."""
        data = None if body is None else json.dumps(body).encode()
        return await self.call("POST", path, data, key)

    async def get(self, path: str, key: str | None = None) -> Answer:
        """GET from the endpoint as a client."""
        return await self.call("GET", path, None, key)

    async def call(self, method: str, path: str, data: bytes | None, key: str | None = None) -> Answer:
        """Send a request with a key, by default the right one after `Bearer`."""
        headers = {"Authorization": f"Bearer {self.runpod.api_key}" if key is None else key}
        return await exchange(self.http, method, f"{self.runpod.endpoint_url}/{path}", data, headers)


async def exchange(
    http: aiohttp.ClientSession, method: str, url: str, data: bytes | None, headers: dict[str, str]
) -> Answer:
    """Send a request, and return the status and the JSON body, None without one."""
    body = None if data is None else io.BytesIO(data)
    async with http.request(method, url, data=body, headers=headers) as response:
        text = await response.text()
        is_json = response.content_type == "application/json"
        return response.status, json.loads(text) if is_json and text else None


@asynccontextmanager
async def plain_endpoint(
    clock: Callable[[], float] | None = None, *, pods: PodOptions | None = None, **assumptions: Any
) -> AsyncIterator[PlainEndpoint]:
    """Run the stand-in. `assumptions` are fields of RunpodAssumptions."""
    switches = RunpodAssumptions(**{"take_hold_s": HOLD_S, "stop_hold_s": HOLD_S, **assumptions})
    async with (
        serve(assumptions=switches, clock=clock or time.time, pods=pods) as runpod,
        aiohttp.ClientSession() as http,
    ):
        yield PlainEndpoint(runpod, http)
