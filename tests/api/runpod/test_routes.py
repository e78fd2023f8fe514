"""RunPod's routes on the worker's own port: jobs start at once, are kept, and have RunPod's statuses."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.observers.receiver import receiver
from tests.workflows import failing, picture, slow

TOKENS = "ann=ann-token-0123456789,bob=bob-token-0123456789"
ANN, BOB = "ann-token-0123456789", "bob-token-0123456789"
PREFIXES = ["", "/v2/any-endpoint"]


async def ended(client: Client, path: str, **headers: str) -> dict[str, Any]:
    """Wait until the job at a status path has ended, and return its status object."""
    async with asyncio.timeout(30):
        while True:
            async with client.http.get(client.app.url + path, headers=headers) as answer:
                assert answer.status == 200, await answer.text()
                body = await answer.json()
            if body["status"] not in {"IN_QUEUE", "IN_PROGRESS"}:
                return body
            await asyncio.sleep(0.05)


async def in_status(client: Client, path: str, status: str) -> None:
    """Wait until the job at a status path has this status."""
    async with asyncio.timeout(30):
        while (await client.get(path))[1]["status"] != status:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_runsync_returns_the_output(client: Client, prefix: str) -> None:
    """`/runsync` returns RunPod's status object, with worker-comfyui's response as its output."""
    status, body = await client.post(f"{prefix}/runsync", {"input": {"workflow": picture(80, 40)}})
    assert (status, body["status"]) == (200, "COMPLETED"), body
    assert body["id"].startswith("sync-")
    assert body["delayTime"] >= 0
    assert body["executionTime"] >= 0
    [image] = body["output"]["images"]
    with Image.open(io.BytesIO(base64.b64decode(image["data"]))) as found:
        assert found.size == (80, 40)
    again = await client.get(f"{prefix}/status/{body['id']}")
    assert again == (200, body)


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_run_starts_at_once_and_is_kept(client: Client, prefix: str) -> None:
    """`/run` returns an id, the job runs without a request for its status, and its result can be read twice."""
    status, accepted = await client.post(f"{prefix}/run", {"input": {"workflow": picture()}})
    assert (status, accepted["status"], set(accepted)) == (200, "IN_QUEUE", {"id", "status"})
    first = await ended(client, f"{prefix}/status/{accepted['id']}")
    assert (first["status"], len(first["output"]["images"])) == ("COMPLETED", 1)
    assert await client.post(f"{prefix}/status/{accepted['id']}", {}) == (200, first)
    assert await client.get(f"{prefix}/stream/{accepted['id']}") == (200, {"status": "COMPLETED", "stream": []})


async def test_a_large_output_is_whole(client: Client) -> None:
    """A file that is encoded while it is sent is at its place in the status object."""
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 3, "filename_prefix": "big"}}}
    _, body = await client.post("/runsync", {"input": {"workflow": big}})
    files = [*body["output"]["images"], *body["output"].get("files", [])]
    assert [len(base64.b64decode(file["data"])) for file in files] == [3 * 1024 * 1024]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_cancel_stops_a_running_job(client: Client, prefix: str) -> None:
    """`/cancel` stops ComfyUI, and the status is CANCELLED."""
    _, job = await client.post(f"{prefix}/run", {"input": {"workflow": slow(60, steps=600)}})
    await in_status(client, f"{prefix}/status/{job['id']}", "IN_PROGRESS")
    cancelled = await client.post(f"{prefix}/cancel/{job['id']}", {})
    assert cancelled == (200, {"id": job["id"], "status": "CANCELLED"})
    assert (await ended(client, f"{prefix}/status/{job['id']}"))["status"] == "CANCELLED"


async def test_cancel_of_a_job_of_another_route_keeps_its_form(client: Client) -> None:
    """`POST /cancel/{id}` with the token of a job has the response of the stock template."""
    _, job = await client.post("/generate", {"workflow": slow(60, steps=600)})
    _, body = await client.post(f"/cancel/{job['id']}", {}, Authorization=f"Bearer {job['token']}")
    assert (body["cancelled"], body["status"]) == (True, "cancelled")


async def test_a_wait_that_ends_returns_the_id(client: Client) -> None:
    """After `?wait=`, the response has the id of a job that goes on, and status-sync waits for it."""
    _, body = await client.post("/runsync?wait=1000", {"input": {"workflow": slow(2, steps=20)}})
    assert body["status"] == "IN_PROGRESS"
    assert set(body) == {"id", "status"}
    _, found = await client.get(f"/status-sync/{body['id']}?wait=20000")
    assert (found["status"], found["id"]) == ("COMPLETED", body["id"])
    for wait in ("900", "300001", "-1", "x", "1e4", "000001500000000", "٣٠٠٠"):
        status, refused = await client.post(f"/runsync?wait={wait}", {"input": {"workflow": picture()}})
        assert (status, refused["error"]["code"]) == (400, "invalid_field"), wait


async def test_a_job_that_fails_has_worker_comfyuis_error(client: Client) -> None:
    """A node that fails gives FAILED, with the cause in the details and in `error_info`."""
    _, body = await client.post("/runsync", {"input": {"workflow": failing()}})
    assert (body["status"], body["error"]) == ("FAILED", "Job processing failed")
    assert body["output"]["error_info"]["code"] == "node_failed"
    assert body["output"]["details"][0] == body["output"]["error_info"]["message"]
    assert "error" not in body["output"]


async def test_the_policy_limits_the_run(client: Client) -> None:
    """`policy.executionTimeout` ends the job, whose status is TIMED_OUT."""
    request = {"input": {"workflow": slow(60, steps=600)}, "policy": {"executionTimeout": 1000, "ttl": 60_000}}
    _, body = await client.post("/runsync", request)
    assert (body["status"], body["output"]["error_info"]["code"]) == ("TIMED_OUT", "timeout")


REJECTED = {
    "no input": ({}, "Please provide input"),
    "null": ({"input": None}, "Please provide input"),
    "a list": ([], "Please provide input"),
    "a text": ({"input": "a cat"}, "Invalid JSON format in input"),
    "broken JSON": ({"input": '{"workflow": '}, "Invalid JSON format in input"),
    "no workflow": ({"input": {}}, "Missing 'workflow' parameter"),
    "another field": ({"input": {"prompt": "a cat"}}, "Missing 'workflow' parameter"),
    "null as workflow": ({"input": {"workflow": None}}, "Missing 'workflow' parameter"),
    **{
        f"images {number}": (
            {"input": {"workflow": picture(color=1), "images": images}},
            "'images' must be a list of objects with 'name' and 'image' keys",
        )
        for number, images in enumerate(("a", {"name": "a.png"}, ["a"], [{"name": "a.png"}], [{"image": "aaaa"}], [3]))
    },
}


@pytest.mark.parametrize("form", REJECTED)
async def test_an_input_that_cannot_run_has_worker_comfyuis_message(client: Client, form: str) -> None:
    """`/runsync` returns a job that has failed, and `/run` an HTTP error, both with the same message and a remedy."""
    request, message = REJECTED[form]
    status, body = await client.post("/runsync", request)
    assert (status, body["status"], body["error"]) == (200, "FAILED", message), body
    assert body["output"]["error_info"]["fault"] == "client"
    status, body = await client.post("/run", request)
    assert (status, body["error"], body["error_info"]["fault"]) == (400, message, "client"), body
    assert body["details"]


@pytest.mark.parametrize("form", ["a text", "a long text"])
async def test_input_may_be_json_text(client: Client, form: str) -> None:
    """`input` as JSON text runs."""
    workflow = picture() | ({"9": {"class_type": "Note", "inputs": {"text": "x" * 100_000}}} if "long" in form else {})
    _, body = await client.post("/runsync", {"input": json.dumps({"workflow": workflow})})
    assert body["status"] == "COMPLETED", body


async def test_only_the_id_of_the_response_shows_a_job(client: Client) -> None:
    """Without tokens, the job of another route is not shown by its id alone, and an unknown id is 404."""
    _, other = await client.post("/generate", {"workflow": picture(), "id": "guessable"})
    for job_id in (other["id"], "guessable", "00000000-0000-0000-0000-000000000000-u1"):
        for method, path in (("get", "status"), ("get", "stream"), ("post", "cancel")):
            call = client.get(f"/{path}/{job_id}") if method == "get" else client.post(f"/{path}/{job_id}", {})
            assert (await call)[0] == 404, (path, job_id)


async def test_tokens_are_required_and_separate_callers(engine: EngineHandle, tmp_path: Path) -> None:
    """The routes need a token, as Bearer, bare or in `X-Worker-Token`, and a caller sees its own jobs only."""
    request = {"input": {"workflow": picture()}}
    async with worker(engine, tmp_path, tokens=SecretStr(TOKENS)) as client:
        for path in ("/run", "/runsync", "/purge-queue"):
            assert (await client.post(path, request))[0] == 401, path
        for headers in (
            {"Authorization": f"Bearer {ANN}"},
            {"Authorization": ANN},
            {"Authorization": "Bearer rpa_key_of_the_platform", "X-Worker-Token": ANN},
        ):
            _, body = await client.post("/runsync", request, **headers)
            assert body["status"] == "COMPLETED", headers
        status = f"/status/{body['id']}"
        assert (await client.get(status))[0] == 401
        assert (await client.get(status, BOB))[0] == 404
        assert (await client.get(status, ANN))[1]["status"] == "COMPLETED"
        assert (await client.post(f"/cancel/{body['id']}", {}, Authorization=f"Bearer {BOB}"))[0] == 404
        assert (await client.get("/v2/x/health"))[0] == 401


async def test_purge_removes_what_waits(client: Client) -> None:
    """`/purge-queue` cancels the jobs that wait, and not the one that runs; health counts both."""
    running = (await client.post("/run", {"input": {"workflow": slow(60, steps=600)}}))[1]["id"]
    await in_status(client, f"/status/{running}", "IN_PROGRESS")
    waiting = [(await client.post("/run", {"input": {"workflow": slow(60, steps=600)}}))[1]["id"] for _ in range(2)]
    _, health = await client.get("/v2/x/health")
    assert (health["jobs"]["inProgress"], health["jobs"]["inQueue"]) == (1, 2)
    assert (health["workers"]["running"], health["workers"]["unhealthy"]) == (1, 0)
    assert (await client.post("/purge-queue", {}))[1] == {"removed": 2, "status": "completed"}
    assert [(await client.get(f"/status/{job}"))[1]["status"] for job in waiting] == ["CANCELLED", "CANCELLED"]
    assert (await client.get(f"/status/{running}"))[1]["status"] == "IN_PROGRESS"
    await client.post(f"/cancel/{running}", {})


async def test_a_job_of_run_survives_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """The status of a job of `/run` is known to the next process."""
    async with worker(engine, tmp_path) as client:
        _, job = await client.post("/run", {"input": {"workflow": picture()}})
        before = await ended(client, f"/status/{job['id']}")
    async with worker(engine, tmp_path) as client:
        after = (await client.get(f"/status/{job['id']}"))[1]
        assert (after["status"], after["output"]["images"]) == ("COMPLETED", before["output"]["images"])


async def test_a_webhook_gets_the_status_object(engine: EngineHandle, tmp_path: Path) -> None:
    """`webhook` beside `input` receives what `/status` returns."""
    async with receiver() as hook, worker(engine, tmp_path, fetch_allow=hook.opened) as client:
        _, job = await client.post("/run", {"input": {"workflow": picture()}, "webhook": hook.url})
        [message] = await hook.messages(1)
        assert message.json == await ended(client, f"/status/{job['id']}")


@pytest.fixture
async def handlers(engine: EngineHandle, tmp_path: Path) -> Any:
    """A worker with handlers."""
    async with worker(engine, tmp_path / "state", handlers=write_app(tmp_path / "app"), handlers_port=0) as found:
        yield found


async def test_a_handler_is_called_through_input(handlers: Client) -> None:
    """`{"input": {"handler": NAME, "arguments": {...}}}` calls it, on each route with its kind of response."""
    call = {"input": {"handler": "greet", "arguments": {"name": "Ada", "times": 2}}}
    plain = await handlers.post("/handlers/greet", call["input"]["arguments"])
    assert await handlers.post("/generate/sync", call) == plain
    _, body = await handlers.post("/runsync", call)
    assert (body["status"], body["output"]) == ("COMPLETED", plain[1])
    _, job = await handlers.post("/v2/x/run", call)
    assert (await ended(handlers, f"/v2/x/status/{job['id']}"))["output"] == plain[1]
    _, body = await handlers.post("/runsync", {"input": {"handler": "file"}})
    assert body["output"] == {
        "media_type": "image/png",
        "data": base64.b64encode(b"\x89PNG\r\n\x1a\n the rest").decode(),
    }


async def test_the_error_of_a_handler_is_in_the_dialect(handlers: Client) -> None:
    """A handler that raises, an unknown one and wrong arguments are FAILED, with their own message."""
    for call, code in (
        ({"handler": "fails"}, "handler_failed"),
        ({"handler": "nobody"}, "unknown_handler"),
        ({"handler": "greet", "arguments": {"nome": 1}}, "invalid_arguments"),
    ):
        _, body = await handlers.post("/runsync", {"input": call})
        assert (body["status"], body["output"]["error_info"]["code"]) == ("FAILED", code), body
        assert body["error"] == body["output"]["error_info"]["message"]
        status, body = await handlers.post("/generate/sync", {"input": call})
        assert status >= 400
        assert body["error_info"]["code"] == code


async def test_a_worker_without_handlers_says_so(client: Client) -> None:
    """The call of a handler names the setting."""
    _, body = await client.post("/runsync", {"input": {"handler": "greet", "arguments": {}}})
    assert (body["status"], "WORKER_HANDLERS" in body["error"]) == ("FAILED", True)
