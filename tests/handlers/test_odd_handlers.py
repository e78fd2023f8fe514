"""Handlers as apps really have them: decorated, in classes, asynchronous, with bytes, forks and fixed ports."""

from __future__ import annotations

import asyncio
import base64
import io
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.workflows import picture
from worker.app import build
from worker.errors import StartupError
from worker.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

ODD = """
import asyncio
import enum
import functools
import math
import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache, partial

lock = None


async def uses_the_loop():
    global lock
    lock = lock or asyncio.get_running_loop().create_future()
    return lock.get_loop() is asyncio.get_running_loop()


async def sleeps(seconds=600):
    try:
        await asyncio.sleep(seconds)
    finally:
        open(os.environ["HOME"] + "/ended", "w").close()


@lru_cache
def cached(number):
    return number * 2


def add(left, right):
    return left + right


add_ten = partial(add, right=10)


def wraps(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return {"wrapped": function(*args, **kwargs)}
    return wrapper


@wraps
def decorated(text):
    return text


def only_positional(text, /):
    return text


class Painter:
    def paint(self):
        return 1


@dataclass
class Size:
    width: int = 1


class Color(enum.Enum):
    RED = 1


class Refused(Exception):
    def __str__(self):
        raise ValueError("no text")


def refuses():
    raise Refused


def takes_bytes(video: bytes, other: "bytes | None" = None):
    return [len(video), None if other is None else len(other)]


def kind_of(value, **rest):
    return [type(value).__name__, *(type(each).__name__ for each in rest.values())]


def takes_a_dict(value: dict):
    return value


def forks():
    return "child" if os.fork() == 0 else "parent"


def image(mode):
    from PIL import Image
    return {"images": [Image.new(mode, (2, 2))]}


def secret():
    return os.environ["CIVITAI_TOKEN"]


def library():
    tempfile.mkstemp(dir="/missing")


def odd_result(kind):
    return {"nan": {"a": [1, math.inf]}, "key": {"a": {(1, 2): 3}}, "set": [0, {"b": {1}}]}[kind]
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker with these handlers. No test here ends their process for good."""
    folder = tmp_path_factory.mktemp("odd")
    app = write_app(folder / "app", odd=ODD)
    (app / "handlers" / "more").mkdir()
    (app / "handlers" / "more" / "deep.py").write_text("def f():\n    return 1\n")
    async with worker(engine, folder / "state", handlers=app, handlers_port=0) as found:
        yield found


async def call(client: Client, name: str, /, **arguments: object) -> tuple[int, Any]:
    return await client.post(f"/handlers/{name}", arguments)


async def refused(client: Client, name: str, /, **arguments: object) -> dict[str, Any]:
    status, body = await call(client, name, **arguments)
    assert status == 422, body
    return body["error"]


async def test_coroutines_share_one_event_loop(client: Client) -> None:
    """What one call has opened on the loop works in the next, as on a server that runs for long."""
    assert [await call(client, "uses_the_loop") for _ in range(3)] == [(200, True)] * 3


async def test_a_cancelled_coroutine_cleans_up(client: Client) -> None:
    """It gets asyncio's cancellation, and the loop works for the next call."""
    _, job = await client.post("/handlers/sleeps", {}, Prefer="respond-async")
    await client.state(job, "generating")
    assert (await client.delete(f"/jobs/{job['id']}", job["token"]))[0] == 200
    assert await call(client, "uses_the_loop") == (200, True)


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("cached", {"number": 4}, 8),
        ("add_ten", {"left": 1}, 11),
        ("decorated", {"text": "x"}, {"wrapped": "x"}),
    ],
)
async def test_wrapped_functions_are_served(client: Client, name: str, arguments: Any, result: Any) -> None:
    """A decorator or `partial` changes nothing for callers."""
    assert await call(client, name, **arguments) == (200, result)


async def test_what_is_not_served_is_listed(client: Client) -> None:
    """Classes with methods, positional-only parameters and subfolders are problems. Data and exceptions are not."""
    _, listed = await client.get("/handlers")
    messages = {problem["message"] for problem in listed["problems"]}
    assert messages == {
        "the class Painter is not served: write a function that calls paint()",
        "only_positional is not served: 'text' is positional-only, and calls name their arguments",
        "the folder is not searched: only functions in handlers/*.py are served",
    }
    assert "only_positional" not in {handler["name"] for handler in listed["handlers"]}


