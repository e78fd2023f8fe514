"""The actions that cause each fault while jobs are in flight. A lasting fault is repaired before its action returns."""

from __future__ import annotations

import asyncio
import resource
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import aiohttp

from chaos.testbed.bucket import BucketFault
from chaos.testbed.clock import set_clock
from chaos.testbed.matrix_testbed import MatrixTestbed
from worker.simulators.vast_router import RouterFaultConfig

FaultAction = Callable[[MatrixTestbed], Awaitable[None]]
OUTAGE_S = 2.5
"""Seconds for which a server outside the worker stays broken."""
DISK_FILLINGS = 25
DELAY_S = 0.3
PIECE = 3
SPARE_FILES, CONNECTIONS = 3, 20
SPARE_MEMORY = 256 * 1024
LARGE_STRING, LARGE_BODIES = 3 * 1024 * 1024, 20


async def no_action(_: MatrixTestbed) -> None:
    """Do nothing, because the trigger job causes the fault."""


def signal_engine(number: signal.Signals) -> FaultAction:
    """Return an action that sends a signal to one engine."""

    async def action(testbed: MatrixTestbed) -> None:
        testbed.signal_engine(number)

    return action


def restart_worker(number: signal.Signals) -> FaultAction:
    """Return an action that ends the worker with a signal and starts it again."""

    async def action(testbed: MatrixTestbed) -> None:
        await testbed.worker.child.stop(number)
        await testbed.start_worker()

    return action


def break_bucket(fault: BucketFault) -> FaultAction:
    """Return an action that breaks the bucket for OUTAGE_S."""

    async def action(testbed: MatrixTestbed) -> None:
        await testbed.bucket.set_fault(fault)
        await asyncio.sleep(OUTAGE_S)
        await testbed.bucket.set_fault(BucketFault.NONE)

    return action


def break_autoscaler(fault_config: RouterFaultConfig) -> FaultAction:
    """Return an action that breaks the simulated autoscaler for OUTAGE_S."""

    async def action(testbed: MatrixTestbed) -> None:
        testbed.vast.configure(fault_config)
        await asyncio.sleep(OUTAGE_S)
        testbed.vast.configure(RouterFaultConfig())

    return action


async def interrupt_engine(testbed: MatrixTestbed) -> None:
    """Interrupt the running prompt through ComfyUI's own API, as a user of its page would."""
    url = f"{testbed.engine_urls()[0]}/interrupt"
    async with aiohttp.ClientSession() as http, http.post(url, json={}) as response:
        response.raise_for_status()


async def move_clock(testbed: MatrixTestbed) -> None:
    """Move the worker's wall clock two hours ahead, then to one hour behind, as a late time synchronization does."""
    for offset_s in (7200, -3600):
        set_clock(testbed.worker.child.folder, offset_s)
        await asyncio.sleep(OUTAGE_S / 2)


async def drop_websockets(testbed: MatrixTestbed) -> None:
    """Abort the worker's WebSocket connection to the engine."""
    if testbed.relay:
        testbed.relay.drop_websockets()


async def silence_websockets(testbed: MatrixTestbed) -> None:
    """Keep the WebSocket open but drop the engine's messages."""
    if testbed.relay:
        testbed.relay.silence_websockets()


def slow_engine_responses(delay_s: float = 0.0, piece: int = 0) -> FaultAction:
    """Return an action that delays the engine's responses, or splits them into pieces of a few bytes, for OUTAGE_S."""

    async def action(testbed: MatrixTestbed) -> None:
        if testbed.relay:
            usual_piece = testbed.relay.piece
            testbed.relay.delay_s, testbed.relay.piece = delay_s, piece or usual_piece
            await asyncio.sleep(OUTAGE_S)
            testbed.relay.delay_s, testbed.relay.piece = 0.0, usual_piece

    return action


async def limit_open_files(testbed: MatrixTestbed) -> None:
    """Kill ComfyUI while other connections use up the worker's last file descriptors. Raise the limit again later."""
    pid = testbed.worker.child.pid
    limit = sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()) + SPARE_FILES
    async with AsyncExitStack() as connections:
        before = _set_limit(pid, resource.RLIMIT_NOFILE, limit)
        testbed.signal_engine(signal.SIGKILL)
        for _ in range(CONNECTIONS):
            _, writer = await asyncio.open_connection("127.0.0.1", testbed.worker.port)
            connections.callback(writer.close)
        await asyncio.sleep(OUTAGE_S)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def limit_memory(testbed: MatrixTestbed) -> None:
    """Kill ComfyUI and send large bodies while the worker's address space may hardly grow."""
    pid = testbed.worker.child.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text("utf-8").split()[0])
    before = _set_limit(pid, resource.RLIMIT_AS, pages * resource.getpagesize() + SPARE_MEMORY)
    testbed.signal_engine(signal.SIGKILL)
    large_body = b'{"workflow": {"1": {"class_type": "%b"}}}' % (b"x" * LARGE_STRING)
    async with aiohttp.ClientSession() as http:
        for _ in range(LARGE_BODIES):
            with suppress(aiohttp.ClientError):
                async with http.post(f"{testbed.worker.url}/validate", data=large_body) as response:
                    await response.read()
            await asyncio.sleep(OUTAGE_S / LARGE_BODIES)
    resource.prlimit(pid, resource.RLIMIT_AS, before)


def _set_limit(pid: int, resource_id: int, soft_limit: int) -> tuple[int, int]:
    """Set a process's soft limit. Returns its former limits."""
    before = resource.prlimit(pid, resource_id)
    resource.prlimit(pid, resource_id, (soft_limit, before[1]))
    return before


async def fill_disk_repeatedly(testbed: MatrixTestbed) -> None:
    """Fill and free the worker's disk so often that every kind of write meets a full disk."""
    filler = testbed.worker.state / "filler"
    for _ in range(DISK_FILLINGS):
        await asyncio.to_thread(_fill, str(filler))
        await asyncio.sleep(0.1)
        filler.unlink()
        await asyncio.sleep(0.05)


async def fill_disk(testbed: MatrixTestbed) -> None:
    """Fill the file system of the worker's state folder for OUTAGE_S."""
    filler = testbed.worker.state / "filler"
    await asyncio.to_thread(_fill, str(filler))
    await asyncio.sleep(OUTAGE_S)
    filler.unlink()


def _fill(path: str) -> None:
    """Write a file until the disk is full."""
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - unbuffered
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
