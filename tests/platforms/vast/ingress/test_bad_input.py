"""Signed requests that cannot run: rejected without a 5xx, and reported as done."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.api.bad_input.bodies import OTHER_VALUES, places, swapped, valid_bodies
from tests.api.bad_input.test_depth import BODIES, nested
from tests.engines import EngineHandle
from tests.platforms.conftest import deleted, loaded, processes, start_worker
from tests.workflows import picture
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORK = ("/generate/sync", "/generate", "/generate/stream")


class Signed:
    """Sends raw payloads to the worker, each with its own numbers and a valid signature."""

    def __init__(self, local: LocalVast, http: aiohttp.ClientSession) -> None:
        self.local = local
        self.http = http
        self.url = local.record.statuses[-1].url
        self.numbers = itertools.count(1000)
        self.last = 0

    async def post(self, path: str, payload: bytes, **auth: object) -> tuple[int, bytes]:
        self.last = next(self.numbers)
        grant = {
            **{"url": self.url, "signature": self.local.sign(self.url), "cost": 1.0, "endpoint": "comfy"},
            **{"request_idx": self.last, "reqnum": self.last, **auth},
        }
        body = b'{"auth_data": %b, "payload": %b}' % (json.dumps(grant).encode(), payload)
        async with self.http.post(self.url + path, data=body) as answer:
            return answer.status, await answer.read()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def signed(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Signed]:
    """Run one worker behind the SDK."""
    folder = tmp_path_factory.mktemp("bad")
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, local, engine, 1, folder / "state", WORKER_GATEWAY_PORT="0")
        await local.record.until(loaded(1))
        yield Signed(local, await stack.enter_async_context(aiohttp.ClientSession()))


@pytest.mark.parametrize("name", BODIES)
async def test_deep_json(signed: Signed, name: str) -> None:
    """Deeply nested JSON gets 400 at each place of a payload, and its number is reported as done."""
    for levels, path in itertools.product((150, 254, 300, 950, 2_000), WORK):
        status, answer = await signed.post(path, BODIES[name] % nested(levels, b"[", b"]"))
        assert (status, json.loads(answer)["error"]["code"]) == (400, "invalid_json"), (levels, path)
    status, _ = await signed.post("/generate/sync", BODIES[name] % nested(90, b"[", b"]"))
    assert status < 500
    await signed.local.record.until(deleted(signed.last))


@pytest.mark.parametrize("form", valid_bodies())
async def test_other_types(signed: Signed, form: str) -> None:
    """A value of another JSON type anywhere in a payload gets a JSON response below 500."""
    draw, body = random.Random(form), valid_bodies()[form]
    for _ in range(12):
        changed = swapped(body, draw.choice(list(places(body))), draw.choice(OTHER_VALUES))
        status, answer = await signed.post("/generate/sync", json.dumps(changed).encode())
        assert status < 500, changed
        assert isinstance(json.loads(answer), dict)


async def test_odd_node_ids_return_their_images(signed: Signed) -> None:
    """Node ids of Unicode digits or beyond any integer return their images."""
    plain = picture()
    for node_id in ("²", "٣", "９", "9" * 5000, "1:²", "-1", "1e5"):
        workflow = {"1": plain["1"], node_id: plain["2"]}
        status, answer = await signed.post("/generate/sync", json.dumps({"workflow": workflow}).encode())
        assert (status, json.loads(answer)["outputs"][0]["node_id"]) == (200, node_id)


@pytest.mark.parametrize("path", ["/result", "/cancel", "/events", "/deliver", "/session/create", "/nowhere"])
async def test_other_routes(signed: Signed, path: str) -> None:
    """Other routes respond below 500 to odd ids, tokens and numbers."""
    odd = (*OTHER_VALUES, "..", "?x", "%2e%2e", "\r\nX: 1", "a" * 5000)
    for value in odd:
        for key in ("id", "token", "last_event_id", "output"):
            asked = {"id": "a", "token": "t", key: value}
            assert (await signed.post(path, json.dumps(asked).encode()))[0] < 500, asked
    for levels in (150, 300, 2_000):
        assert (await signed.post(path, b'{"id":"a","token":%b}' % nested(levels, b"[", b"]")))[0] in {400, 403, 404}


@pytest.mark.parametrize("field", ["request_idx", "reqnum", "cost", "endpoint", "url", "signature", "extra"])
async def test_odd_auth_data(signed: Signed, field: str) -> None:
    """Any value in a field of `auth_data` gets a response below 500."""
    body = json.dumps({"workflow": picture()}).encode()
    for value in (*OTHER_VALUES, 2**63, -(2**63), [[]] * 9):
        assert (await signed.post("/generate/sync", body, **{field: value}))[0] < 500, value
