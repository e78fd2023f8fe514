"""Processes of handlers: whatever a handler does, other jobs go on, and the next call finds a process."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.handlers.apps import HANDLERS, write_app
from tests.workflows import picture
from worker.app import build
from worker.errors import StartupError
from worker.settings import Settings

LIMIT_S = 60.0


@asynccontextmanager
async def handlers(engine: EngineHandle, folder: Path, files: dict[str, str] | None = None, **given: object) -> Any:
    """Run a worker with handlers, by default with those of `apps.py`."""
    app = write_app(folder / "app", **(files or {}))
    async with worker(engine, folder / "state", handlers=app, handlers_port=0, **given) as found:
        yield found


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Client]:
    async with handlers(engine, tmp_path) as found:
        yield found


async def call(client: Client, name: str, /, **arguments: object) -> tuple[int, Any]:
    return await client.post(f"/handlers/{name}", arguments)


async def until(path: Path) -> None:
    """Wait until a handler has written a file."""
    async with asyncio.timeout(LIMIT_S):
        while not path.exists():
            await asyncio.sleep(0.01)


async def until_gone(pid: int) -> None:
    """Wait until a process has ended."""
    async with asyncio.timeout(LIMIT_S):
        while Path(f"/proc/{pid}").exists():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("name", "message"), [("crashes", "ended with code 7"), ("segfaults", "crashed with SIGSEGV")])
async def test_a_crash_ends_its_call_only(client: Client, name: str, message: str) -> None:
    """A crash is an error with its cause. Other jobs and the next call succeed, the call in a new process."""
    _, before = await call(client, "place")
    crash, job = await asyncio.gather(call(client, name), client.post("/generate/sync", {"workflow": picture()}))
    assert (crash[0], crash[1]["error"]["code"]) == (422, "handler_crashed")
    assert crash[1]["error"]["message"] == f"the process of the handler {message}"
    assert job[0] == 200
    status, after = await call(client, "place")
    assert status == 200
    assert after["pid"] != before["pid"]


async def test_a_call_that_takes_too_long_is_ended(engine: EngineHandle, tmp_path: Path) -> None:
    """After WORKER_HANDLERS_TIMEOUT the call fails, and a handler that ends at the signal keeps its process."""
    async with handlers(engine, tmp_path, handlers_timeout=1.0) as client:
        _, before = await call(client, "place")
        status, body = await call(client, "waits")
        assert (status, body["error"]["code"]) == (422, "timeout")
        assert await call(client, "place") == (200, before)


async def test_a_handler_that_ignores_its_end_is_killed(engine: EngineHandle, tmp_path: Path) -> None:
    """A handler that catches everything loses its process, and the next call has a new one."""
    async with handlers(engine, tmp_path, handlers_timeout=1.0) as client:
        _, before = await call(client, "place")
        status, body = await call(client, "waits", ignores=True)
        assert (status, body["error"]["code"]) == (422, "timeout")
        status, after = await call(client, "place")
        assert (status, after["pid"] != before["pid"]) == (200, True)


async def test_a_cancelled_call_ends_at_once(client: Client, tmp_path: Path) -> None:
    """DELETE ends the handler, and calls that have waited for the process run."""
    ready = tmp_path / "ready"
    _, job = await client.post("/handlers/waits", {"ready": str(ready)}, Prefer="respond-async")
    await until(ready)
    waiting = asyncio.create_task(call(client, "greet", name="Bo"))
    status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
    assert (status, body["cancelled"], body["status"]) == (200, True, "cancelled")
    assert (await waiting)[0] == 200


async def test_a_client_that_leaves_ends_its_call(engine: EngineHandle, tmp_path: Path) -> None:
    """A call whose client has disconnected is cancelled."""
    async with handlers(engine, tmp_path, hangup_grace_s=0.05) as client:
        ready = tmp_path / "ready"
        gone = asyncio.create_task(call(client, "waits", ready=str(ready)))
        await until(ready)
        gone.cancel()
        assert (await asyncio.wait_for(call(client, "greet", name="Bo"), LIMIT_S))[0] == 200


async def test_a_handler_that_prints_without_end_harms_nothing(
    engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its output is logged within limits of rate and length, while other jobs run."""
    caplog.set_level(logging.INFO, "worker.handlers.output")
    async with handlers(engine, tmp_path, handlers_timeout=2.0) as client:
        endless = asyncio.create_task(call(client, "prints", text="x" * 5000))
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
        assert (await endless)[1]["error"]["code"] == "timeout"
    lines = [record.getMessage() for record in caplog.records if record.name == "worker.handlers.output"]
    assert max(map(len, lines)) < 2100
    assert sum(line.endswith(" ...") for line in lines) <= 100 * 10
    assert any("more lines in a second" in line for line in lines)