@pytest.mark.parametrize(
    "form",
    [
        lambda data: data,
        lambda data: f"data:video/mp4;base64,{data}",
        lambda data: {"media_type": "video/mp4", "data": data},
    ],
    ids=["base64", "data URL", "as in a result"],
)
async def test_bytes_can_be_sent(client: Client, form: Any) -> None:
    """A parameter that takes bytes gets them from base64 in any usual form."""
    data = base64.b64encode(b"12345").decode()
    assert await call(client, "takes_bytes", video=form(data)) == (200, [5, None])
    assert await call(client, "takes_bytes", video=form(data), other=form(data)) == (200, [5, 5])


async def test_a_file_is_bytes_where_nothing_else_is_declared(client: Client) -> None:
    """Callers of Modal's client pass bytes to parameters without annotations. A declared dict stays one."""
    file = {"media_type": "video/mp4", "data": base64.b64encode(b"12345").decode()}
    assert await call(client, "kind_of", value=file, other=file, text="MTIz") == (200, ["bytes", "bytes", "str"])
    assert await call(client, "takes_a_dict", value=file) == (200, file)


async def test_bytes_that_are_no_base64_are_refused(client: Client) -> None:
    """The message names the argument."""
    message = (await refused(client, "takes_bytes", video="no base64!"))["message"]
    assert "the argument 'video' takes bytes, and is no base64" in message


async def test_a_fork_does_not_shift_results(client: Client) -> None:
    """The child of a handler ends without an answer, so that each call gets its own result."""
    assert await call(client, "forks") == (200, "parent")
    assert await call(client, "cached", number=1) == (200, 2)
    assert await call(client, "forks") == (200, "parent")


async def test_images_that_png_does_not_have(client: Client) -> None:
    """CMYK becomes RGB. An image whose values RGB cannot hold is an error with the cure."""
    _, result = await call(client, "image", mode="CMYK")
    assert Image.open(io.BytesIO(base64.b64decode(result["images"][0]["data"]))).mode == "RGB"
    error = await refused(client, "image", mode="F")
    assert error["code"] == "unsupported_result"
    assert "image.convert('RGB')" in error["message"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("nan", "result['a'][1] is inf, which JSON does not have"),
        ("key", "result['a'] has a key of type tuple: keys have to be texts"),
        ("set", "result[1]['b'] is of type set; return dict, list, str, numbers, None, bytes or a PIL image"),
    ],
)
async def test_an_unsupported_value_has_its_place(client: Client, kind: str, message: str) -> None:
    """The message says where in the result the value is."""
    assert (await refused(client, "odd_result", kind=kind))["message"] == message


async def test_a_missing_variable_names_the_setting(client: Client) -> None:
    """Handlers see only the variables that the operator names."""
    message = (await refused(client, "secret"))["message"]
    assert message.startswith("the handler failed: KeyError: 'CIVITAI_TOKEN'")
    assert "WORKER_HANDLERS_ENV" in message


