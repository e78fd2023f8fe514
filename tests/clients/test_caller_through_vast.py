"""`clients/python/comfy_caller.py` through Vast's own client, a local router and a real worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.test_comfy_caller import caller, off_loop
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded, processes, start_worker
from worker.simulators import vast_router

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANDLERS = """
import time


def add_slowly(seconds, failing=False):
    time.sleep(seconds)
    if failing:
        raise ValueError("no such face")
    return {"waited": seconds}


def wait_for_ever():
    while True:
        time.sleep(0.05)
"""
LIMIT_S = 1
"""WORKER_SYNC_LIMIT, after which the worker returns a job handle instead of the result."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def handlers(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """The handlers of one worker."""
    folder = tmp_path_factory.mktemp("vast")
    (folder / "app" / "handlers").mkdir(parents=True)
    (folder / "app" / "handlers" / "some.py").write_text(HANDLERS)
    env = {"WORKER_HANDLERS": str(folder / "app"), "WORKER_HANDLERS_PORT": "0", "WORKER_SYNC_LIMIT": str(LIMIT_S)}
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve(tls=True))
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("VAST_API_KEY", local.api_key)
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, local, engine, 1, folder / "state", **env)
        await local.record.until(loaded(1))
        yield caller.connect("vast://comfy", vast_url=local.url)()


@pytest.mark.parametrize("seconds", [0, 3 * LIMIT_S])
async def test_a_call_returns_its_result_however_long_it_takes(handlers: Any, seconds: float) -> None:
    """A call that exceeds WORKER_SYNC_LIMIT is followed until it ends."""
    assert await off_loop(handlers.add_slowly.remote, seconds=seconds) == {"waited": seconds}


async def test_a_long_call_that_fails_is_an_exception(handlers: Any) -> None:
    """The error is that of the handler, as for a short call."""
    with pytest.raises(caller.RemoteError, match="no such face") as failed:
        await off_loop(handlers.add_slowly.remote, seconds=2 * LIMIT_S, failing=True)
    assert failed.value.code == "handler_failed"


async def test_a_call_that_is_followed_is_cancelled(handlers: Any) -> None:
    """`get` raises TimeoutError meanwhile, and the process of handlers is free after `cancel`."""
    call = await off_loop(handlers.wait_for_ever.spawn)
    with pytest.raises(TimeoutError):
        await off_loop(call.get, timeout=2 * LIMIT_S)
    await off_loop(call.cancel)
    with pytest.raises(caller.RemoteError) as cancelled:
        await off_loop(call.get, timeout=60)
    assert cancelled.value.code == "cancelled"
    async with asyncio.timeout(60):
        assert await handlers.add_slowly.remote.aio(seconds=0) == {"waited": 0}


async def test_positional_arguments_need_their_names(handlers: Any) -> None:
    """The router passes on no request for the table of handlers, and the message says what to do."""
    with pytest.raises(caller.Unsupported, match="pass arguments by name"):
        await off_loop(handlers.add_slowly.remote, 1)