async def test_a_print_is_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """A line that a handler prints is in the log, without control characters."""
    caplog.set_level(logging.INFO, "worker.handlers.output")
    await call(client, "prints", text="one \x1b[31mred", lines=1)
    async with asyncio.timeout(LIMIT_S):
        while "handlers-0: one \N{REPLACEMENT CHARACTER}[31mred" not in caplog.text:
            await asyncio.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit exists on Linux only")
async def test_a_handler_without_memory_fails(engine: EngineHandle, tmp_path: Path) -> None:
    """A handler that takes more memory than allowed fails, and its process is replaced."""
    async with handlers(engine, tmp_path, handlers_memory=600) as client:
        _, before = await call(client, "place")
        status, body = await call(client, "leaks")
        assert (status, body["error"]["message"]) == (422, "the handler failed: MemoryError")
        status, after = await call(client, "place")
        assert (status, after["pid"] != before["pid"]) == (200, True)


async def test_handlers_get_a_minimal_environment(
    engine: EngineHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Handlers get a base and the variables that the operator names, and nothing else."""
    for name in ("HF_TOKEN", "WORKER_TOKENS", "OTHER"):
        monkeypatch.setenv(name, "secret-of-sixteen-characters")
    async with handlers(engine, tmp_path, handlers_env="HF_TOKEN, MISSING") as client:
        _, environment = await call(client, "environment")
    assert environment["HF_TOKEN"] == "secret-of-sixteen-characters"
    assert environment["PATH"] == os.environ["PATH"]
    assert not {"WORKER_TOKENS", "OTHER", "MISSING"} & environment.keys()


async def test_a_broken_file_does_not_affect_the_others(engine: EngineHandle, tmp_path: Path) -> None:
    """A file that cannot be imported is a problem in the list, and in the error for its handlers."""
    files = {"good": "def fine():\n    return 1\n", "bad": "import missing_module\n\ndef lost():\n    return 1\n"}
    async with handlers(engine, tmp_path, files) as client:
        assert await call(client, "fine") == (200, 1)
        _, listed = await client.get("/handlers")
        message = "ModuleNotFoundError: No module named 'missing_module'"
        assert listed["problems"] == [{"file": "handlers/bad.py", "message": message}]
        status, body = await call(client, "lost")
        assert status == 404
        assert message in str(body["error"]["details"])


async def test_an_app_that_ends_at_its_start_is_unavailable(engine: EngineHandle, tmp_path: Path) -> None:
    """If no process can start, calls get 503 with the reason, and other jobs run."""
    files = {"bad": "import os\n\nos._exit(5)\n"}
    async with handlers(engine, tmp_path, files, handlers_start=1.0) as client:
        status, body = await call(client, "any")
        assert (status, body["error"]["code"]) == (503, "handlers_unavailable")
        assert "it ended with code 5" in body["error"]["message"]
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_two_processes_run_two_calls(engine: EngineHandle, tmp_path: Path) -> None:
    """With two processes, two calls run at once, and the cancelled one does not affect the other."""
    async with handlers(engine, tmp_path, handlers_processes=2) as client:
        first, second = tmp_path / "first", tmp_path / "second"
        _, job = await client.post("/handlers/waits", {"ready": str(first)}, Prefer="respond-async")
        other = asyncio.create_task(call(client, "waits", seconds=1, ready=str(second)))
        await until(first)
        await until(second)
        await client.delete(f"/jobs/{job['id']}", job["token"])
        assert await other == (200, None)


async def test_a_waiting_call_has_its_position(client: Client, tmp_path: Path) -> None:
    """The position is the number of calls that start before it, and becomes less when one of them has gone."""
    await client.post("/handlers/waits", {"ready": str(tmp_path / "ready")}, Prefer="respond-async")
    await until(tmp_path / "ready")
    waiting = [(await client.post("/handlers/waits", {}, Prefer="respond-async"))[1] for _ in range(3)]
    assert [await position(client, job) for job in waiting] == [0, 1, 2]
    await client.delete(f"/jobs/{waiting[0]['id']}", waiting[0]["token"])
    assert [await position(client, job) for job in waiting[1:]] == [0, 1]


async def position(client: Client, job: dict[str, Any]) -> int:
    """Return the position of a job that waits."""
    status, body = await client.get(f"/jobs/{job['id']}", job["token"])
    assert status == 202, body
    return body["position"]


async def test_the_worker_is_ready_once_the_handlers_are_loaded(engine: EngineHandle, tmp_path: Path) -> None:
    """Until then /ready says what it waits for, so that a router sends no calls."""
    loaded = tmp_path / "loaded"
    code = (
        f"import os, time\nwhile not os.path.exists({str(loaded)!r}):\n    time.sleep(0.01)\n\ndef f():\n    return 1\n"
    )
    async with handlers(engine, tmp_path, {"slow": code}) as client:
        status, body = await client.get("/ready")
        assert (status, body["error"]["code"]) == (503, "handlers_unavailable")
        assert "they are starting" in body["error"]["message"]
        loaded.touch()
        assert await call(client, "f") == (200, 1)
        assert (await client.get("/ready"))[0] == 200


async def test_the_app_has_its_own_interpreter(engine: EngineHandle, tmp_path: Path) -> None:
    """The interpreter in the app's `.venv` runs its handlers."""
    python = tmp_path / "app" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    async with handlers(engine, tmp_path) as client:
        assert (await call(client, "place"))[1]["python"] == str(python)


async def test_processes_end_with_the_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """No process is left, also if a handler runs."""
    async with handlers(engine, tmp_path) as client:
        _, place = await call(client, "place")
        ready = tmp_path / "ready"
        await client.post("/handlers/waits", {"ready": str(ready), "ignores": True}, Prefer="respond-async")
        await until(ready)
    await until_gone(place["pid"])


async def test_a_call_runs_again_after_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """A call that a client may still fetch runs in the next worker, with its arguments."""
    app = write_app(tmp_path / "app", all=HANDLERS)
    given = {"handlers": app, "handlers_port": 0}
    async with worker(engine, tmp_path / "state", **given) as client:
        _, job = await client.post(
            "/handlers/waits", {"seconds": 2, "ready": str(tmp_path / "ready")}, Prefer="respond-async"
        )
        await until(tmp_path / "ready")
    async with worker(engine, tmp_path / "state", **given) as client:
        await client.state(job, "completed")
        assert await client.get(f"/jobs/{job['id']}", job["token"]) == (200, None)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"handlers": Path("/missing")}, "WORKER_HANDLERS=/missing is no app"),
        ({"handlers_python": "/missing/python"}, "WORKER_HANDLERS_PYTHON=/missing/python"),
    ],
)
async def test_wrong_settings_end_the_start(tmp_path: Path, given: dict[str, object], message: str) -> None:
    """A folder that is no app, and a missing interpreter, are named at the start."""
    app = write_app(tmp_path / "app")
    settings = Settings.of(**{"port": 0, "state": tmp_path / "state", "handlers": app, "comfyui": "http://x", **given})
    with pytest.raises(StartupError, match=message):
        async with build(settings):
            pass


async def test_without_handlers_the_routes_say_so(engine: EngineHandle, tmp_path: Path) -> None:
    """A worker without an app answers 404 with the setting."""
    async with worker(engine, tmp_path) as client, aiohttp.ClientSession() as http:
        started_at = time.monotonic()
        async with http.post(f"{client.app.url}/handlers/any", json={}) as answer:
            assert (answer.status, "WORKER_HANDLERS" in await answer.text()) == (404, True)
        assert time.monotonic() - started_at < LIMIT_S