async def test_the_log_has_the_last_place_in_the_app(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An exception of a library is shown with the line of the app that has called it."""
    await refused(client, "library")
    assert 'in library: tempfile.mkstemp(dir="/missing") (raised at ' in caplog.text


async def test_an_exception_whose_text_fails(client: Client) -> None:
    """Its class is shown, and the process goes on."""
    assert (await refused(client, "refuses"))["message"] == (
        "the handler failed: Refused: (its message cannot be shown)"
    )


async def test_a_body_of_spaces_is_no_arguments(client: Client) -> None:
    """As an empty body."""
    async with client.http.post(f"{client.app.url}/handlers/uses_the_loop", data=b" \n") as answer:
        assert (answer.status, await answer.json()) == (200, True)


async def test_the_limit_counts_from_the_start_of_the_handler(engine: EngineHandle, tmp_path: Path) -> None:
    """Calls that wait for others do not run out of time."""
    app = write_app(tmp_path / "app", slow="import time\n\ndef naps():\n    time.sleep(0.8)\n    return 1\n")
    async with worker(engine, tmp_path / "state", handlers=app, handlers_port=0, handlers_timeout=1.5) as client:
        assert await asyncio.gather(*(call(client, "naps") for _ in range(4))) == [(200, 1)] * 4


async def test_a_file_that_ends_the_process_is_left_out(engine: EngineHandle, tmp_path: Path) -> None:
    """The handlers of the other files are served, and the list says what has happened."""
    files = {"a": "def fine():\n    return 1\n", "b": "import os\n\nos._exit(5)\n", "c": "def good():\n    return 2\n"}
    app = write_app(tmp_path / "app", **files)
    async with worker(engine, tmp_path / "state", handlers=app, handlers_port=0) as client:
        assert (await call(client, "fine"), await call(client, "good")) == ((200, 1), (200, 2))
        _, listed = await client.get("/handlers")
    message = "its import has ended the process of the handlers: it ended with code 5"
    assert listed["problems"] == [{"file": "handlers/b.py", "message": message}]


@asynccontextmanager
async def starting(engine: EngineHandle, folder: Path, app: Path, **given: object) -> AsyncIterator[Client]:
    """Run a worker whose handlers may never be ready."""
    settings = Settings.of(
        **{"comfyui": engine.url, "port": 0, "state": folder / "state", "handlers": app, "handlers_port": 0, **given}
    )
    async with asyncio.timeout(60), build(settings) as running, aiohttp.ClientSession() as http:
        yield Client(running, http)


async def test_a_process_that_cannot_start_is_noticed_soon(engine: EngineHandle, tmp_path: Path) -> None:
    """The worker is not ready, and calls end with the reason long before the limit of a start. Other jobs run."""
    app, python = write_app(tmp_path / "app"), tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n")
    python.chmod(0o755)
    async with starting(engine, tmp_path, app, handlers_python=str(python)) as client:
        with pytest.raises(StartupError, match="it ended with code 3"):
            await client.app.ready()
        status, body = await call(client, "greet")
        assert (status, body["error"]["code"]) == (503, "handlers_unavailable")
        assert "it ended with code 3" in (await client.get("/ready"))[1]["error"]["message"]
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_the_worker_is_ready_once_the_handlers_are_loaded(engine: EngineHandle, tmp_path: Path) -> None:
    """Until then /ready says what it waits for, so that a router sends no calls."""
    loaded = tmp_path / "loaded"
    wait = f"import os, time\nwhile not os.path.exists({str(loaded)!r}):\n    time.sleep(0.01)\n"
    code = f"{wait}def f():\n    return 1\n"
    async with starting(engine, tmp_path, write_app(tmp_path / "app", slow=code)) as client:
        await client.app.engines.wait_until_connected(60)
        status, body = await client.get("/ready")
        assert (status, body["error"]["code"]) == (503, "handlers_unavailable")
        assert "they are starting" in body["error"]["message"]
        assert await ping(client) == 204
        loaded.touch()
        assert await call(client, "f") == (200, 1)
        assert ((await client.get("/ready"))[0], await ping(client)) == (200, 200)


async def ping(client: Client) -> int:
    """Return the status of the health check of load balancers."""
    async with client.http.get(f"{client.app.url}/ping") as answer:
        return answer.status


FIXED = """
import json
import urllib.request
from pathlib import Path

PROMPT = {"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 1}},
          "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}}}


def post(to):
    body = json.dumps({"prompt": PROMPT}).encode()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{to}/prompt", body) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.read().decode()


def where(port):
    return port


def both(port, ports, ready, go):
    Path(ready, str(port)).touch()
    while not Path(go).exists():
        pass
    return {str(to): post(to) for to in ports}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc/net/tcp")
async def test_a_fixed_port_with_two_processes_is_refused(engine: EngineHandle, tmp_path: Path) -> None:
    """A prompt at the port of another process would belong to its call. The error names the cure."""
    app = write_app(tmp_path / "app", fixed=FIXED)
    options = {"handlers": app, "handlers_port": 0, "handlers_processes": 2}
    async with worker(engine, tmp_path / "state", **options) as client:
        assert client.app.services.handlers is not None
        ports = sorted(client.app.services.handlers.pool.ports.values())
        arguments = {"ports": ports, "ready": str(tmp_path), "go": str(tmp_path / "go")}
        calls = [asyncio.create_task(call(client, "both", **arguments)) for _ in range(2)]
        async with asyncio.timeout(30):
            while not all((tmp_path / str(port)).exists() for port in ports):
                await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        results = [body for _, body in await asyncio.gather(*calls)]
    for result in results:
        assert sorted(map(str, result.values()))[0] == "200"
        [refusal] = [text for text in result.values() if text != 200]
        assert "WORKER_HANDLERS_PROCESSES=1" in refusal
