"""A worker behind Vast's SDK, and fuzzed requests in the signed form that the SDK accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.request_mutations import JUNK
from chaos.fuzzing.request_strategies import FuzzState
from chaos.testbed.child_process import ChildProcess
from chaos.testbed.tcp_relay import TcpRelay
from chaos.testbed.worker_testbeds import EngineProcess, wait_until_ok, worker_process
from worker.simulators.vast_router import LocalVast, serve

ENDPOINT = "comfy"
WORKER_ID = 1
READY_S = 60.0
SDK_ROUTES = (
    *("/result", "/cancel", "/events", "/result", "/session/create", "/pyworker/update", "/session/get", "/nowhere"),
)
"""Routes of the SDK's worker, and one that does not exist."""


@dataclass(frozen=True, slots=True)
class SdkTestbed:
    """A worker behind the SDK: the simulated Vast, the worker's signed URL, its process and its relay to the engine."""

    vast: LocalVast
    url: str
    child: ChildProcess
    relay: TcpRelay


@asynccontextmanager
async def sdk_testbed(engine: EngineProcess, env: Mapping[str, str]) -> AsyncIterator[SdkTestbed]:
    """Start a worker behind the SDK and wait until the autoscaler counts it as ready."""
    async with serve(endpoint=ENDPOINT) as vast, TcpRelay(engine.port) as relay:
        own = {"WORKER_PLATFORM": "vast", "WORKER_VAST_HOST": "127.0.0.1", "WORKER_BENCHMARK_RUNS": "1"}
        settings = {**own, **env, **await vast.worker_env(WORKER_ID)}
        worker = worker_process(engine.child.folder, engine, relay.url, settings)
        worker.child.env = {
            **worker.child.env,
            "WORKER_TOKENS": "",
            "WORKER_STATE": str(worker.state.with_name("vast")),
        }
        worker.child.log = worker.child.log.with_name("vast.log")
        try:
            await worker.child.start()
            await wait_until_ok(worker.child, f"{worker.url}/ready")
            await vast.record.until(
                lambda record: any(row.max_perf > 0 for row in record.reports_of(WORKER_ID)), READY_S
            )
            yield SdkTestbed(vast, vast.record.statuses[-1].url, worker.child, relay)
        finally:
            await worker.child.stop()


def signed_auth(testbed: SdkTestbed, number: int) -> dict[str, Any]:
    """Return `auth_data` as the router signs it, with this request number."""
    signed = {"url": testbed.url, "signature": testbed.vast.sign(testbed.url)}
    return {"cost": 1.0, "endpoint": ENDPOINT, "__request_id": "x", **signed, "request_idx": number, "reqnum": number}


class SdkRequestWrapper:
    """Wraps fuzzed requests into the signed form of the SDK's worker. Some signatures are damaged on purpose."""

    def __init__(self, testbed: SdkTestbed, state: FuzzState, seed: int) -> None:
        self._auth = signed_auth(testbed, 0)
        self._state = state
        self._random = Random(seed)

    def wrap(self, request: FuzzRequest) -> FuzzRequest:
        """Return the signed form of a request for work. Other requests become requests to the SDK's own routes."""
        number = self._state.next_number()
        auth: Any = {**self._auth, "request_idx": number, "reqnum": number}
        if self._random.random() < 0.08:
            auth[self._random.choice(list(auth))] = self._random.choice(JUNK)
        if self._random.random() < 0.02:
            auth = self._random.choice(JUNK)
        if request.kind == "form":  # Vast's clients send no forms
            return replace(request, kind="SDK, unsigned")
        is_work = request.path.startswith("/generate")
        path = request.path if is_work else self._random.choice(SDK_ROUTES)
        payload = request.body if is_work else self._job_handle()
        if self._random.random() < 0.02:
            return FuzzRequest("POST", path, payload, request.headers, kind="SDK, unsigned")
        body = b'{"auth_data": %b, "payload": %b}' % (_json(auth), payload)
        return FuzzRequest("POST", path, body, {"Content-Type": "application/json"}, kind="SDK")

    def _job_handle(self) -> bytes:
        """Return id and token of an accepted job as JSON. Some have a damaged field."""
        job_id, token = self._random.choice(self._state.jobs) if self._state.jobs else ("x", "y")
        handle: dict[str, Any] = {"id": job_id, "token": token}
        if self._random.random() < 0.3:
            handle[self._random.choice(("id", "token", "last_event_id"))] = self._random.choice(JUNK)
        return _json(handle)


def _json(value: object) -> bytes:
    """Return JSON, also for integers beyond 64 bits, which orjson rejects."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return str(value).encode() if isinstance(value, int) else b"{}"
