"""How each fault is done to a worker with jobs in flight; what lasts is mended before the strike returns."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp

from chaos.testbed.bucket import Mood
from chaos.testbed.clock import set_clock
from chaos.testbed.testbed import Testbed
from worker.simulators.vast_router import RouterFaultConfig

Strike = Callable[[Testbed], Awaitable[None]]
AWAY_S = 2.5
"""How long something outside of the worker stays broken."""
FILLINGS = 25
DELAY_S = 0.3
PIECE = 3
SPARE_FILES, STRANGERS = 3, 20
SPARE_MEMORY = 256 * 1024
LARGE, LARGE_BODIES = 3 * 1024 * 1024, 20


async def nothing(_: Testbed) -> None:
    """The trigger does it."""


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
        scene.vast.configure(fault_config)
        await asyncio.sleep(AWAY_S)
        scene.vast.configure(RouterFaultConfig())

    return strike


async def interrupt(scene: Testbed) -> None:
    """By a stranger in ComfyUI's own page: whatever runs is stopped."""
    async with aiohttp.ClientSession() as http, http.post(f"{scene.engine_urls()[0]}/interrupt", json={}) as answer:
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


def engine_answers(delay_s: float = 0.0, piece: int = 0) -> Strike:
    """Each part of each answer comes late, or in pieces of a few bytes."""

    async def strike(scene: Testbed) -> None:
        if scene.relay:
            usual = scene.relay.piece
            scene.relay.delay_s, scene.relay.piece = delay_s, piece or usual
            await asyncio.sleep(AWAY_S)
            scene.relay.delay_s, scene.relay.piece = 0.0, usual

    return strike


async def few_files(scene: Testbed) -> None:
    """ComfyUI is killed, and strangers hold the last files that the worker may open; later it may open more again."""
    pid = scene.worker.child.pid
    spare = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) + SPARE_FILES
    async with AsyncExitStack() as strangers:
        before = _limit(pid, resource.RLIMIT_NOFILE, spare)
        scene.signal_engine(signal.SIGKILL)
        for _ in range(STRANGERS):
            _, writer = await asyncio.open_connection("127.0.0.1", scene.worker.port)
            strangers.callback(writer.close)
        await asyncio.sleep(AWAY_S)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def little_memory(scene: Testbed) -> None:
    """ComfyUI is killed, and large bodies come, while the worker's address space may hardly grow."""
    pid = scene.worker.child.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[0])
    before = _limit(pid, resource.RLIMIT_AS, pages * resource.getpagesize() + SPARE_MEMORY)
    scene.signal_engine(signal.SIGKILL)
    large = b'{"workflow": {"1": {"class_type": "%b"}}}' % (b"x" * LARGE)
    async with aiohttp.ClientSession() as http:
        for _ in range(LARGE_BODIES):
            with suppress(aiohttp.ClientError):
                async with http.post(f"{scene.worker.url}/validate", data=large) as answer:
                    await answer.read()
            await asyncio.sleep(AWAY_S / LARGE_BODIES)
    resource.prlimit(pid, resource.RLIMIT_AS, before)


def _limit(pid: int, what: int, most: int) -> tuple[int, int]:
    """Set a process's soft limit. Returns what its limits were."""
    before = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (most, before[1]))
    return before


async def fill_disk_again_and_again(scene: Testbed) -> None:
    """So often that every kind of write meets a full disk."""
    filler = scene.worker.state / "filler"
    for _ in range(FILLINGS):
        await asyncio.to_thread(_fill, str(filler))
        await asyncio.sleep(0.1)
        filler.unlink()
        await asyncio.sleep(0.05)


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
