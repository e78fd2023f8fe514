"""The same requests through Vast's SDK: each signed as its router signs, some of them badly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.mutate import JUNK
from chaos.fuzzing.requests import Pot
from chaos.testbed.child import Child
from chaos.testbed.relay import Relay
from chaos.testbed.stage import StageEngine, answering, worker_in
from worker.simulators.vast_router import LocalVast, serve

ENDPOINT = "comfy"
WORKER_ID = 1
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class Behind:
    """A worker behind the SDK: the stand-in of Vast, the worker's address as it is signed, its process, its relay."""

    vast: LocalVast
    url: str
    child: Child
    relay: Relay


@asynccontextmanager
async def vast_worker(engine: StageEngine, env: Mapping[str, str]) -> AsyncIterator[Behind]:
    """Once the autoscaler counts it as ready."""
    async with serve(endpoint=ENDPOINT) as vast, Relay(engine.port) as relay:
        own = {"WORKER_PLATFORM": "vast", "WORKER_VAST_HOST": "127.0.0.1", "WORKER_BENCHMARK_RUNS": "1"}
        worker = worker_in(engine.child.folder, engine, relay.url, {**own, **env, **await vast.worker_env(WORKER_ID)})
        worker.child.env = {
            **worker.child.env,
            "WORKER_TOKENS": "",
            "WORKER_STATE": str(worker.state.with_name("vast")),
        }
        worker.child.log = worker.child.log.with_name("vast.log")
        try:
            await worker.child.start()
            await answering(worker.child, f"{worker.url}/ready")
            await vast.record.until(lambda record: any(one.max_perf > 0 for one in record.of(WORKER_ID)), READY_S)
            yield Behind(vast, vast.record.statuses[-1].url, worker.child, relay)
        finally:
            await worker.child.end()


def signed_auth(behind: Behind, number: int) -> dict[str, Any]:
    """Return `auth_data` as the router gives it with a number of its own."""
    signed = {"url": behind.url, "signature": behind.vast.sign(behind.url)}
    return {"cost": 1.0, "endpoint": ENDPOINT, "__request_id": "x", **signed, "request_idx": number, "reqnum": number}


class Envelopes:
    """Puts payloads into what the SDK's worker takes."""

    def __init__(self, behind: Behind, pot: Pot, seed: int) -> None:
        self._auth = signed_auth(behind, 0)
        self._pot = pot
        self._random = Random(seed)

    def wrap(self, asked: FuzzRequest) -> FuzzRequest:
        """By the same route where it is one for work, else by one of the SDK's worker's own."""
        number = self._pot.next()
        auth: Any = {**self._auth, "request_idx": number, "reqnum": number}
        if self._random.random() < 0.08:
            auth[self._random.choice(list(auth))] = self._random.choice(JUNK)
        if self._random.random() < 0.02:
            auth = self._random.choice(JUNK)
        if asked.kind == "form":  # Vast's clients send none
            return replace(asked, kind="SDK, bare")
        path = asked.path if asked.path.startswith("/generate") else self._random.choice(OTHERS)
        payload = asked.body if path.startswith("/generate") else self._handle()
        if self._random.random() < 0.02:
            return FuzzRequest("POST", path, payload, asked.headers, kind="SDK, bare")
        body = b'{"auth_data": %b, "payload": %b}' % (_json(auth), payload)
        return FuzzRequest("POST", path, body, {"Content-Type": "application/json"}, kind="SDK")

    def _handle(self) -> bytes:
        job_id, token = self._random.choice(self._pot.jobs) if self._pot.jobs else ("x", "y")
        handle: dict[str, Any] = {"id": job_id, "token": token}
        if self._random.random() < 0.3:
            handle[self._random.choice(("id", "token", "last_event_id"))] = self._random.choice(JUNK)
        return _json(handle)


OTHERS = ("/result", "/cancel", "/events", "/result", "/session/create", "/pyworker/update", "/session/get", "/nowhere")


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits
        return str(value).encode() if isinstance(value, int) else b"{}"
