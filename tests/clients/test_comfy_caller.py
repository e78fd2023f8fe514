"""Callers of a Modal class use handlers of a worker in the same way, with `clients/python/comfy_caller.py`."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import ROOT, Client, worker
from tests.engines import EngineHandle
from worker.engine.process.free_port import free_port

pytestmark = pytest.mark.asyncio(loop_scope="module")

HANDLERS = """
import time


def add_numbers(first, second=1):
    return {"sum": first + second}


def wait_for_ever():
    while True:
        time.sleep(0.05)


def fail(message):
    raise ValueError(message)


def read_bytes():
    return b"\\x00\\x01"
"""


def load() -> Any:
    """Import the client by its path, as a caller that has copied it would by its name."""
    spec = importlib.util.spec_from_file_location("comfy_caller", ROOT / "clients" / "python" / "comfy_caller.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


caller = load()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with some handlers."""
    folder: Path = tmp_path_factory.mktemp("caller")
    (folder / "app" / "handlers").mkdir(parents=True)
    (folder / "app" / "handlers" / "some.py").write_text(HANDLERS)
    async with worker(engine, folder / "state", handlers=folder / "app", handlers_port=0) as found:
        yield found


@pytest.fixture
def handlers(client: Client) -> Any:
    """The handlers, as an instance of a class on Modal."""
    return caller.connect(client.app.url, methods={"add": "add_numbers"})()


async def off_loop(function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Run a blocking call of the client beside the worker of this test."""
    return await asyncio.to_thread(function, *arguments, **named)


async def test_remote_returns_the_result(handlers: Any) -> None:
    """A method with another name, its arguments and defaults, and a result that is no JSON."""
    assert await off_loop(handlers.add.remote, first=2, second=3) == {"sum": 5}
    assert await off_loop(handlers.add_numbers.remote, first=2) == {"sum": 3}
    assert await off_loop(handlers.read_bytes.remote) == b"\x00\x01"


async def test_another_process_gets_the_result_of_a_call(client: Client, handlers: Any) -> None:
    """The id of a call is enough to find it."""
    call = await off_loop(handlers.add.spawn, first=1)
    same = caller.FunctionCall.from_id(call.object_id, client.app.url)
    assert await off_loop(same.get, timeout=60) == {"sum": 2}


async def test_a_call_is_cancelled(handlers: Any) -> None:
    """A call that has not ended is a TimeoutError, and one that was cancelled an error. The next call runs."""
    call = await off_loop(handlers.wait_for_ever.spawn)
    with pytest.raises(TimeoutError):
        await off_loop(call.get, timeout=0.3)
    await off_loop(call.cancel)
    with pytest.raises(caller.RemoteError) as cancelled:
        await off_loop(call.get, timeout=60)
    assert cancelled.value.code == "cancelled"
    assert await off_loop(handlers.add.remote, first=4) == {"sum": 5}


@pytest.mark.parametrize(
    ("method", "arguments", "code"),
    [
        ("fail", {"message": "no such face"}, "handler_failed"),
        ("add", {"frist": 2}, "invalid_arguments"),
        ("no_such_handler", {}, "unknown_handler"),
    ],
)
async def test_a_failure_is_an_exception(handlers: Any, method: str, arguments: dict[str, Any], code: str) -> None:
    """Its code and its message are those of the worker."""
    with pytest.raises(caller.RemoteError) as found:
        await off_loop(getattr(handlers, method).remote, **arguments)
    assert found.value.code == code
    assert 400 <= found.value.status < 500
    if method == "fail":
        assert "no such face" in str(found.value)


@pytest.mark.parametrize("url", ["", "comfy", "ftp://host", "vast://", "modal://app"])
async def test_an_unknown_url_is_refused(url: str) -> None:
    """The error lists the forms."""
    with pytest.raises(ValueError, match=r"vast://ENDPOINT"):
        caller.connect(url)


async def test_nobody_at_the_url_is_an_error() -> None:
    """It is one of the operating system, after some attempts."""
    with pytest.raises(OSError, match="refused"):
        await off_loop(caller.connect(f"http://127.0.0.1:{free_port()}")().add.remote, first=1)
