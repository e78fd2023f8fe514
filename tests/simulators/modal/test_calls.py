"""Calls of the deployed app by Modal's own client: results, errors, spawned calls, cancellation and HTTP."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from tests.simulators.modal.workspace import Workspace, fast, slow, workspace
from worker.simulators.modal import ModalAssumptions

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROXY_TOKEN = {"Modal-Key": "wk-key", "Modal-Secret": "ws-secret"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def space(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workspace]:
    """A workspace whose slow node takes 8 s, and whose edge redirects after 2 s."""
    folder = tmp_path_factory.mktemp("modal")
    async with workspace(folder, ModalAssumptions(http_limit_s=2), WORKER_FAULT="slow@ImageInvert;seconds=8") as made:
        yield made


async def test_a_method_returns_a_picture(space: Workspace) -> None:
    """`generate` runs a template, and its result has the picture as base64."""
    answer = await space.call("result = C().generate.remote(template='smoke-resize', width=64, height=32)")
    assert answer["status"] == "success"
    assert Image.open(io.BytesIO(base64.b64decode(answer["image"]))).size == (64, 32)


async def test_a_workflow_with_an_input_file(space: Workspace) -> None:
    """`run_workflow` sends the files that a workflow loads."""
    code = """
import base64, io
from PIL import Image
data = io.BytesIO()
Image.new("RGB", (20, 10), "teal").save(data, format="PNG")
workflow = {"1": {"class_type": "LoadImage", "inputs": {"image": "mine.png"}},
            "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}}}
inputs = {"mine.png": base64.b64encode(data.getvalue()).decode()}
result = C().run_workflow.remote(workflow=workflow, inputs=inputs)
"""
    answer = await space.call(code)
    assert (answer["outputs"][0]["width"], answer["outputs"][0]["height"]) == (20, 10)


async def test_errors_of_the_caller_are_values_and_do_not_run_twice(space: Workspace) -> None:
    """An unknown template is a value with its code. A handler raises RuntimeError, which needs no class of ours."""
    code = """
error = C().generate.remote(template="nope")
try:
    C().run_handler.remote("nope")
except RuntimeError as raised:
    result = [error["status"], error["error"]["code"], type(raised).__name__, str(raised)]
"""
    calls = len(space.modal.state.calls)
    status, code_, kind, message = await space.call(code)
    assert (status, code_, kind) == ("error", "unknown_template", "RuntimeError")
    assert message.startswith("not_found: ")
    assert len(space.modal.state.calls) == calls + 2


async def test_a_spawned_call_is_found_by_its_id(space: Workspace) -> None:
    """`spawn` returns at once, `get(timeout=0)` raises TimeoutError, and another process gets the result by the id."""
    code = """
call = C().run_workflow.spawn(workflow=given["slow"])
try:
    call.get(timeout=0)
except TimeoutError:
    result = call.object_id
"""
    call_id = await space.call(code)
    assert call_id.startswith("fc-")
    answer = await space.call(f"result = modal.FunctionCall.from_id('{call_id}').get(timeout=50)['status']")
    assert answer == "success"


async def test_cancelling_one_input_cancels_its_job_and_no_neighbor(space: Workspace) -> None:
    """The canceled job ends at once, its container lives on, and a job behind it succeeds in the same container."""
    await space.call("result = C().run_workflow.remote(workflow=given['fast'])")  # the container is warm
    containers = list(space.modal.pool.records)
    code = """
first = C().run_workflow.spawn(workflow=given["slow"])
second = C().run_workflow.spawn(workflow=given["fast"])
time.sleep(1)
first.cancel()
try:
    first.get(timeout=30)
except Exception as error:
    outcome = type(error).__name__
result = [outcome, second.get(timeout=30)["status"]]
"""
    outcome, status = await space.call(code)
    assert (outcome, status) == ("RemoteError", "success")
    assert re.search(r"job in-\d+ cancelled", space.log), space.log
    assert list(space.modal.pool.records) == containers


async def test_http_needs_the_login_of_modal(space: Workspace) -> None:
    """`POST /` of the app is refused without Modal's two headers, and has the result with them."""
    async with aiohttp.ClientSession() as http:
        async with http.post(space.url("api"), json={"workflow": fast()}) as refused:
            assert refused.status == 401
        async with http.post(space.url("api"), json={"workflow": fast()}, headers=PROXY_TOKEN) as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "success")
        async with http.post(space.url("api"), json={"template": "nope"}, headers=PROXY_TOKEN) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (422, "unknown_template")
        async with http.post(space.url("api"), data=b"{", headers=PROXY_TOKEN) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "invalid_request")


async def test_a_long_request_is_redirected_to_its_result(space: Workspace) -> None:
    """After the limit the edge answers 303. The URL has to be fetched with GET until it has the result."""
    async with aiohttp.ClientSession(headers=PROXY_TOKEN) as http:
        async with http.post(space.url("api"), json={"workflow": slow()}, allow_redirects=False) as first:
            assert first.status == 303
            location = first.headers["Location"]
        async with http.post(location, json={"workflow": slow()}, allow_redirects=False) as repeated:
            assert (repeated.status, await repeated.text()) == (400, "modal-http: bad redirect method")
        async with http.get(location) as last:
            assert (last.status, (await last.json())["status"]) == (200, "success")
            assert last.history


async def test_a_second_deployment_keeps_the_ids(space: Workspace) -> None:
    """The same app deployed again has the same ids and URLs, and new containers."""
    functions, url = set(space.modal.state.functions), space.url("api")
    assert "App deployed" in await space.deploy()
    assert (set(space.modal.state.functions), space.url("api")) == (functions, url)
    answer = await space.call("result = C().run_workflow.remote(workflow=given['fast'])['status']")
    assert answer == "success"
    assert [record.version for record in space.modal.pool.records.values()] == [2]
    assert space.modal.state.unimplemented == []
