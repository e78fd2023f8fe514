"""The simulated load balancer: health checks, routing, affinity, limits and workers of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from worker.simulators.runpod import LocalLoadBalancer, PodOptions, PodScaling, RunpodAssumptions, serve_load_balancer
from worker.simulators.runpod.load_balancing.routing import Affinity, AffinityMode, BalancedWorker, HealthState, choose

PROGRAM = Path(__file__).with_name("http_pod.py")
QUICK = {"health_poll_s": 0.02, "load_balancer_wait_s": 0.3, "affinity_wait_s": 0.3}


@dataclass
class HttpWorker:
    """A worker of the test: the status of its health check, and the headers of the last request."""

    id: str
    health: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Serve on a free port, and yield it."""
        app = web.Application(client_max_size=2**26)
        app.add_routes(
            [
                web.get("/ping", self._ping),
                web.get("/ws", self._websocket),
                web.get("/events", self._events),
                web.get("/held", self._held),
                web.get("/size/{bytes}", self._size),
                web.route("*", "/{path:.*}", self._echo),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(status=self.health)

    async def _echo(self, request: web.Request) -> web.Response:
        self.headers = dict(request.headers)
        body = {"worker": self.id, "method": request.method, "path": request.path_qs, "size": len(await request.read())}
        return web.json_response(body, status=201, headers={"X-Own": "yes"})

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        await self.go_on.wait()
        await response.write(b"data: 2\n\n")
        return response

    async def _held(self, _: web.Request) -> web.Response:
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.left.set()
            raise
        return web.Response(text="late")

    async def _size(self, request: web.Request) -> web.Response:
        return web.Response(body=b"x" * int(request.match_info["bytes"]))

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(f"{self.id}: {message.data}")
        return socket


@dataclass(frozen=True)
class Balanced:
    """The load balancer with a client of it."""

    balancer: LocalLoadBalancer
    workers: list[HttpWorker]
    http: aiohttp.ClientSession

    async def call(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> tuple[int, Any]:
        """Send a request, and return the status and the JSON body, or the text."""
        url, given = self.balancer.url + path, {"Authorization": f"Bearer {self.balancer.api_key}", **headers}
        async with self.http.request(method, url, data=data, headers=given) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())

    async def until(self, worker_id: str, state: HealthState) -> None:
        """Wait until a worker is in a state."""
        workers = self.balancer.state.workers
        assert await self.balancer.state.changes.until(lambda: workers[worker_id].state is state, 10)


@asynccontextmanager
async def balanced(count: int = 1, health: int = 200, **assumptions: Any) -> AsyncIterator[Balanced]:
    """Run the load balancer with workers of the test, `pod-0` and so on."""
    async with (
        serve_load_balancer(assumptions=RunpodAssumptions(**{**QUICK, **assumptions})) as balancer,
        aiohttp.ClientSession() as http,
    ):
        workers = [HttpWorker(f"pod-{number}", health) for number in range(count)]
        async with listening(balancer, workers):
            yield Balanced(balancer, workers, http)


@asynccontextmanager
async def listening(balancer: LocalLoadBalancer, workers: list[HttpWorker]) -> AsyncIterator[None]:
    """Run workers one inside the other, and add them to the load balancer."""
    if not workers:
        yield
        return
    async with workers[0].listening() as port, listening(balancer, workers[1:]):
        balancer.add_worker(workers[0].id, port)
        if workers[0].health == 200:
            await balancer.wait_until_ready(len(balancer.state.workers))
        yield


@pytest.mark.parametrize(
    ("header", "affinity"),
    [
        ("", Affinity()),
        ("pod-1", Affinity(AffinityMode.SOFT, "pod-1")),
        ("strict pod-1", Affinity(AffinityMode.STRICT, "pod-1")),
        ("strict-resume pod-1", Affinity(AffinityMode.STRICT_RESUME, "pod-1")),
        ("other pod-1 x", Affinity()),
    ],
)
def test_the_header_of_affinity(header: str, affinity: Affinity) -> None:
    """Each form of the header is read."""
    assert Affinity.read(header) == affinity


def test_the_least_busy_ready_worker_is_chosen() -> None:
    """Workers that are full, starting or unhealthy get nothing, also from a strict request."""
    workers = {name: BalancedWorker(name, "", "", HealthState.READY) for name in ("a", "b", "c")}
    workers["a"].open_requests, workers["b"].open_requests = 2, 1
    workers["c"].state = HealthState.INITIALIZING
    assert choose(workers, Affinity(), 9) is workers["b"]
    assert choose(workers, Affinity(AffinityMode.SOFT, "a"), 9) is workers["a"]
    assert choose(workers, Affinity(AffinityMode.SOFT, "c"), 9) is workers["b"]
    assert choose(workers, Affinity(AffinityMode.STRICT, "c"), 9) is None
    assert choose(workers, Affinity(), 1) is None


async def test_any_request_reaches_the_worker() -> None:
    """Method, path, query and body arrive. Status, headers and body come back with the id of the worker."""
    async with balanced() as space:
        url = space.balancer.url + "/any/path%20x?a=1&a=2"
        headers = {"Authorization": space.balancer.api_key, "X-Mine": "1"}
        async with space.http.put(url, data=b"body", headers=headers) as response:
            assert (response.status, response.headers["X-Own"]) == (201, "yes")
            assert response.headers["X-Runpod-Worker-Id"] == "pod-0"
            body = await response.json()
        assert body == {"worker": "pod-0", "method": "PUT", "path": "/any/path%20x?a=1&a=2", "size": 4}
        assert space.workers[0].headers["X-Mine"] == "1"


@pytest.mark.parametrize("passes", [False, True])
async def test_the_authorization_header(passes: bool) -> None:
    """The key is checked here. Whether the worker sees the header is a switch."""
    async with balanced(passes_authorization=passes) as space:
        assert (await space.call("/x", Authorization="Bearer wrong"))[0] == 401
        assert (await space.call("/x"))[0] == 201
        assert ("Authorization" in space.workers[0].headers) is passes


async def test_only_ready_workers_get_requests() -> None:
    """204 means not yet, and everything else takes a worker out of rotation until its next 200."""
    async with balanced(health=204) as space:
        await space.until("pod-0", HealthState.INITIALIZING)
        assert await space.call("/x") == (503, {"error": "no workers available"})
        space.workers[0].health = 200
        await space.until("pod-0", HealthState.READY)
        assert (await space.call("/x"))[0] == 201
        cold_start_s = space.balancer.state.workers["pod-0"].cold_start_s
        assert cold_start_s
        assert cold_start_s > 0
        space.workers[0].health = 500
        await space.until("pod-0", HealthState.UNHEALTHY)
        assert (await space.call("/x"))[0] == 503


async def test_a_request_waits_for_a_worker() -> None:
    """It is forwarded as soon as one is ready."""
    async with balanced(health=204, load_balancer_wait_s=20) as space:
        call = asyncio.create_task(space.call("/x"))
        assert await space.balancer.state.changes.until(lambda: space.balancer.state.waiting, 10)
        space.workers[0].health = 200
        assert (await call)[0] == 201


async def test_affinity() -> None:
    """A plain id is a wish, `strict` an order, and an unknown worker is gone."""
    async with balanced(2) as space:
        for mode in ("", "strict ", "strict-resume "):
            for worker_id in ("pod-0", "pod-1"):
                _, body = await space.call("/x", **{"X-Runpod-Worker-Id": mode + worker_id})
                assert body["worker"] == worker_id
        assert (await space.call("/x", **{"X-Runpod-Worker-Id": "pod-9"}))[0] == 201
        for mode in ("strict", "strict-resume"):
            answer = await space.call("/x", **{"X-Runpod-Worker-Id": f"{mode} pod-9"})
            assert answer == (404, {"error": "affinity_worker_gone"})
        space.workers[1].health = 204
        await space.until("pod-1", HealthState.INITIALIZING)
        answer = await space.call("/x", **{"X-Runpod-Worker-Id": "strict pod-1"})
        assert answer == (400, {"error": "timed out waiting for worker"})
        assert (await space.call("/x", **{"X-Runpod-Worker-Id": "pod-1"}))[1]["worker"] == "pod-0"


async def test_a_worker_that_does_not_answer_is_a_bad_gateway() -> None:
    """There is no second try."""
    async with balanced(health_poll_s=60) as space:
        space.balancer.state.workers["pod-0"].url = "http://127.0.0.1:9"
        assert await space.call("/x") == (502, {"error": "bad gateway"})


async def test_a_request_has_a_time_limit() -> None:
    """After it the client gets an error, and the worker sees the end of the request."""
    async with balanced(load_balancer_limit_s=0.2) as space:
        assert (await space.call("/held"))[0] == 504
        async with asyncio.timeout(10):
            await space.workers[0].left.wait()


async def test_a_stream_ends_at_the_time_limit() -> None:
    """Events arrive one by one, and the connection is closed when the time is over."""
    async with balanced(load_balancer_limit_s=0.5) as space:
        headers = {"Authorization": space.balancer.api_key}
        async with space.http.get(space.balancer.url + "/events", headers=headers) as response:
            assert await response.content.readany() == b"data: 1\n\n"
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.read()


async def test_bodies_have_a_limit() -> None:
    """A larger request or response is an error."""
    async with balanced(load_balancer_body_limit=1000) as space:
        assert (await space.call("/x", "POST", b"x" * 1000))[1]["size"] == 1000
        assert (await space.call("/x", "POST", b"x" * 1001))[0] == 413
        assert (await space.call("/size/1000"))[0] == 200
        assert (await space.call("/size/1001"))[0] == 413


async def test_a_client_that_leaves_ends_the_request() -> None:
    """The worker notices it."""
    async with balanced() as space:
        call = asyncio.create_task(space.call("/held"))
        assert await space.balancer.state.changes.until(lambda: space.balancer.state.waiting == 0, 10)
        while not space.balancer.state.open_requests:
            await asyncio.sleep(0.01)
        call.cancel()
        async with asyncio.timeout(10):
            await space.workers[0].left.wait()


async def test_websockets() -> None:
    """Messages pass in both directions."""
    async with balanced() as space:
        headers = {"Authorization": f"Bearer {space.balancer.api_key}"}
        async with space.http.ws_connect(space.balancer.url + "/ws", headers=headers) as socket:
            await socket.send_str("hello")
            assert await socket.receive_str() == "pod-0: hello"


async def test_workers_start_for_requests_stop_when_idle_and_resume(tmp_path: Path) -> None:
    """The first request starts a worker on the port in PORT. `strict-resume` starts it again after its end."""
    scaling = PodScaling(max_workers=1, idle_timeout_s=0.3, request_count=1)
    options = PodOptions([sys.executable, str(PROGRAM)], tmp_path, scaling=scaling)
    switches = RunpodAssumptions(health_poll_s=0.05, load_balancer_wait_s=20, affinity_wait_s=20)
    async with (
        serve_load_balancer(assumptions=switches, pods=options) as balancer,
        aiohttp.ClientSession() as http,
    ):
        space = Balanced(balancer, [], http)
        pool = balancer.pods
        assert pool
        assert (await space.call("/x"))[1] == {"pod": "pod-1", "start": 1}
        async with asyncio.timeout(20):
            while pool.pods:
                await asyncio.sleep(0.02)
        assert (await space.call("/x", **{"X-Runpod-Worker-Id": "strict pod-1"}))[0] == 404
        status, body = await space.call("/x", **{"X-Runpod-Worker-Id": "strict-resume pod-1"})
        assert (status, body) == (200, {"pod": "pod-1", "start": 2})
