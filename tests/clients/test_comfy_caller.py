"""Callers of a Modal class use handlers of a worker in the same way, with `clients/python/comfy_caller.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.clients.copied import load_copied
from tests.conftest import Client, worker
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


def add_slowly(first, second=1, **others):
    time.sleep(first / 10)
    return {"sum": first + second, **others}
"""


caller = load_copied("comfy_caller")


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
    for same in (
        caller.FunctionCall.from_id(call.object_id),
        caller.FunctionCall.from_id(call.object_id, client.app.url),
    ):
        assert await off_loop(same.get, timeout=60) == {"sum": 2}
    assert await off_loop(caller.FunctionCall.gather, call, same) == [{"sum": 2}, {"sum": 2}]


async def test_positional_arguments_get_the_names_of_the_parameters(handlers: Any) -> None:
    """As in Python, too many of them and one that is given twice are TypeErrors."""
    assert await off_loop(handlers.add.remote, 2, 3) == {"sum": 5}
    assert await off_loop(handlers.add_slowly.remote, 1, second=3, label="a") == {"sum": 4, "label": "a"}
    with pytest.raises(TypeError, match=r"takes 2 positional arguments \(first, second\)"):
        await off_loop(handlers.add.remote, 1, 2, 3)
    with pytest.raises(TypeError, match="'first' twice"):
        await off_loop(handlers.add.remote, 1, first=2)
    with pytest.raises(caller.RemoteError) as unknown:
        await off_loop(handlers.no_such_handler.remote, 1)
    assert unknown.value.code == "unknown_handler"


async def test_the_async_forms(handlers: Any) -> None:
    """`.aio` of each method is awaited in the caller's loop."""
    assert await handlers.add.remote.aio(2, second=3) == {"sum": 5}
    call = await handlers.add.spawn.aio(first=2)
    assert await call.get.aio(timeout=60) == {"sum": 3}
    assert [result async for result in handlers.add.map.aio([1, 2], kwargs={"second": 5})] == [{"sum": 6}, {"sum": 7}]


async def test_a_cancelled_task_cancels_its_call(client: Client, handlers: Any) -> None:
    """The next call does not wait for the one whose caller has gone."""
    task = asyncio.create_task(handlers.wait_for_ever.remote.aio())
    call = await handlers.wait_for_ever.spawn.aio()  # waits behind the task's call
    await call.cancel.aio()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await handlers.add.remote.aio(first=4) == {"sum": 5}


async def test_map_and_starmap_yield_the_results_in_order(handlers: Any) -> None:
    """An error is raised, or is one of the results."""
    assert await off_loop(lambda: list(handlers.add_slowly.map([3, 1], [5, 6]))) == [{"sum": 8}, {"sum": 7}]
    pairs = [(2, 5), (1, 6)]
    assert await off_loop(lambda: list(handlers.add.starmap(pairs))) == [{"sum": 7}, {"sum": 7}]
    unordered = await off_loop(lambda: list(handlers.add_slowly.map([3, 1], order_outputs=False)))
    assert sorted(each["sum"] for each in unordered) == [2, 4]
    failed = await off_loop(lambda: list(handlers.fail.map(["no face"], return_exceptions=True)))
    assert [each.code for each in failed] == ["handler_failed"]
    with pytest.raises(caller.RemoteError, match="no face"):
        await off_loop(lambda: list(handlers.fail.map(["no face"])))


@pytest.mark.parametrize(
    ("use", "cure"),
    [
        (lambda cls: cls(gpu="H100"), "pass them as arguments of the handler"),
        (lambda cls: cls.with_options(gpu="H100"), "deploy another one"),
        (lambda cls: cls().with_options(gpu="H100"), "deploy another one"),
        (lambda cls: cls().add.remote_gen(1), "return a list"),
        (lambda cls: cls().add.local(1), "import the function"),
        (lambda cls: cls().add.spawn_map([1]), "call `spawn` for each"),
        (lambda cls: caller.FunctionCall.from_id(None), "keep the FunctionCall"),
    ],
)
async def test_what_has_no_counterpart_names_the_cure(client: Client, use: Callable[[Any], Any], cure: str) -> None:
    """The error says what to do instead."""
    with pytest.raises(caller.Unsupported, match=cure):
        use(caller.connect(client.app.url))


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
