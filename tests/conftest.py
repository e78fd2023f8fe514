"""Fixtures: one embedded engine for the whole run, and a worker for each test.

Tests can be marked with required tools.
"""

from __future__ import annotations

import asyncio
import atexit
import errno
import ipaddress
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.engines import EngineHandle, start_engine
from worker.app import App, build
from worker.platforms.base import DIRECT_TRAITS, Traits
from worker.settings import Settings
from worker.sse import EventParser

ROOT = Path(__file__).parents[1]

# A shell starts what runs in the background with Ctrl-C ignored, and processes hand that on: some tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)

NOWHERE = "http://127.0.0.1:9"
HOME = tempfile.mkdtemp(prefix="comfy-worker-home-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
# Clients of platforms have addresses on the internet as defaults. Here they and all child processes reach nothing.
os.environ |= {
    "HOME": HOME,
    "MODAL_SERVER_URL": NOWHERE,
    "MODAL_CONFIG_PATH": f"{HOME}/modal.toml",
    "RUNPOD_ENDPOINT_BASE_URL": f"{NOWHERE}/v2",
    "RUNPOD_API_BASE_URL": NOWHERE,
}


def allow_loopback_only(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse connections of this process to other machines, as if there were no network."""
    if event != "socket.connect":
        return
    address = arguments[1]
    host = address[0] if isinstance(address, tuple) else "localhost"
    try:
        here = host in {"", "localhost"} or (found := ipaddress.ip_address(host)).is_loopback or found.is_unspecified
    except ValueError:
        here = False  # a name, which would be looked up
    if not here:
        raise OSError(errno.ENETUNREACH, f"tests connect to this machine only, not to {host}")


sys.addaudithook(allow_loopback_only)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--require-tools", action="store_true", help="fail a test whose tools are not installed")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose required tools are not installed, or fail it with --require-tools."""
    if lacking := [tool for mark in item.iter_markers("tools") for tool in mark.args if not installed(tool)]:
        reason = f"not installed: {', '.join(lacking)}"
        if item.config.getoption("require_tools"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)


def installed(tool: str) -> bool:
    """Return whether a program is installed. A name with a slash is a path in this folder."""
    return (ROOT / tool).exists() if "/" in tool else shutil.which(tool) is not None


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHandle]:
    """An embedded engine for all tests, which none may stop or break."""
    with start_engine(tmp_path_factory.mktemp("engine")) as handle:
        yield handle


@dataclass(frozen=True)
class Client:
    """A worker, and an HTTP session for it."""

    app: App
    http: aiohttp.ClientSession

    async def post(self, path: str, body: object, **headers: str) -> tuple[int, dict]:
        async with self.http.post(self.app.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.get(self.app.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def delete(self, path: str, token: str = "") -> tuple[int, dict]:
        async with self.http.delete(self.app.url + path, headers=bearer(token)) as answer:
            return answer.status, await answer.json()

    async def state(self, job: dict, state: str) -> None:
        """Wait until an accepted job is in a state, by its events."""
        url = f"{self.app.url}/jobs/{job['id']}/events"
        async with asyncio.timeout(60), self.http.get(url, headers=bearer(job["token"])) as stream:
            parser = EventParser()
            async for piece in stream.content.iter_any():
                if any(f'"state":"{state}"'.encode() in event.data for event in parser.feed(piece)):
                    return
        raise AssertionError(f"the job ended without being {state}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


@asynccontextmanager
async def worker(
    handle: EngineHandle, state: Path, traits: Traits = DIRECT_TRAITS, **given: object
) -> AsyncIterator[Client]:
    """Run a worker in front of the engine, with a platform's traits and the given settings."""
    shared = {"comfyui_output": handle.output, "comfyui_input": handle.input}
    settings = Settings.of(**{"comfyui": handle.url, "port": 0, "state": state, **shared, **given})
    async with build(settings, traits=traits) as app, aiohttp.ClientSession() as http:
        await app.ready()
        yield Client(app, http)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_client(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """A worker for all tests of a module that do not affect each other.

    The module imports it as `client`, and marks its tests to run on the module's event loop.
    """
    async with worker(engine, tmp_path_factory.mktemp("worker")) as found:
        yield found


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Client]:
    """A worker that shares the engine's folders."""
    async with worker(engine, tmp_path) as found:
        yield found
