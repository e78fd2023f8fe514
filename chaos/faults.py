"""The faults of the matrix: how each is done to a worker with jobs in flight, and what has to be noticed of it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import aiohttp

from chaos.testbed.bucket import Mood
from chaos.testbed.clock import set_clock
from chaos.testbed.testbed import Testbed, bucket_settings
from worker.simulators.vast_router import RouterFaultConfig

Strike = Callable[[Testbed], Awaitable[None]]
SILENCE_S, NODE_S, LOOK_S = 3.0, 3.0, 0.5
AWAY_S = 2.5
"""How long something outside of the worker stays broken."""


async def nothing(_: Testbed) -> None:
    """The trigger does it."""


@dataclass(frozen=True, slots=True)
class FaultCase:
    """`trigger` is a fault that the engine is asked for in a workflow, `ends` how that one's job may end, and
    `trigger_timeout_s` its `timeout_s`.

    `sign` is what the worker's log says when it has noticed, `within_s` how soon it has to. `apart`: see `testbed`.
    `outside`: somebody else mends it, at the end of `strike`; only then the worker can serve again.
    """

    name: str
    strike: Strike = nothing
    trigger: str = ""
    trigger_timeout_s: float | None = None
    ends: frozenset[str] = frozenset({"success"})
    sign: str = ""
    within_s: float = 0.0
    apart: bool = False
    env: Mapping[str, str] = field(default_factory=dict)
    by_url: bool = False
    outside: bool = False
    disk_mib: int = 0
    clock: bool = False
    """The worker's wall clock is a file's (`chaos.testbed.clock`)."""
    simulated: bool = False
    gone: bool = False
    """The clients leave and come back."""


def engine_gets(number: signal.Signals) -> Strike:
    async def strike(scene: Testbed) -> None:
        scene.signal_engine(number)

    return strike


def worker_gets(number: signal.Signals) -> Strike:
    async def strike(scene: Testbed) -> None:
        await scene.worker.child.end(number)
        await scene.start_worker()

    return strike


def bucket_is(mood: Mood) -> Strike:
    async def strike(scene: Testbed) -> None:
        await scene.bucket.be(mood)
        await asyncio.sleep(AWAY_S)
        await scene.bucket.be(Mood.WELL)

    return strike


def autoscaler_is(fault_config: RouterFaultConfig) -> Strike:
    async def strike(scene: Testbed) -> None:
        scene.vast.behave(fault_config)
        await asyncio.sleep(AWAY_S)
        scene.vast.behave(RouterFaultConfig())

    return strike


async def interrupt(scene: Testbed) -> None:
    """By a stranger in ComfyUI's own page: whatever runs is stopped."""
    async with aiohttp.ClientSession() as http, http.post(f"{scene.engine_url()}/interrupt", json={}) as answer:
        answer.raise_for_status()


async def move_clock(scene: Testbed) -> None:
    """Two hours forth, and then to an hour before where it was, as a machine does that finds a time server late."""
    for offset_s in (7200, -3600):
        set_clock(scene.worker.child.folder, offset_s)
        await asyncio.sleep(AWAY_S / 2)


async def drop_sockets(scene: Testbed) -> None:
    if scene.relay:
        scene.relay.drop()


async def deafen_sockets(scene: Testbed) -> None:
    if scene.relay:
        scene.relay.deafen()


async def fill_disk(scene: Testbed) -> None:
    """Nothing fits any more on the file system that has the worker's state; after a while it does again."""
    filler = scene.worker.state / "filler"
    await asyncio.to_thread(_fill, str(filler))
    await asyncio.sleep(AWAY_S)
    filler.unlink()


def _fill(path: str) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - unbuffered
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


ALONE, WITH_BUCKET = {"WORKER_DRAIN": "0.5"}, bucket_settings()
DOWN = RouterFaultConfig(status_status=503, delete_status=503, route_status=503)
SLOW = RouterFaultConfig(status_delay_s=2.0, delete_delay_s=2.0)
CASES = (
    FaultCase("ComfyUI killed", engine_gets(signal.SIGKILL), sign="has to start again", within_s=1.0),
    FaultCase("ComfyUI stopped (SIGSTOP)", engine_gets(signal.SIGSTOP), sign="does not answer", within_s=SILENCE_S + 2),
    FaultCase("out of memory once", trigger="oom", sign="ran out of memory", within_s=5.0, simulated=True),
    FaultCase("out of memory twice", trigger="oom;times=2", ends=frozenset({"out_of_memory"}), simulated=True),
    FaultCase("GPU broken (CUDA error)", trigger="cuda", sign="GPU does not answer", within_s=5.0, simulated=True),
    FaultCase("a job crashes ComfyUI twice", trigger="crash;times=0", ends=frozenset({"job_crashes_engine"})),
    FaultCase("worker thread dead", trigger="thread", sign="runs none", within_s=3 * LOOK_S + 4),
    FaultCase("a node hangs", trigger="hang", sign="makes no progress", within_s=NODE_S + 2),
    FaultCase(
        "a node goes on after its job",
        trigger="hang",
        trigger_timeout_s=3.0,
        ends=frozenset({"timeout"}),
        sign="a job that has ended goes on",
        within_s=NODE_S + 4,
        env={"WORKER_NODE_SILENCE": "60", "WORKER_NODE_STOP": str(NODE_S)},
    ),
    FaultCase("socket dropped", drop_sockets, sign="lost the WebSocket", within_s=1.0, apart=True),
    FaultCase("socket deaf", deafen_sockets, sign="open but silent", within_s=5.0, apart=True),
    FaultCase("history late, socket dropped", drop_sockets, trigger="late;seconds=3", apart=True),
    FaultCase("interrupted by somebody else", interrupt),
    FaultCase("worker killed (SIGKILL), ComfyUI lives", worker_gets(signal.SIGKILL), apart=True),
    FaultCase("worker killed (SIGKILL), ComfyUI with it", worker_gets(signal.SIGKILL)),
    FaultCase("worker told to end (SIGTERM)", worker_gets(signal.SIGTERM), env=ALONE),
    FaultCase("S3 down", bucket_is(Mood.DOWN), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 slow", bucket_is(Mood.SLOW), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase("S3 answers 500", bucket_is(Mood.BROKEN), env=WITH_BUCKET, by_url=True, apart=True, outside=True),
    FaultCase(
        "S3 refuses the credentials", bucket_is(Mood.STRICT), env=WITH_BUCKET, by_url=True, apart=True, outside=True
    ),
    FaultCase(
        "the worker's disk full", fill_disk, disk_mib=8, env={"WORKER_MIN_FREE_MIB": "1"}, apart=True, outside=True
    ),
    FaultCase("ComfyUI's disk full", trigger="full", ends=frozenset({"node_failed"})),
    FaultCase("autoscaler down", autoscaler_is(DOWN), apart=True, outside=True),
    FaultCase("autoscaler slow", autoscaler_is(SLOW), apart=True, outside=True),
    FaultCase("clients gone", apart=True, gone=True),
    FaultCase("the worker's clock moved", move_clock, apart=True, clock=True),
)
SHORT = frozenset(
    {
        "ComfyUI killed",
        "socket dropped",
        "worker killed (SIGKILL), ComfyUI with it",
        "S3 down",
        "the worker's disk full",
    }
)
