"""The worker's own HTTP API behind Modal's web server, in a container whose network has an interface eth0."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import bearer
from tests.simulators.modal.workspace import SECRETS, Workspace, fast, workspace

TOKEN = SECRETS["WORKER_TOKENS"].partition("=")[2]
PROGRAMS = ("unshare", "ip")
MAKE_NETWORK = ["unshare", "--net", "sh", "-c", "ip link set lo name eth0 && ip link set eth0 up"]


def own_network_allowed() -> bool:
    """Return whether this process may create a network whose loopback interface is named eth0."""
    if not all(map(shutil.which, PROGRAMS)):
        return False
    return subprocess.run(MAKE_NETWORK, capture_output=True, check=False).returncode == 0


pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        not own_network_allowed(), reason="Modal's web_server needs eth0: `unshare --net` is not allowed here"
    ),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def space(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    """A workspace whose containers have a network of their own."""
    async with workspace(tmp_path_factory.mktemp("modal"), own_network=True) as made:
        yield made


@pytest.mark.parametrize("headers", [bearer(TOKEN), {"X-Worker-Token": TOKEN, "Authorization": "Bearer of-modal"}])
async def test_a_request_with_a_token_runs(space: Workspace, headers: dict[str, str]) -> None:
    """The token of the worker comes in Authorization, or in X-Worker-Token beside Modal's own login."""
    body = {"workflow": fast(), "id": f"job-{len(headers)}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.post(f"{space.url('http')}/generate/sync", json=body) as answer,
    ):
        assert (answer.status, (await answer.json())["status"]) == (200, "success"), space.log


async def test_a_request_without_a_token_is_refused(space: Workspace) -> None:
    """Without a token of the worker the answer is 401 of the worker."""
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{space.url('http')}/generate/sync", json={"workflow": fast()}) as answer,
    ):
        assert (answer.status, (await answer.json())["error"]["code"]) == (401, "unauthorized")


async def test_events_arrive_one_by_one(space: Workspace) -> None:
    """The event stream passes the proxy, and ends with the result."""
    async with (
        aiohttp.ClientSession(headers=bearer(TOKEN)) as http,
        http.post(f"{space.url('http')}/generate/stream", json={"workflow": fast()}) as answer,
    ):
        assert answer.content_type == "text/event-stream"
        assert b'"status":"success"' in await answer.read()


async def test_methods_and_http_share_a_container(space: Workspace) -> None:
    """A method runs in the container that serves HTTP."""
    assert await space.call("result = C().run_workflow.remote(workflow=given['fast'])['status']") == "success"
    assert len(space.modal.pool.records) == 1
